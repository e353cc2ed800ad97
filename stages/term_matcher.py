r"""Whole-word matching of thousands of terms in any script, with offsets into the text as it was given.

One Aho-Corasick automaton (`ahocorasick_rs`) finds where the longest word of a term occurs in the case-folded text; everything
that makes such a place a match (word boundaries, the rest of a phrase, clitics, Turkish i) is looked at only there, which is
rare in ordinary text. An alternation in `re` ran at 0.8 MB/s with 4,700 terms against 116 for the automaton, and gives
boundaries by `\w`, which splits a Devanagari word at its vowel signs. A google-re2 alternation was faster still (162 MB/s),
but reports one match per place, so that a longer term and the innocent word that contains it cannot both be seen.

Plain substring search, usual for scripts without spaces, fired on 12 % of Japanese and 19 % of Thai news with a public list.
Here a term can lie inside allowed words, katakana runs count as words, and a Thai match must not cut a syllable.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

__all__ = ["Folded", "Match", "TermMatcher", "fold"]

# Characters that a reader does not see inside a word: soft hyphen, joiners, direction marks, variation selectors, overlays,
# Arabic and Hebrew vowel points, tatweel.
_IGNORED = (
    "\u00ad\u034f\u0335-\u0338\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u0640\u064b-\u065f\u0670\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff"
)
# Characters whose case folding is longer than they are (a test compares with Python's tables), or that NFC takes apart.
_LONGER = "\u00df\u0130\u0149\u01f0\u0390\u03b0\u0587\u0958-\u095f\u1e96-\u1e9e\u1f50-\u1ffc\ufb00-\ufb17"
_STYLED = "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff"  # full width and mathematical letters
_MARKS = "\u0300-\u0334\u0339-\u034e\u0350-\u036f\u3099\u309a"  # accents and kana voicing marks that NFC composes
_SPECIAL = re.compile(f"[{_MARKS}]+|[{_LONGER}{_STYLED}\ud800-\udfff]|[{_IGNORED}]+")
_IS_MARK = re.compile(f"[{_MARKS}]")
_IS_IGNORED = re.compile(f"[{_IGNORED}]+")
_IS_STYLED = re.compile(f"[{_STYLED}]")

# Spellings that writers swap freely: one for one, so that offsets stay.
_SAME = (
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
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u309f\u3105-\u312f\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_THAI_CONSONANT = re.compile("[\u0e01-\u0e2e]")
_THAI_BEFORE = (
    "\u0e40\u0e41\u0e42\u0e43\u0e44\u0e31\u0e47"  # vowels written before their consonant, or that want a final one
)
_THAI_AFTER = "\u0e30\u0e32\u0e33\u0e45"  # vowels written after their consonant; those above and below are marks

# Between the words of a phrase: a few blanks, a line break, or a hyphen; never an empty line.
_GAP = "(?:[ \t\xa0\u2009\u202f\u3000]{1,4}|[ \t\xa0]{0,4}\r?\n[ \t\xa0]{0,4}|[-\u2010\u2011])"
_LONGEST_GAP = 10
_LONGEST_WORD = 64
_SHORTEST_HOST = 3

_PROCLITICS = {
    "ar": ("وبال", "وال", "فال", "بال", "كال", "ولل", "ال", "لل", "يا", "و", "ف", "ب", "ل", "ك"),
    "he": ("וה", "שה", "וש", "לה", "מה", "ה", "ו", "ב", "ל", "מ", "ש", "כ"),
}
"""Particles that Arabic and Hebrew write together with the word that follows."""
_DOTTED_I = frozenset({"tr", "az"})
"""Languages in which i and ı are different letters, so that a capital I is no i."""


class Match(NamedTuple):
    """A term found: offsets in code points of the text as given, and the position of the term in the list."""

    start: int
    end: int
    term: int


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
    if not _SPECIAL.search(text):
        return Folded(_unify(text.casefold()), [], [])
    pieces: list[str] = []
    places, sources = [0], [0]
    at = done = 0
    for special in _SPECIAL.finditer(text):
        start, end = special.span()
        if start > done and _IS_MARK.match(text, start):
            start -= 1
        plain = text[done:start].casefold()
        replacement = _replacement(text[start:end])
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
    for written, plain in _SAME:
        folded = folded.replace(written, plain)
    return folded


def _is_word(character: str) -> bool:
    """Return whether *character* continues a word: a letter, a digit, an underscore, or a mark on one of these."""
    return (
        character.isalnum() or character == "_" or (character > "\u02ff" and unicodedata.category(character)[0] == "M")
    )


class _Rule(NamedTuple):
    """What must hold around an occurrence of a term's anchor, its longest word."""

    term: int
    head: str
    reach: int
    tail: str
    open_start: bool
    open_end: bool
    proclitics: tuple[str, ...]
    dots: tuple[bool, ...] | None


