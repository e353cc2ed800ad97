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

__all__ = ["SEGMENT", "damage_patterns", "has_long_line", "line_repair", "text_repair"]

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
    return len(data) > SEGMENT and any(len(line) > SEGMENT for line in data.split(b"\n"))


def line_repair() -> Callable[[str], str]:
    """Return ftfy's encoding repair of one line, with every repair of bytes on and nothing else."""
    import ftfy

    config = ftfy.TextFixerConfig(explain=False)

    def repair(line: str) -> str:
        if line.isascii():
            return line
        pieces = [line] if len(line) <= SEGMENT else [line[at : at + SEGMENT] for at in range(0, len(line), SEGMENT)]
        fixed = "".join(str(ftfy.fix_encoding_and_explain(piece, config).text) for piece in pieces)
        return str(ftfy.fixes.fix_c1_controls(ftfy.fixes.fix_surrogates(fixed)))

    return repair


def text_repair(damage: Automaton) -> Callable[[bytes], bytes]:
    """Return the repair of a text in UTF-8; *damage* finds what `damage_patterns` say."""
    from corpusmill.stages.kernels.text_scan import find_in_lines

    repair_line = line_repair()

    def repair(data: bytes) -> bytes:
        if data.isascii():
            return data
        if has_long_line(data):
            return b"\n".join(repair_line(line.decode()).encode() for line in data.split(b"\n"))
        bounds = np.empty((data.count(b"\n") + 1, 2), np.int64)
        tables = damage.page_of, damage.pages, damage.transitions
        count = find_in_lines(np.frombuffer(data, np.uint8), *tables, np.uint32(damage.start), bounds)
        if not count:
            return data
        pieces: list[bytes] = []
        done = 0
        for begin, end in bounds[:count].tolist():
            pieces += data[done:begin], repair_line(data[begin:end].decode()).encode()
            done = end
        return b"".join([*pieces, data[done:]])

    return repair
