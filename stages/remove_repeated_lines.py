"""Lines that a document says twice: menus, cookie notices, quoted replies, and listings printed once per page.

Repeated lines inflate a document without adding to it, and a model learns to repeat. Gopher (Rae et al. 2021, table A1)
drops a document when more than 20 % of its characters are in repeated lines; but a page with one good article and its
menu three times is worth keeping once the menu is there once. So repeats are removed first, and only what was mostly
repeats is dropped.

Only lines within the document are compared; repeats across a corpus are a matter of deduplication.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop
from corpusmill.stages.base import DocumentStage

__all__ = ["RemoveRepeatedLines", "without_repeats"]

_PARAGRAPH_BREAK = re.compile(r"(\n(?:[^\S\n]*\n)+)")
_LINE_BREAK = re.compile(r"(\n)")


class RemoveRepeatedLines(DocumentStage, frozen=True, kw_only=True):
    """Remove lines or paragraphs that repeat an earlier one, and drop documents that were mostly repeats.

    Two are equal if they are after folding case and white space. The first stays as it was written. Blank lines are
    never repeats; where a removed line leaves blank lines on both sides, those after it go with it. A text without
    repeats is returned unchanged, to the byte. Removing twice removes nothing more.
    """

    reasons: ClassVar[frozenset[str]] = frozenset({"repetitive"})
    signals: ClassVar[dict[str, pa.DataType]] = {"repeated_lines": pa.int32(), "repeated_line_share": pa.float32()}

    unit: Literal["line", "paragraph"] = "line"
    """What is compared. `paragraph` (text between blank lines) spares verse and code, and misses repeated single
    lines."""
    scope: Literal["anywhere", "consecutive"] = "anywhere"
    """`anywhere` compares with everything before; `consecutive` only with the line right before, blank lines aside.
    Risk of `anywhere`: refrains longer than `minimum_characters` are sung once."""
    minimum_characters: Annotated[int, Meta(ge=1)] = 30
    """Shorter lines may repeat as they like: braces, list items, table cells, short refrains. Risk of low values: code
    and verse lose lines; of high ones: menus made of short lines stay. Chinese and Japanese say as much in a third of
    that."""
    maximum_share: Annotated[float, Meta(ge=0, le=1)] | None = 0.5
    """Drop a document (`repetitive`) with more than this share of its characters in repeats; None never drops. Risk of
    low values: Gopher's 0.2 drops pages that are good once cleaned."""

    def apply(self, document: Document) -> Document | Drop:
        """Remove the repeats of one document, or drop it."""
        text, repeats, characters = without_repeats(
            document.text,
            self.minimum_characters,
            paragraphs=self.unit == "paragraph",
            anywhere=self.scope == "anywhere",
        )
        share = characters / max(len(document.text) - document.text.count("\n"), 1)
        document.text = text
        document.signals["repeated_lines"] = repeats
        document.signals["repeated_line_share"] = share
        if self.maximum_share is not None and share > self.maximum_share:
            return Drop("repetitive", share, self.maximum_share)
        return document


def without_repeats(
    text: str, minimum_characters: int, *, paragraphs: bool = False, anywhere: bool = True
) -> tuple[str, int, int]:
    r"""Return *text* without repeats, how many were removed, and how many characters they had.

    >>> without_repeats("Accept all cookies\nNews\nACCEPT  all cookies\nNews", 10)
    ('Accept all cookies\nNews\nNews', 1, 19)
    """
    pieces = (_PARAGRAPH_BREAK if paragraphs else _LINE_BREAK).split(text)
    seen: set[str] = set()
    kept: list[str] = []
    repeats = characters = 0
    open_blank = True  # whether what is kept so far ends with a blank line, or is empty
    removed = False  # whether a repeat was removed since the last line that was kept
    for at in range(0, len(pieces), 2):
        unit, separator = pieces[at], pieces[at + 1] if at + 1 < len(pieces) else ""
        key = " ".join(unit.split()).casefold()
        if len(key) >= minimum_characters and key in seen:
            repeats += 1
            characters += len(unit) - unit.count("\n")
            removed = True
            continue
        if key:
            if not anywhere:
                seen.clear()
            seen.add(key)
        elif removed and open_blank:
            continue
        kept += [unit, separator]
        open_blank = not key
        removed = False
    if not repeats:
        return text, 0, 0
    return _ended_like(text, "".join(kept)), repeats, characters


def _ended_like(text: str, result: str) -> str:
    """Return *result* with the line breaks at its end that *text* has there: a removed last line leaves none open."""
    return result.rstrip("\n") + text[len(text.rstrip("\n")) :]
