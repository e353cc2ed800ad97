"""The n-grams of evaluation sets in a table that documents are looked up in.

Memory is about 20 bytes an n-gram: a sorted key of 64 bits, its number (32), its length (8), 8 to 16 bits of bucket index and a
bit filter of 16 to 32. Rejected: a dict of n-grams (lm-evaluation-harness, ten times the memory) and a Bloom filter alone (Dolma,
BFF), which can name no item, and whose false hits drop documents. A key is a hash that is not verified: with 1e8 n-grams and a
corpus of 1e12 words, five windows in all are expected to be hit by chance (1e8 · 1e12 / 2^64).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.schemas import RecipeError
from corpusmill.stages.characters import character_table
from corpusmill.stages.evaluation_passages import NgramRules, Passages, gather, texts_of
from corpusmill.stages.reference_files import reference_files, reference_names
from corpusmill.stages.text_buffers import text_buffers

__all__ = ["EvaluationIndex", "FileSummary", "Match"]


class FileSummary(NamedTuple):
    """What became of the items of one file."""

    name: str
    items: int
    duplicates: int
    """Items that say the same as an earlier one of the file."""
    too_short: int
    """Items that cannot be found because no text of theirs has enough words."""
    common: int
    """Items that cannot be found because all their n-grams are common, excepted, or say too little."""


class Match(NamedTuple):
    """What a document shares with evaluation sets."""

    share: float
    """Share of the words of the passage that is covered best."""
    ref: str
    """The item which that passage is of."""
    ngrams: int
    """How many n-grams of the document are in any passage."""
    windows: npt.NDArray[np.int64]
    """Those that are in a passage which is covered enough; see `EvaluationIndex.windows_of`."""


class EvaluationIndex:
    """The n-grams of all items of some files, and whose they are.

    Raises:
        RecipeError: a file cannot be read, a field is in none of them, or nothing is left to look for.

    """

    def __init__(
        self,
        references: Sequence[str],
        rules: NgramRules,
        *,
        fields: Sequence[str],
        id_fields: Sequence[str],
        maximum_items: int | None,
        exceptions: Sequence[str],
    ) -> None:
        self._rules = rules
        self.idle_exceptions: list[str] = []
        """Files of exceptions that have no n-gram which is looked for."""
        self.plain = 0
        """N-grams that are not looked for because they say too little: see `kernels.ngrams.windows`."""
        passages = gather(references, rules, fields, id_fields)
        self._refs = pa.array(passages.refs, pa.large_string())
        self._items = np.array(passages.items, np.int64)
        self._words = np.array(passages.words, np.int64)
        self._offsets = np.concatenate([[0], np.cumsum(np.array(passages.numbers, np.int64))]).astype(np.int64)
        self._lengths = _joined(passages.lengths, np.uint8)
        self._shorter = np.unique(self._words[np.array(passages.short, np.bool_)])
        self._tail_bits, self._tail_shift = _bit_filter(_joined(passages.tails, np.uint64))
        self._sort(_joined(passages.keys, np.uint64))
        self._leave_out_plain_and_common(passages, maximum_items)
        self._make_filter()
        if exceptions:
            self._leave_out(exceptions)
            self._make_filter()
        self._coverable = self._count_coverable()
        self.files = self._summaries(passages)
        if not len(self._keys):
            short, common = sum(file.too_short for file in self.files), sum(file.common for file in self.files)
            raise RecipeError(
                f"there is nothing to look for: {short:,} items have no text of {rules.least} words or more, {common:,} only "
                "n-grams that are common, excepted or say too little; set minimum_words lower or maximum_items higher, or name "
                "other fields"
            )

    def _sort(self, keys: npt.NDArray[np.uint64]) -> None:
        from corpusmill.stages.kernels.ngram_table import sorted_with_numbers

        if len(keys) >= 2**32:
            raise RecipeError("the references have more than 4,294,967,295 n-grams; divide them between several stages")
        self._keys, self._numbers = sorted_with_numbers(keys)

    def _leave_out_plain_and_common(self, passages: Passages, maximum_items: int | None) -> None:
        from corpusmill.stages.kernels.ngram_table import mark_common, mark_empty

        kept = np.ones(len(self._keys), np.bool_)
        mark_empty(self._numbers, self._lengths, kept)
        self.plain = len(kept) - int(kept.sum())
        if maximum_items is not None:
            shared = _shared(passages)
            shared = shared[np.argsort(shared[:, 1], kind="stable")]
            shared_offsets = np.searchsorted(shared[:, 1], np.arange(len(self._items) + 1))
            groups, short = np.array(passages.groups, np.int64), np.array(passages.short, np.bool_)
            mark_common(
                self._keys,
                self._numbers,
                self._offsets,
                self._items,
                shared_offsets,
                shared[:, 0].copy(),
                groups,
                short,
                maximum_items,
                kept,
            )
        self._keys, self._numbers = self._keys[kept], self._numbers[kept]

    def _leave_out(self, exceptions: Sequence[str]) -> None:
        """Leave out what the texts of some files have."""
        kept = np.ones(len(self._keys), np.bool_)
        paths = reference_files(exceptions, licenses=True)
        for path, name in zip(paths, reference_names(paths), strict=True):
            idle = True
            for texts in texts_of(path):
                places = np.unique(self.windows_of(pa.array(texts, pa.large_string()))[:, 3])
                for place, behind in zip(places, self._behind(places), strict=True):
                    kept[place:behind] = idle = False
            if idle:
                self.idle_exceptions.append(name)
        self._keys, self._numbers = self._keys[kept], self._numbers[kept]

    def _make_filter(self) -> None:
        """Build the bit filter, and the index of buckets: where in the keys those with each beginning start."""
        self._bits, self._shift = _bit_filter(self._keys)
        begins = np.arange(1, len(self._bits), dtype=np.uint64) << np.uint64(self._shift)
        places = np.searchsorted(self._keys, begins)
        self._buckets = np.concatenate([[0], places, [len(self._keys)]]).astype(np.uint32)

    def _count_coverable(self) -> npt.NDArray[np.int64]:
        """Return how many words of each passage lie in n-grams that are looked for."""
        from corpusmill.stages.kernels.ngram_table import coverable_words

        kept = np.zeros(len(self._lengths), np.bool_)
        kept[self._numbers] = True
        coverable = np.zeros(len(self._words), np.int64)
        coverable_words(self._offsets, self._words, self._lengths, kept, coverable)
        return coverable

    def _summaries(self, passages: Passages) -> list[FileSummary]:
        shared = _shared(passages)
        items = np.concatenate([self._items, shared[:, 0]])
        held = np.concatenate([np.arange(len(self._items)), shared[:, 1]])
        has_passages, findable = np.zeros(len(self._refs), np.bool_), np.zeros(len(self._refs), np.bool_)
        has_passages[items] = True
        findable[items[self._coverable[held] > 0]] = True
        files = np.array(passages.files, np.int64)
        too_short = np.bincount(files[~has_passages], minlength=len(passages.counts))
        common = np.bincount(files[has_passages & ~findable], minlength=len(passages.counts))
        return [
            FileSummary(*count, int(too_short[number]), int(common[number]))
            for number, count in enumerate(passages.counts)
        ]

    @property
    def ngrams(self) -> int:
        """How many n-grams are looked for; one that several passages have counts for each."""
        return len(self._keys)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the table takes."""
        arrays = (self._keys, self._numbers, self._lengths, self._bits, self._buckets, self._tail_bits, self._offsets)
        return sum(int(array.nbytes) for array in (*arrays, self._words, self._items, self._coverable, self._refs))

    def windows_of(self, texts: pa.Array) -> npt.NDArray[np.int64]:
        """Return the n-grams of *texts* that are in the table: rows of text, end and length in words, place in the table."""
        from corpusmill.stages.kernels.ngrams import find

        rules = self._rules
        found: npt.NDArray[np.int64] = find(
            *text_buffers(texts),
            rules.letters,
            *character_table(),
            rules.powers,
            rules.size,
            rules.least,
            self._shorter,
            self._bits,
            self._shift,
            self._buckets,
            self._keys,
            self._tail_bits,
            self._tail_shift,
        )
        return found

    def match(self, found: npt.NDArray[np.int64], minimum_share: float) -> Match:
        """Return what the windows *found* in one text, at least one, say.

        The passage of which the greatest share of words is covered names the item; of several, that with the most words
        covered; of several again, the first. Words in n-grams that are not looked for count on neither side.
        """
        from corpusmill.stages.kernels.ngram_table import covered_words

        places, which = np.unique(found[:, 3], return_inverse=True)
        runs = [np.arange(*bounds) for bounds in zip(places, self._behind(places), strict=True)]
        owners = np.repeat(np.arange(len(places)), [len(run) for run in runs])
        numbers = self._numbers[np.concatenate(runs)].astype(np.int64)
        passages = np.searchsorted(self._offsets, numbers, side="right") - 1
        ends = self._words[passages] - (self._offsets[passages + 1] - 1 - numbers)
        firsts = ends - self._lengths[numbers]
        order = np.lexsort((firsts, passages))
        distinct, covered = covered_words(passages[order], firsts[order], ends[order])
        shares = covered / self._coverable[distinct]
        best = np.lexsort((distinct, -covered, -shares))[0]
        enough = np.unique(owners[np.isin(passages, distinct[shares >= minimum_share])])
        ref = self._refs[int(self._items[distinct[best]])].as_py()
        return Match(float(shares[best]), ref, len(found), found[np.isin(which, enough)])

    def spans(self, text: str, windows: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return *windows* of *text* as positions in its UTF-8 bytes, in order; those that touch are one, *windows* not empty."""
        from corpusmill.stages.kernels.ngrams import words_with_bounds

        data, (start,), (end,) = text_buffers(pa.array([text], pa.large_string()))
        room = len(data) // 2 + 2
        words, tenths = np.empty(room, np.uint64), np.empty(room, np.uint8)
        begins, stops = np.empty(room, np.int64), np.empty(room, np.int64)
        words_with_bounds(data, start, end, self._rules.letters, *character_table(), words, tenths, begins, stops)
        firsts, lasts = begins[windows[:, 1] - windows[:, 2]], stops[windows[:, 1] - 1]
        order = np.argsort(firsts, kind="stable")
        firsts, reached = firsts[order], np.maximum.accumulate(lasts[order])
        opens = np.concatenate([[True], firsts[1:] > reached[:-1]])
        closes = np.concatenate([opens[1:], [True]])
        return list(zip(firsts[opens].tolist(), reached[closes].tolist(), strict=True))

    def _behind(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the places behind the last keys that equal those at *places*."""
        behind: npt.NDArray[np.int64] = np.searchsorted(self._keys, self._keys[places], side="right")
        return behind


def _bit_filter(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], int]:
    """Return a filter of 16 to 32 bits a key, and how far a key is shifted to give its word."""
    from corpusmill.stages.kernels.ngram_table import add_to_filter

    exponent = max(6, len(keys).bit_length() - 2)
    bits = np.zeros(1 << exponent, np.uint64)
    add_to_filter(keys, bits, 64 - exponent)
    return bits, 64 - exponent


def _shared(passages: Passages) -> npt.NDArray[np.int64]:
    """Return further items that hold a passage, each with that passage, as rows."""
    return np.array(passages.shared, np.int64).reshape(-1, 2)


def _joined(parts: list[npt.NDArray[Any]], type_: Any) -> npt.NDArray[Any]:
    """Return the arrays as one, and let go of them: there are gigabytes of them."""
    joined: npt.NDArray[Any] = np.concatenate([*parts, np.empty(0, type_)])
    parts.clear()
    return joined
