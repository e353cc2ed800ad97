"""ftfy's repair of encodings, for the lines that need it.

ftfy does the hard part, telling mojibake from text, but looks at each line with a pattern of some thirty alternatives that
Python tries one after the other: 5 MB/s, for text that nearly always turns out well. The same pattern, taken from the installed
ftfy and compiled to an automaton (automaton.py), finds the lines that ftfy would work on; the others it returns as they are.

It is called line by line through `fix_encoding_and_explain`, because `fix_text` with `explain=False` (ftfy 6.3.1) calls its
encoding repair without the configuration and so ignores part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import numpy as np

from corpusmill.stages.automaton import Automaton, UnknownSyntaxError, compile_patterns

__all__ = ["SEGMENT", "damage_patterns", "has_long_line", "line_repair", "lines_of", "text_repair"]

SEGMENT: Final = 1_000_000
"""Characters of one line that the repair sees at once: ftfy's own bound."""


def damage_patterns() -> list[re.Pattern[str]]:
    """Return the patterns without which ftfy leaves a line as it is."""
    from ftfy.badness import BADNESS_RE

    try:
        compile_patterns([], [BADNESS_RE])
    except UnknownSyntaxError:  # of a later ftfy: then it is asked about every line that is not ASCII
        return [re.compile("[^\x00-\x7f]")]
    return [BADNESS_RE]


def has_long_line(data: bytes) -> bool:
    """Return whether a line may be so long that the repair sees it in pieces, each of which begins as a line does."""
    return len(data) > SEGMENT and any(len(line) >= SEGMENT for line in data.split(b"\n"))


def lines_of(text: str) -> list[str]:
    """Return the lines of *text*, each with its line feed: ftfy sees that too, and `œ` before it is a sign of mojibake."""
    *lines, last = text.split("\n")
    return [*(f"{line}\n" for line in lines), last]


def line_repair() -> Callable[[str], str]:
    """Return ftfy's encoding repair of one line, with every repair of bytes on and nothing else."""
    import ftfy

    repair_encoding = _encoding_repair()

    def repair(line: str) -> str:
        return (
            line
            if line.isascii()
            else str(ftfy.fixes.fix_c1_controls(ftfy.fixes.fix_surrogates(repair_encoding(line))))
        )

    return repair


def _encoding_repair() -> Callable[[str], str]:
    import ftfy

    config = ftfy.TextFixerConfig(explain=False)

    def repair(line: str) -> str:
        pieces = [line] if len(line) <= SEGMENT else [line[at : at + SEGMENT] for at in range(0, len(line), SEGMENT)]
        return "".join(str(ftfy.fix_encoding_and_explain(piece, config).text) for piece in pieces)

    return repair


def text_repair(damage: Automaton) -> Callable[[bytes], bytes]:
    """Return the repair of a text in UTF-8; *damage* finds what `damage_patterns` say."""
    from corpusmill.stages.kernels.text_scan import find_in_lines

    repair_encoding, repair_line = _encoding_repair(), line_repair()

    def repaired(line: bytes) -> bytes:
        text = repair_encoding(line.decode())
        try:
            data = text.encode()
        except UnicodeEncodeError:  # surrogates
            return repair_line(text).encode()
        # C1 controls are C2 80 to C2 9F: looking for the first byte costs a hundredth of looking for them in the string.
        return repair_line(text).encode() if b"\xc2" in data else data

    def repair(data: bytes) -> bytes:
        if data.isascii():
            return data
        if has_long_line(data):
            return b"".join(repair_line(line).encode() for line in lines_of(data.decode()))
        bounds = np.empty((data.count(b"\n") + 1, 2), np.int64)
        tables = damage.page_of, damage.pages, damage.transitions
        count = find_in_lines(np.frombuffer(data, np.uint8), *tables, np.uint32(damage.start), bounds)
        if not count:
            return data
        pieces: list[bytes] = []
        done = 0
        for begin, end in bounds[:count].tolist():
            pieces += data[done:begin], repaired(data[begin:end])
            done = end
        return b"".join([*pieces, data[done:]])

    return repair
