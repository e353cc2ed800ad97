"""Lines and paragraphs as they are compared and removed.

They are in one place, so that repeats within a document and across a site are the same and leave the same text behind.
"""

from __future__ import annotations

import re
from collections.abc import Container

__all__ = ["characters_of", "folded", "remove_units", "units_of"]

_PARAGRAPH_BREAK = re.compile(r"(\n(?:[^\S\n]*\n)+)")


def units_of(text: str, *, paragraphs: bool = False) -> tuple[list[str], list[str]]:
    r"""Return the lines (or paragraphs) of *text* and what separates each from the next; the last has no separator.

    >>> units_of("a\n\nb", paragraphs=True)
    (['a', 'b'], ['\n\n'])
    """
    if paragraphs:
        pieces = _PARAGRAPH_BREAK.split(text)
        return pieces[::2], pieces[1::2]
    lines = text.split("\n")
    return lines, ["\n"] * (len(lines) - 1)


def folded(unit: str) -> str:
    r"""Return what two units are compared by: without case, and with runs of white space as one space.

    >>> folded("  Accept ALL\tcookies ")
    'accept all cookies'
    """
    # Of white space only the space is printable, and most lines hold nothing to collapse: 78 MB/s instead of 64.
    usual = unit.isprintable() and "  " not in unit
    return (unit.strip() if usual else " ".join(unit.split())).casefold()


def remove_units(text: str, units: list[str], separators: list[str], gone: Container[int]) -> tuple[str, int]:
    r"""Return *text* without the units whose numbers are in *gone*, and how many characters those had.

    Where a removed unit leaves blank lines on both sides, those after it go with it. The line breaks at the end stay as they
    are in *text*: a removed last line leaves none open.

    >>> remove_units("a\n\nb\n\nc\n", ["a", "", "b", "", "c", ""], ["\n"] * 5, {2})
    ('a\n\nc\n', 1)
    """
    kept: list[str] = []
    characters = 0
    open_blank = True  # whether what is kept so far ends with a blank line, or is empty
    removed = False  # whether a unit was removed since the last one that was kept
    for at, unit in enumerate(units):
        if at in gone:
            characters += characters_of(unit)
            removed = True
            continue
        blank = not unit or unit.isspace()
        if blank and removed and open_blank:
            continue
        kept.append(unit)
        if at < len(separators):
            kept.append(separators[at])
        open_blank = blank
        removed = False
    return "".join(kept).rstrip("\n") + text[len(text.rstrip("\n")) :], characters


def characters_of(text: str) -> int:
    """Return the characters of *text*, line breaks aside."""
    return len(text) - text.count("\n")