class _Anchor(NamedTuple):
    """The terms that share an anchor, and whether all of them need a word border before and after it."""

    rules: tuple[_Rule, ...]
    bordered_start: bool
    bordered_end: bool


def _dots(text: str, most: int | None = None) -> tuple[bool, ...]:
    """Return for each i of *text* (for *most* of them), as Turkish reads it, whether it has its dot."""
    return tuple(c in "iİ" for c in unicodedata.normalize("NFC", text) if c in "iıIİ")[:most]


class TermMatcher:
    """Finds terms as whole words; built once, used for many texts, in time linear in the text.

    A term is a word or a phrase; a star at its end or start stands for any rest of the word (at most 64 characters).
    *languages* gives the language of each term (empty: none), which decides on clitics and on the Turkish i. A term of a
    script without spaces matches anywhere, but katakana only as a whole run of katakana and Thai only at borders of
    syllables. Matches that lie inside a match of one of the *allowed* words or phrases do not count.
    """

    def __init__(self, terms: Sequence[str], languages: Sequence[str], allowed: Iterable[str] = ()) -> None:
        import ahocorasick_rs

        rules: dict[str, list[_Rule]] = {}
        innocent = sorted(set(allowed))
        listed = [*zip(terms, languages, range(len(terms)), strict=True), *((word, "", -1) for word in innocent)]
        for term, language, number in listed:
            anchor, rule = _rule(term, language, number)
            if anchor:
                rules.setdefault(anchor, []).append(rule)
        self._anchors = [_anchor(found) for found in rules.values()]
        self._automaton = ahocorasick_rs.AhoCorasick(list(rules), implementation=ahocorasick_rs.Implementation.DFA)

    def find(self, text: str) -> list[Match]:
        """Return every match in order of start, overlapping ones included, except those inside allowed words."""
        folded = fold(text)
        occurrences = self._automaton.find_matches_as_indexes(folded.text, overlapping=True)
        matches: list[Match] = []
        innocent: list[tuple[int, int]] = []
        for number, start, end in occurrences:
            anchor = self._anchors[number]
            if anchor.bordered_start and start and _joined(folded.text[start - 1], folded.text[start]):
                continue
            if anchor.bordered_end and end < len(folded.text) and _joined(folded.text[end - 1], folded.text[end]):
                continue
            for rule in anchor.rules:
                span = _match(folded.text, start, end, rule)
                if span is None:
                    continue
                if rule.term < 0:
                    innocent.append(span)
                elif rule.dots is None or _dots(text[slice(*folded.source_span(*span))], len(rule.dots)) == rule.dots:
                    matches.append(Match(*span, rule.term))
        matches = [Match(*folded.source_span(m.start, m.end), m.term) for m in _outside(matches, innocent)]
        return sorted(matches, key=lambda m: (m.start, -m.end, m.term))


def _anchor(rules: Sequence[_Rule]) -> _Anchor:
    """Return *rules*, which share an anchor, with what can be asked once for all of them."""
    return _Anchor(
        tuple(rules),
        all(rule.head or not (rule.open_start or rule.proclitics) for rule in rules),
        all(rule.tail or not rule.open_end for rule in rules),
    )


