"""Emoji as words that a tokenizer and a keyword filter can read.

The names come from the `emoji` package, the matching does not. `emoji.demojize` rewrites `©`, `™` and `↔`, which are
text, as in `:copyright: 2020`; it glues names to their neighbours (`:Germany::France:`, `so:grinning_face:`) and leaves
joiners behind where it does not know a sequence. It also looks at every character in Python, at 1.7 to 2.2 MB/s. Here a
pattern finds the few characters that can start an emoji, and the longest known sequence is looked up in a dict: 40 MB/s
with five emoji a document, several hundred MB/s without any.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import ClassVar, Literal

import pyarrow as pa

from corpusmill.schemas import Document
from corpusmill.stages.base import Apply, DocumentStage

__all__ = ["ConvertEmoji", "EmojiTable"]

Found = tuple[int, int, str]
"""Start, end and name of an emoji; the span includes selectors and joiners around it that belong to nothing else."""
Segment = tuple[str, bool]
"""A piece of the text, or the name of an emoji (True)."""

# Characters that may start an emoji: keycaps, the few below the arrows only with a selector, then blocks. Merged on
# purpose: a class of all 1,400 first characters ran at 3 MB/s, this one at several hundred.
_CANDIDATE = re.compile(
    "[0-9#*]\ufe0f?\u20e3|[\xa9\xae\u203c\u2049\u2122\u2139]\ufe0f"
    "|[\u2194-\u21aa\u231a-\u23fa\u24c2\u25aa-\u27bf\u2934-\u2b55\u3030-\u303d\u3297\u3299\U0001f004-\U0001faff]"
)
_OPENING = frozenset("\"'¿¡")
_CLOSING = frozenset("\"'.,;!?…،؛؟、。，；！？")
_ENDS = re.compile("[\u200d\ufe0f\U000e0020-\U000e007f]+")  # joiner, emoji selector, tags: nothing without an emoji
_DANGLING = "\u200d\ufe0f"
_TEXT_SELECTOR = "\ufe0e"
_STILL_TEXT = frozenset("©®™")
_FLAG_PAIR = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
_UNQUALIFIED = 4  # status of the emoji package: the sequence lacks the selector that makes it an emoji


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

    mode: Literal["name", "words", "remove", "keep"] = "name"
    """`name` writes `:grinning_face:`, which `emoji.emojize` reads back; `words` writes `grinning face`, which reads as
    part of the sentence and cannot be undone; `remove` deletes; `keep` only counts. Risk of `remove`: the tone of a
    message goes."""
    language: Literal["en", "ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh"] = "en"
    """Language of the names; the same for all documents, whatever they are written in."""

    def build(self) -> Apply:
        """Load the names, and bind them to the mode."""
        table = EmojiTable(self.language, words=self.mode == "words")
        keep, join = self.mode == "keep", _without_names if self.mode == "remove" else _with_names

        def apply(document: Document) -> Document:
            found = table.find(document.text)
            document.signals["emoji"] = sum(name not in _STILL_TEXT for _, _, name in found)
            if found and not keep:
                document.text = join(_segments(document.text, found))
            return document

        return apply


class EmojiTable:
    """The known emoji sequences and their names in one language; English where the language has none.

    >>> EmojiTable("en").find("so ☺ or ☺\ufe0f")
    [(8, 10, ':smiling_face:')]
    """

    def __init__(self, language: str, *, words: bool = False) -> None:
        import emoji

        if language != "en":
            emoji.config.load_language(language)
        self.names: dict[str, str] = {}
        lengths: dict[str, set[int]] = {}
        for sequence, data in emoji.EMOJI_DATA.items():
            if len(sequence) == 1 and data["status"] == _UNQUALIFIED:
                continue
            name = str(data.get(language) or data["en"])
            name = name.strip(":").replace("_", " ") if words else name
            self.names[sequence] = sequence[0] if sequence[0] in _STILL_TEXT else name
            lengths.setdefault(sequence[0], set()).add(len(sequence))
        self.lengths = {first: tuple(sorted(sizes, reverse=True)) for first, sizes in lengths.items()}

    def find(self, text: str) -> list[Found]:
        """Return the emoji of *text* in order, each the longest known sequence from where it starts, in one pass."""
        found: list[Found] = []
        at = done = 0
        while candidate := _CANDIDATE.search(text, at):
            start = candidate.start()
            sequence = self._longest(text, start)
            # Flag letters pair up from the left (UAX #29): an unknown pair is skipped whole.
            at = start + (len(sequence) or (2 if _FLAG_PAIR.match(text, start) else 1))
            if not sequence or text[at : at + 1] == _TEXT_SELECTOR:
                continue
            if ends := _ENDS.match(text, at):
                at = ends.end()
            start = done + len(text[done:start].rstrip(_DANGLING))
            found.append((start, at, self.names[sequence]))
            done = at
        return found

    def _longest(self, text: str, start: int) -> str:
        """Return the longest known sequence at *start*, or an empty string."""
        for size in self.lengths.get(text[start], ()):
            sequence = text[start : start + size]
            if sequence in self.names:
                return sequence
        return ""


def _segments(text: str, found: list[Found]) -> Iterator[Segment]:
    """Yield *text* in pieces: what stays as it is, and the names of emoji."""
    done = 0
    kept: list[str] = []
    for start, end, name in found:
        kept.append(text[done:start])
        done = end
        if name in _STILL_TEXT:
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
