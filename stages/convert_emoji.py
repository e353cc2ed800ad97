"""Emoji as words that a tokenizer and a keyword filter can read.

The names come from the `emoji` package, the matching does not. `emoji.demojize` rewrites `©`, `™` and `↔`, which are
text, as in `:copyright: 2020`; it glues names to their neighbours (`:Germany::France:`, `so:grinning_face:`) and leaves
joiners behind where it does not know a sequence. It also looks at every character in Python, at 1.7 to 2.2 MB/s. Here one
scan over the bytes of a batch finds the texts that may have an emoji, and a kernel the longest known sequences in those
(emoji_table.py). A pattern of the characters that can start one, and a dict, took four times as
long without emoji and twice as long with them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import pyarrow as pa

from corpusmill.schemas import Document
from corpusmill.stages.base import Apply, DocumentStage, Guard
from corpusmill.stages.compile_ahead import compile_ahead
from corpusmill.stages.emoji_table import STILL_TEXT, EmojiTable, Found, emoji_table

__all__ = ["ConvertEmoji", "EmojiTable"]

Segment = tuple[str, bool]
"""A piece of the text, or the name of an emoji (True)."""

_OPENING = frozenset("\"'¿¡")
_CLOSING = frozenset("\"'.,;!?…،؛؟、。，；！？")


class ConvertEmoji(DocumentStage, frozen=True, kw_only=True):
    """Replace each emoji by its name; flags, keycaps, families and skin tones are one name each.

    Characters that are text unless a selector (U+FE0F) follows, such as `☺ ✔ ↔ ♀`, are left alone without it; `© ® ™`
    are left alone even with it (only the selector goes), because keyboards add it to plain legal notices. A text
    selector (U+FE0E) is honoured. A name has a blank on each side where it would touch a word or another name; none
    where white space, an opening bracket before or a punctuation mark after it is there. Sequences that the installed
    `emoji` package does not know are converted part by part; single flag letters stay. Names follow Unicode CLDR.
    Converting twice changes nothing.
    """

    signals: ClassVar[dict[str, pa.DataType]] = {"emoji": pa.int32()}
    idle_signals: ClassVar[Mapping[str, Any]] = {"emoji": 0}

    mode: Literal["name", "words", "remove", "keep"] = "name"
    """`name` writes `:grinning_face:`, which `emoji.emojize` reads back; `words` writes `grinning face`, which reads as
    part of the sentence and cannot be undone; `remove` deletes; `keep` only counts. Risk of `remove`: the tone of a
    message goes."""
    language: Literal["en", "ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh"] = "en"
    """Language of the names; the same for all documents, whatever they are written in. Risk: names of one language stand
    in texts of another, which filters and models read as a mixture; what a language has no name for is English."""
    text_symbols: bool = False
    """Convert characters that Unicode shows as text unless a selector asks for a picture, and `© ® ™`, as well: then every
    sequence of Unicode's own list becomes one name. Risk: `↔`, `✓`, `♀` and legal notices in running text become names, so the
    default is that of Unicode."""

    @property
    def kernels(self) -> tuple[str, ...]:
        """The parts of `compile_ahead` that it runs."""
        return ("emoji",)

    def guard(self) -> Guard:
        """Return the scan for texts that may have an emoji."""
        compile_ahead(*self.kernels)
        return self._table().may_have_emoji

    def _table(self) -> EmojiTable:
        return emoji_table(self.language, words=self.mode == "words", text_symbols=self.text_symbols)

    def build(self) -> Apply:
        """Load the names, and bind them to the mode."""
        compile_ahead(*self.kernels)
        table = self._table()
        keep, join = self.mode == "keep", _without_names if self.mode == "remove" else _with_names

        def apply(document: Document) -> Document:
            found = table.find(document.text)
            document.signals["emoji"] = sum(name not in STILL_TEXT for _, _, name in found)
            if found and not keep:
                document.text = join(_segments(document.text, found))
            return document

        return apply


def _segments(text: str, found: list[Found]) -> Iterator[Segment]:
    """Yield *text* in pieces: what stays as it is, and the names of emoji."""
    done = 0
    kept: list[str] = []
    for start, end, name in found:
        kept.append(text[done:start])
        done = end
        if name in STILL_TEXT:
            kept.append(name)
            continue
        if before := "".join(kept):
            yield before, False
        kept = []
        yield name, True
    if rest := "".join([*kept, text[done:]]):
        yield rest, False


def _opens(mark: str) -> bool:
    """Return whether a name may follow *mark* without a blank."""
    return mark.isspace() or mark in _OPENING or unicodedata.category(mark) in ("Ps", "Pi")


def _closes(mark: str) -> bool:
    """Return whether *mark* may follow a name without a blank."""
    return mark.isspace() or mark in _CLOSING or unicodedata.category(mark) in ("Pe", "Pf")


def _with_names(segments: Iterator[Segment]) -> str:
    """Return the text with names in place of emoji, one blank wherever two would touch."""
    parts: list[str] = []
    after_name = False
    for piece, is_name in segments:
        touches = bool(parts) and not (not after_name and _opens(parts[-1][-1]) if is_name else _closes(piece[0]))
        parts.append(f" {piece}" if touches else piece)
        after_name = is_name
    return "".join(parts)


def _without_names(segments: Iterator[Segment]) -> str:
    """Return the text without emoji: words stay apart, and no blank is left double, at a line end or before a mark."""
    parts = ["\n"]  # a start that behaves as a line start and is cut off again
    removed = False
    for piece, is_name in segments:
        if is_name:
            removed = True
            continue
        rest = _join(parts, piece) if removed else piece
        if rest:
            parts.append(rest)
            removed = False
    if removed:
        _trim(parts)
    return "".join(parts)[1:]


def _join(parts: list[str], piece: str) -> str:
    """Return *piece* as it follows the last of *parts* where an emoji went; the blank before it may go as well."""
    last = parts[-1][-1]
    if not last.isspace():
        return piece if _opens(last) or _closes(piece[0]) else f" {piece}"
    rest = piece.lstrip(" ")
    if rest and (rest[0] == "\n" or (rest == piece and _closes(rest[0]))):
        _trim(parts)
    return rest


def _trim(parts: list[str]) -> None:
    """Remove the blanks at the end of *parts*, in place."""
    while not (trimmed := parts[-1].rstrip(" ")):
        parts.pop()
    parts[-1] = trimmed
