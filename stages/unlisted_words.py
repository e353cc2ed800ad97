"""The words of a batch that are neither in a dictionary nor derived from words in it, by compiled tables over Arrow buffers.

`correct_spelling` asks of every word whether it is listed, and hardly one is not; asked with `re`, a `Counter` and sets of
strings that took nine tenths of the time of the stage. Which patterns and derivations decide is said there and in
`english_words`; here they become tables, and what the tables cannot rule out is asked there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.stages.automaton import Automaton, compile_patterns, found_in, members
from corpusmill.stages.character_pages import paged
from corpusmill.stages.english_words import ENDINGS, LEAST_PART, PREFIXES, VARIANT_PATTERNS
from corpusmill.stages.text_buffers import TextBuffers, text_buffers

__all__ = ["Unlisted", "UnlistedWords", "WordForm"]

_LEARNED: Final = 1 << 17
"""Words that are kept besides those of the dictionary: about as many as a gigabyte of one language has, in 3 MB."""

_ROOM: Final = 48  # letters of a word, of what is put into it, and what is read with the last of them


class WordForm(NamedTuple):
    """What words look like that are looked at, as members of sets in brackets, and how long they are."""

    letters: str
    not_before: str
    not_after: str
    code: str
    fewest: int
    most: int
    counts: int
    """Letters that a word needs to count."""


class Unlisted(NamedTuple):
    """The unknown words of texts: for each its text, its bounds in the bytes of all, and whether it is long enough to count."""

    totals: npt.NDArray[np.int64]
    """Words of each text that count, known or not."""
    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    counted: npt.NDArray[np.bool_]

    @property
    def missed(self) -> npt.NDArray[np.int64]:
        """Unknown words of each text that count."""
        return np.bincount(self.rows[self.counted], minlength=len(self.totals))


class UnlistedWords:
    """Finds the unknown words of texts, and remembers what became of words that it has seen."""

    def __init__(
        self, form: WordForm, listed: Collection[str], common: Collection[str], is_derived: Callable[[str], bool] | None
    ) -> None:
        from corpusmill.stages.kernels import spelling

        self._form = form
        self._characters = _characters(form)
        self._is_derived = is_derived
        # One bit in 16 or fewer is set.
        self._marks = np.zeros(1 << (len(common) // 4).bit_length(), np.uint64)
        spelling.mark_words(self._marks, *text_buffers(pa.array(list(common), pa.large_string())))
        kinds = [spelling.COMMON if word in common else spelling.LISTED for word in listed]
        self._listed = text_buffers(pa.array(list(listed), pa.large_string())), np.array(kinds, np.uint8)
        letters = "".join(sorted(set("".join(common))))
        self._letters = np.frombuffer(letters.encode(), np.uint8) if letters.isascii() else None
        self._forget()

    def may_be_near(self, word: str) -> bool:
        """Return whether a common word may be one edit away from *word*, which is not listed."""
        from corpusmill.stages.kernels.spelling import is_near_common

        # The kernel edits bytes: it would take no é for an e, and a long word beyond ASCII has more bytes than there is room.
        if self._letters is None or not word.isascii():
            return True
        data = np.frombuffer(word.encode(), np.uint8)
        return bool(is_near_common(self._table, self._marks, data, self._letters, np.empty(_ROOM, np.uint8)))

    def _forget(self) -> None:
        """Keep the words of the dictionary only."""
        self._used = 0
        self._table = np.zeros(0, np.uint64)
        self._add(*self._listed)
        self._first = self._used

    def _add(self, words: TextBuffers, kinds: npt.NDArray[np.uint8]) -> None:
        from corpusmill.stages.kernels.spelling import add_words, copy_words

        self._used += len(kinds)
        if 2 * self._used > self._table.size:
            wider = np.zeros(1 << (3 * self._used).bit_length(), np.uint64)
            copy_words(wider, self._table)
            self._table = wider
        add_words(self._table, *words, kinds)

    def find(self, texts: TextBuffers) -> Unlisted:
        """Return the unknown words of *texts*, in order."""
        from corpusmill.stages.kernels.spelling import UNKNOWN, find_unlisted

        if self._used - self._first > _LEARNED:
            self._forget()
        form = self._form
        room = int((texts.ends - texts.starts).sum()) // 2 + 1
        totals = np.zeros(len(texts.starts), np.int64)
        rows, starts, ends = (np.empty(room, np.int64) for _ in range(3))
        hashes, counted = np.empty(room, np.uint64), np.empty(room, np.bool_)
        lengths = np.array([form.fewest, form.most, form.counts])
        found = find_unlisted(
            *texts, *self._characters, self._table, lengths, totals, rows, starts, ends, hashes, counted
        )
        unknown = hashes[:found] & np.uint64(7) != 0
        new = np.flatnonzero(~unknown)
        if new.size:
            _, first, which = np.unique(hashes[new], return_index=True, return_inverse=True)
            words = TextBuffers(texts.data, _fixed(starts[new][first]), _fixed(ends[new][first]))
            kinds = self._kinds(words)
            self._add(words, kinds)
            unknown[new] = (kinds == UNKNOWN)[which]
        which = np.flatnonzero(unknown)
        return Unlisted(totals, rows[which], starts[which], ends[which], counted[which])

    def _kinds(self, words: TextBuffers) -> npt.NDArray[np.uint8]:
        """Return of unlisted *words* whether they are derived or unknown."""
        from corpusmill.stages.kernels.spelling import DERIVED, UNKNOWN, may_be_derived

        kinds = np.full(len(words.starts), UNKNOWN, np.uint8)
        if self._is_derived is None:
            return kinds
        doubtful = np.empty(len(kinds), np.bool_)
        may_be_derived(self._table, *words, _affixes(), LEAST_PART, np.empty(_ROOM, np.uint8), doubtful)
        for word in np.flatnonzero(doubtful | found_in(words, _variants())).tolist():
            text = words.data[words.starts[word] : words.ends[word]].tobytes().decode()
            if self._is_derived(text):
                kinds[word] = DERIVED
        return kinds


def _fixed(array: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return *array* read-only, as the bounds of texts are: kernels are compiled for that."""
    array.flags.writeable = False
    return array


@functools.cache
def _characters(form: WordForm) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Return the classes of characters: of ASCII, and in pages of all."""
    from corpusmill.stages.kernels import spelling

    classes = (
        members(form.letters) * np.uint8(spelling.LETTER)
        | members(form.not_before) * np.uint8(spelling.NOT_BEFORE)
        | members(form.not_after) * np.uint8(spelling.NOT_AFTER)
        | members(r"\w") * np.uint8(spelling.WORD)
        | members(form.code) * np.uint8(spelling.CODE)
    )
    of_ascii = classes[:128].copy()
    of_ascii.flags.writeable = False
    return of_ascii, *paged(classes)


@functools.cache
def _variants() -> Automaton:
    """Return the automaton that finds what one of the spelling variants may replace."""
    return compile_patterns(VARIANT_PATTERNS)


@functools.cache
def _affixes() -> npt.NDArray[np.uint8]:
    """Return the affixes as `may_be_derived` takes them."""
    affixes = [(prefix, 1, "") for prefix in PREFIXES] + [(ending, 0, base) for ending, base in ENDINGS]
    rows = np.zeros((len(affixes), 3 + max(len(affix) for affix, _, _ in affixes)), np.uint8)
    for row, (affix, is_prefix, instead) in zip(rows, affixes, strict=True):
        row[:3] = len(affix), is_prefix, ord(instead or "\0")
        row[3 : 3 + len(affix)] = list(affix.encode())
    rows.flags.writeable = False
    return rows
