"""The index against a dictionary of lists: the same questions in the same order, and the same documents kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import RecipeError
from corpusmill.stages.band_index import BandIndex

SPREAD = np.uint64(0x9E3779B97F4A7C15)
Question = tuple[int, list[int], list[int]]


class Reference:
    """What `BandIndex` promises, in the plainest words."""

    def __init__(self, bands: int, entries: int) -> None:
        self.tables: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(bands)]
        self.entries = entries

    def candidates(self, keys: npt.NDArray[np.uint64], row: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for band, table in enumerate(self.tables):
            for ordinal in table.get(int(keys[band, row]) >> 17, ()) if keys[band, row] else ():
                found.setdefault(ordinal, band)
        return dict(sorted(found.items()))

    def resolve(self, keys: npt.NDArray[np.uint64], first: int, is_duplicate: Callable[..., bool]) -> list[bool]:
        kept = []
        for row in range(keys.shape[1]):
            found = self.candidates(keys, row)
            drop = bool(found) and is_duplicate(row, list(found), list(found.values()))
            kept.append(not drop)
            for band, table in enumerate(self.tables):
                if not drop and keys[band, row] and len(table[int(keys[band, row]) >> 17]) < self.entries:
                    table[int(keys[band, row]) >> 17].append(first + row)
        return kept


class Judge:
    """A verdict that depends on all that is asked, and a list of what was asked."""

    def __init__(self, first: int, dropped: float) -> None:
        self.first = first
        self.dropped = dropped
        self.asked: list[Question] = []

    def __call__(self, row: int, ordinals: Any, bands: Any) -> bool:
        question = (self.first + row, [int(o) for o in ordinals], [int(b) for b in bands])
        self.asked.append(question)
        return hash((question[0], *question[1], *question[2])) % 1000 < 1000 * self.dropped


def random_keys(seed: int, bands: int, rows: int, values: int) -> npt.NDArray[np.uint64]:
    """Keys that occur again and again, and 0 among them."""
    keys: npt.NDArray[np.uint64] = np.random.default_rng(seed).integers(0, values, (bands, rows), np.uint64) * SPREAD
    return keys


def pieces(rows: int, cuts: list[float]) -> list[tuple[int, int]]:
    at = sorted({0, rows, *(int(cut * rows) for cut in cuts)})
    return list(pairwise(at))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bands=st.integers(1, 9),
    entries=st.integers(1, 18),
    rows=st.integers(0, 2500),
    values=st.sampled_from([2, 3, 20, 300, 10**9]),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    first=st.sampled_from([0, 1, 60_000, 2**20 - 300, 2**32 - 2500]),
    dropped=st.floats(0, 1),
)
def test_resolve_asks_and_keeps_what_one_document_at_a_time_would(
    seed: int, bands: int, entries: int, rows: int, values: int, cuts: list[float], first: int, dropped: float
) -> None:
    keys = random_keys(seed, bands, rows, values)
    index, reference = BandIndex(bands, entries), Reference(bands, entries)
    for begin, end in pieces(rows, cuts):
        ours, theirs = Judge(first + begin, dropped), Judge(first + begin, dropped)
        kept = index.resolve(keys[:, begin:end], first + begin, ours)
        assert kept.tolist() == reference.resolve(keys[:, begin:end], first + begin, theirs)
        assert ours.asked == theirs.asked


def test_a_page_that_comes_again_and_again_takes_one_entry_when_it_is_dropped() -> None:
    keys = np.full((21, 100_000), 5, np.uint64) * SPREAD
    index = BandIndex(21)
    asked: list[tuple[int, ...]] = []

    def note(row: int, ordinals: npt.NDArray[np.uint32], bands: npt.NDArray[np.uint32]) -> bool:
        asked.append((row, *ordinals.tolist(), *bands.tolist()))
        return True

    kept = index.resolve(keys, 0, note)
    assert kept.nonzero()[0].tolist() == [0]
    assert asked == [(row, 0, 0) for row in range(1, 100_000)]
    assert index.nbytes < 100_000


def test_ordinals_end_at_two_to_the_32() -> None:
    keys = random_keys(1, 2, 3, 100)
    index = BandIndex(2)
    assert index.resolve(keys, 2**32 - 3, Judge(0, 0)).all()
    with pytest.raises(RecipeError, match="4,294,967,296"):
        BandIndex(2).resolve(keys, 2**32 - 2, Judge(0, 0))


def test_ordinals_only_grow() -> None:
    index = BandIndex(2)
    index.resolve(random_keys(1, 2, 3, 100), 7, Judge(0, 0))
    with pytest.raises(ValueError, match="9 was used"):
        index.resolve(random_keys(2, 2, 3, 100), 9, Judge(0, 0))


def test_an_index_whose_caller_failed_says_so() -> None:
    def fail(row: int, ordinals: Any, bands: Any) -> bool:
        raise KeyError(row)

    index = BandIndex(2)
    with pytest.raises(KeyError):
        index.resolve(np.ones((2, 2), np.uint64) * SPREAD, 0, fail)
    with pytest.raises(ValueError, match="halfway"):
        index.resolve(np.ones((2, 2), np.uint64) * SPREAD, 2, fail)