def _rule(term: str, language: str, number: int) -> tuple[str, _Rule]:
    """Return the longest word of *term*, folded, and what must hold around it."""
    term = term.strip()
    bare = term.strip("*").strip()
    words = fold(bare).text.split() or [""]
    at = max(range(len(words)), key=lambda i: len(words[i]))
    before, after = words[:at], words[at + 1 :]
    head = "".join(re.escape(word) + _GAP for word in before) + r"\Z" if before else ""
    tail = "".join(_GAP + re.escape(word) for word in after)
    # Terms of one or two letters are left alone: with a particle before them they look like too many other words.
    proclitics = _PROCLITICS.get(language, ()) if len(words[0]) >= _SHORTEST_HOST else ()
    dots = _dots(bare) if language in _DOTTED_I else ()
    reach = sum(len(word) + _LONGEST_GAP for word in before)
    return words[at], _Rule(
        number, head, reach, tail, term.startswith("*"), term.endswith("*"), proclitics, dots or None
    )


@lru_cache(maxsize=8192)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile the rest of a phrase when its anchor first turns up: most never do, and all of them take a third of a second."""
    return re.compile(pattern)


def _match(text: str, start: int, end: int, rule: _Rule) -> tuple[int, int] | None:
    """Return the span of the match whose anchor is at *start*, or None if there is none."""
    if rule.head:
        before = _compiled(rule.head).search(text, max(0, start - rule.reach), start)
        if before is None:
            return None
        start = before.start()
    if rule.tail:
        after = _compiled(rule.tail).match(text, end)
        if after is None:
            return None
        end = after.end()
    begins, ends = _begins(text, start, rule.proclitics), _ends(text, end)
    if not (begins or rule.open_start) or not (ends or rule.open_end):
        return None
    if not begins:
        limit = max(0, start - _LONGEST_WORD)
        while start > limit and _is_word(text[start - 1]):
            start -= 1
    if not ends:
        limit = min(len(text), end + _LONGEST_WORD)
        while end < limit and _is_word(text[end]):
            end += 1
    return start, end


def _begins(text: str, start: int, proclitics: tuple[str, ...]) -> bool:
    """Return whether a word can begin at *start*."""
    if start == 0 or not _joined(text[start - 1], text[start]):
        return start == 0 or not (text[start - 1] in _THAI_BEFORE and _THAI_CONSONANT.match(text[start]) is not None)
    return any(
        text.endswith(particle, 0, start) and _begins(text, start - len(particle), ()) for particle in proclitics
    )


def _ends(text: str, end: int) -> bool:
    """Return whether a word can end at *end*."""
    if end == len(text):
        return True
    following = text[end]
    if "\u0e00" <= following <= "\u0e7f":
        return following not in _THAI_AFTER and unicodedata.category(following)[0] != "M"
    return not _joined(text[end - 1], following)


def _joined(left: str, right: str) -> bool:
    """Return whether two neighbouring characters belong to one word."""
    if left < "\u0300" and right < "\u0300":
        return (left.isalnum() or left == "_") and (right.isalnum() or right == "_")
    if _KATAKANA.match(left) or _KATAKANA.match(right):
        return _KATAKANA.match(left) is not None and _KATAKANA.match(right) is not None
    if _UNSPACED.match(left) or _UNSPACED.match(right):
        return False
    return _is_word(left) and _is_word(right)


def _outside(matches: list[Match], innocent: list[tuple[int, int]]) -> list[Match]:
    """Return the matches that no *innocent* span covers."""
    if not innocent:
        return matches
    innocent.sort()
    starts = [start for start, _ in innocent]
    furthest = list(accumulate((end for _, end in innocent), max))
    return [m for m in matches if not (at := bisect_right(starts, m.start)) or furthest[at - 1] < m.end]
