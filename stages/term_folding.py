"""Text made comparable: case folded, composed, freed of what a reader does not see, with the way back to the original offsets.

Composing is quadratic in a run of combining marks (80,000 of them take five seconds), so a run is taken in pieces of 30, the
limit of the stream-safe text format (UAX #15): what comes after them composes with nothing.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

__all__ = ["IGNORED", "KATAKANA", "MARKS", "SAME", "SPECIAL", "UNSPACED", "Folded", "fold", "is_word"]

# Characters that a reader does not see inside a word: soft hyphen, joiners, direction marks, variation selectors, overlays,
# Arabic and Hebrew vowel points, tatweel.
IGNORED = (
    "\u00ad\u034f\u0335-\u0338\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u0640\u064b-\u065f\u0670\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff"
)
# Characters whose case folding is longer than they are (a test compares with Python's tables), or that NFC takes apart.
_LONGER = "\u00df\u0130\u0149\u01f0\u0390\u03b0\u0587\u0958-\u095f\u1e96-\u1e9e\u1f50-\u1ffc\ufb00-\ufb17"
_STYLED = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff"  # full width and mathematical letters
MARKS = "\u0300-\u0334\u0339-\u034e\u0350-\u036f\u3099\u309a"  # accents and kana voicing marks that NFC composes
SPECIAL = re.compile(f"[{MARKS}]{{1,30}}|[{_LONGER}{_STYLED}\ud800-\udfff]|[{IGNORED}]+")
_IS_MARK = re.compile(f"[{MARKS}]")
_IS_IGNORED = re.compile(f"[{IGNORED}]+")
_LONGEST_CLUSTER = 32  # a letter and its marks have 31 characters; only what a reader does not see comes in longer runs
_IS_STYLED = re.compile(f"[{_STYLED}]")

# Spellings that writers swap freely: one for one, so that offsets stay.
SAME = (
    ("ё", "е"),
    ("ı", "i"),
    ("أ", "ا"),
    ("إ", "ا"),
    ("آ", "ا"),
    ("ٱ", "ا"),
    ("ى", "ي"),
    ("ی", "ي"),
    ("ک", "ك"),
    ("’", "'"),
)

# Han, hiragana, Bopomofo, Yi, Thai, Lao, Tibetan, Myanmar, Khmer: no space between words.
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u309f\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")


class Folded(NamedTuple):
    """A text made comparable, and where its characters came from.

    `places` holds places in `text`, `sources` the offsets in the original from which they came; both ascend, and between two
    places offsets run in step. Empty where every character kept its place.
    """

    text: str
    places: list[int]
    sources: list[int]

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets in the original of a span in the folded text; a cluster is taken whole."""
        if not self.places:
            return start, end
        left = bisect_right(self.places, start) - 1
        right = bisect_right(self.places, end - 1) - 1
        first, last = self.sources[left], self.sources[right]
        if not self._replaced(left):
            first += start - self.places[left]
        if not self._replaced(right):
            return first, last + end - self.places[right]
        return first, self.sources[right + 1]

    def _replaced(self, at: int) -> bool:
        """Return whether the stretch *at* stands for other characters: stretches alternate, plain ones first."""
        return at % 2 == 1


def fold(text: str) -> Folded:
    r"""Return *text* case-folded, composed (NFC) and freed of characters that a reader does not see.

    Full case folding: `ß` becomes `ss`; but `İ` becomes a plain `i`, and `ı` too, so that no text is lost to its case.

    >>> fold("STRASSE").text == fold("Straße").text == fold("stra\u00adsse").text
    True
    >>> fold("Ein Spaß mehr").source_span(4, 9), "Ein Spaß mehr"[4:8]
    ((4, 8), 'Spaß')
    """
    if text.isascii():
        return Folded(text.lower(), [], [])
    if not SPECIAL.search(text):
        return Folded(_unify(text.casefold()), [], [])
    pieces: list[str] = []
    places, sources = [0], [0]
    at = done = 0
    for special in SPECIAL.finditer(text):
        start, end = special.span()
        if start > done and _IS_MARK.match(text, start):
            start -= 1
        plain = text[done:start].casefold()
        replacement = _replacement(text[start:end]) if end - start <= _LONGEST_CLUSTER else ""
        pieces += (plain, replacement)
        places += (at + len(plain), at + len(plain) + len(replacement))
        sources += (start, end)
        at, done = places[-1], end
    pieces.append(text[done:].casefold())
    return Folded(_unify("".join(pieces)), places, sources)


@lru_cache(maxsize=4096)
def _replacement(cluster: str) -> str:
    """Return what stands for one character or cluster that has no folding of its own length."""
    if _IS_IGNORED.fullmatch(cluster):
        return ""
    if "\ud800" <= cluster <= "\udfff":
        return "\ufffd"
    if cluster == "\u0130":
        return "i"
    composed = unicodedata.normalize("NFKC" if _IS_STYLED.match(cluster) else "NFC", cluster)
    folded = composed.casefold()
    return unicodedata.normalize("NFC", folded).replace("i\u0307", "i")


def _unify(folded: str) -> str:
    """Return *folded* with one spelling for letters that writers swap."""
    for written, plain in SAME:
        folded = folded.replace(written, plain)
    return folded


def is_word(character: str) -> bool:
    """Return whether *character* continues a word: a letter, a digit, an underscore, or a mark on one of these."""
    return (
        character.isalnum() or character == "_" or (character > "\u02ff" and unicodedata.category(character)[0] == "M")
    )
