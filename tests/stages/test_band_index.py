"""The index against a dictionary of lists: the same questions in the same order, and the same documents kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.stages.band_index import BandIndex
from corpusmill.stages.index_plan import HIGHEST_ERROR_RATE, error_rate

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

    def __call__(self, rows: Any, ends: Any, ordinals: Any, bands: Any) -> list[bool]:
        parts = [slice(begin, end) for begin, end in pairwise(ends)]
        return [self.one(row, ordinals[part], bands[part]) for row, part in zip(rows, parts, strict=True)]

    def one(self, row: int, ordinals: Any, bands: Any) -> bool:
        question = (self.first + int(row), [int(o) for o in ordinals], [int(b) for b in bands])
        self.asked.append(question)
        return hash((question[0], *question[1], *question[2])) % 1000 < 1000 * self.dropped


def random_keys(seed: int, bands: int, rows: int, values: int) -> npt.NDArray[np.uint64]:
    """Keys that occur again and again, and 0 among them."""
    keys: npt.NDArray[np.uint64] = np.random.default_rng(seed).integers(0, values, (bands, rows), np.uint64) * SPREAD
    return keys


def pieces(rows: int, cuts: list[float]) -> list[tuple[int, int]]:
    at = sorted({0, rows, *(int(cut * rows) for cut in cuts)})
    return list(pairwise(at))


def reopened(index: BandIndex) -> BandIndex:
    """Save and load; the files are gone from their folder then, which a mapping survives."""
    with TemporaryDirectory() as folder:
        index.save(Path(folder) / "bands")
        return BandIndex.load(Path(folder) / "bands", verify=True)


def candidates(index: BandIndex, keys: npt.NDArray[np.uint64]) -> list[dict[int, int]]:
    ends, ordinals, bands = index.query(keys)
    return [dict(zip(ordinals[a:b].tolist(), bands[a:b].tolist(), strict=True)) for a, b in pairwise(ends.tolist())]


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
    saved=st.integers(0, 7),
    expected=st.lists(st.sampled_from([0, 1, 100, 2_000, 5_000, 50_000]), min_size=7, max_size=7),
)
def test_resolve_asks_and_keeps_what_one_document_at_a_time_would(
    seed: int,
    bands: int,
    entries: int,
    rows: int,
    values: int,
    cuts: list[float],
    first: int,
    dropped: float,
    saved: int,
    expected: list[int],
) -> None:
    keys = random_keys(seed, bands, rows, values)
    index, reference = BandIndex(bands, entries), Reference(bands, entries)
    for number, (begin, end) in enumerate(pieces(rows, cuts)):
        if number == saved:
            index = reopened(index)
        index.expect(expected[number])
        ours, theirs = Judge(first + begin, dropped), Judge(first + begin, dropped)
        kept = index.resolve(keys[:, begin:end], first + begin, ours)
        assert kept.tolist() == reference.resolve(keys[:, begin:end], first + begin, theirs.one)
        assert ours.asked == theirs.asked


@pytest.mark.parametrize("first", [0, 2**32 - 65_536])
@pytest.mark.parametrize(("values", "dropped"), [(3_000, 0.9), (60_000, 0.3), (10**9, 0.5)])
def test_more_rows_than_are_looked_at_together(first: int, values: int, dropped: float) -> None:
    """From 2**24 documents on rows are entered in the order of their partitions."""
    index, reference = BandIndex(3, 4), Reference(3, 4)
    keys = random_keys(7, 3, 65_536, values)
    ours, theirs = Judge(first, dropped), Judge(first, dropped)
    assert index.resolve(keys, first, ours).tolist() == reference.resolve(keys, first, theirs.one)
    assert ours.asked == theirs.asked


def test_a_page_that_comes_again_and_again_takes_one_entry_when_it_is_dropped() -> None:
    keys = np.full((21, 100_000), 5, np.uint64) * SPREAD
    index = BandIndex(21)
    asked: list[tuple[int, ...]] = []

    def note(rows: Any, ends: Any, ordinals: Any, bands: Any) -> bool:
        asked.extend(
            (row, *ordinals[begin:end].tolist(), *bands[begin:end].tolist())
            for row, (begin, end) in zip(rows.tolist(), pairwise(ends.tolist()), strict=True)
        )
        return True

    kept = index.resolve(keys, 0, note)
    assert kept.nonzero()[0].tolist() == [0]
    assert asked == [(row, 0, 0) for row in range(1, 100_000)]
    assert index.nbytes < 100_000


def test_rows_that_do_not_depend_on_one_another_are_asked_about_together() -> None:
    keys = random_keys(1, 5, 1000, 10**15)
    index, calls = BandIndex(5), []

    def odd_ones(rows: Any, ends: Any, ordinals: Any, bands: Any) -> Any:
        calls.append(len(rows))
        assert ordinals.tolist() == rows.tolist()
        assert ends.tolist() == list(range(len(rows) + 1))
        assert not bands.any()
        return rows % 2 == 1

    index.resolve(keys, 0, lambda *_: False)
    assert index.resolve(keys, 1000, odd_ones).tolist() == [row % 2 == 0 for row in range(1000)]
    assert sum(calls) == 1000
    assert len(calls) <= 3


def test_entries_stay_when_tables_grow_beyond_a_huge_page_and_many() -> None:
    """From 2 MB on memory is extended in place, and at 32 MB all of it is moved."""
    index, step = BandIndex(1), 500_000
    for first in range(0, 3_500_000, step):
        index.resolve(random_keys(first, 1, step, 2**62), first, Judge(0, 0))
    assert index.nbytes > 1 << 25
    for first in (0, 1_000_000, 3_000_000):
        _, ordinals, _ = index.query(random_keys(first, 1, step, 2**62)[:, :50_000])
        assert ordinals.tolist() == list(range(first, first + 50_000))


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
    def fail(*_: Any) -> bool:
        raise KeyError(0)

    index = BandIndex(2)
    with pytest.raises(KeyError):
        index.resolve(np.ones((2, 2), np.uint64) * SPREAD, 0, fail)
    with pytest.raises(ValueError, match="halfway"):
        index.resolve(np.ones((2, 2), np.uint64) * SPREAD, 2, fail)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bands=st.integers(1, 4),
    entries=st.integers(1, 18),
    values=st.sampled_from([2, 20, 500]),
    rows=st.tuples(st.integers(0, 800), st.integers(0, 800)),
    gap=st.sampled_from([0, 5, 70_000, 2**31]),
)
def test_merging_gives_each_key_its_lowest_ordinals(
    seed: int, bands: int, entries: int, values: int, rows: tuple[int, int], gap: int
) -> None:
    mine, theirs = random_keys(seed, bands, rows[0], values), random_keys(seed + 1, bands, rows[1], values)
    index, other, reference = BandIndex(bands, entries), BandIndex(bands, entries), Reference(bands, entries)
    index.resolve(mine, 0, Judge(0, 0))
    other.resolve(theirs, 0, Judge(0, 0))
    shift = rows[0] + gap
    index.merge(reopened(other), shift)
    reference.resolve(mine, 0, Judge(0, 0).one)
    reference.resolve(theirs, shift, Judge(0, 0).one)
    probe = np.concatenate([mine, theirs, random_keys(seed + 2, bands, 50, 10**9)], axis=1)
    assert candidates(index, probe) == [reference.candidates(probe, row) for row in range(probe.shape[1])]
    assert index.kept == sum(int(keys.any(axis=0).sum()) for keys in (mine, theirs))


def test_lowest_ordinals_win_whichever_index_they_are_in() -> None:
    keys = np.full((1, 5), 7, np.uint64) * SPREAD
    late, early = BandIndex(1, 3), BandIndex(1, 3)
    late.resolve(keys, 100, Judge(0, 0))
    early.resolve(keys, 0, Judge(0, 0))
    late.merge(early, 40)
    assert candidates(late, keys[:, :1]) == [{40: 0, 41: 0, 42: 0}]
    assert late.full_keys == 2 + 2 + 3


def test_only_indexes_of_one_shape_are_merged() -> None:
    for other in (BandIndex(3, 4), BandIndex(2, 5)):
        with pytest.raises(RecipeError, match="cannot be merged"):
            BandIndex(2, 4).merge(other, 0)
    other = BandIndex(2, 4)
    other.resolve(random_keys(1, 2, 10, 100), 0, Judge(0, 0))
    with pytest.raises(RecipeError, match="4,294,967,296"):
        BandIndex(2, 4).merge(other, 2**32 - 9)


def test_looking_up_changes_nothing(tmp_path: Path) -> None:
    index = BandIndex(3)
    keys = random_keys(1, 3, 3000, 40)
    index.resolve(keys, 0, Judge(0, 0.5))
    index.save(tmp_path / "bands")
    before = {path.name: path.read_bytes() for path in (tmp_path / "bands").iterdir()}
    opened = BandIndex.load(tmp_path / "bands")
    assert candidates(opened, keys) == candidates(index, keys)
    opened.resolve(keys, 3000, Judge(0, 0))  # what is added to an index that was opened stays in memory
    assert {path.name: path.read_bytes() for path in (tmp_path / "bands").iterdir()} == before


@pytest.mark.parametrize("filtering", [False, True])
def test_a_damaged_index_is_refused(tmp_path: Path, filtering: bool) -> None:
    index = BandIndex(3, max_memory=20_000 if filtering else None)
    index.resolve(random_keys(1, 3, 1500, 10**9), 0, Judge(0, 0))
    assert index.filtering == filtering
    index.save(tmp_path / "bands")
    BandIndex.load(tmp_path / "bands", verify=True)
    for path in sorted((tmp_path / "bands").iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(OutputMismatchError, match=path.name):
            BandIndex.load(tmp_path / "bands")
        path.unlink()
        with pytest.raises(OutputMismatchError, match=path.name):
            BandIndex.load(tmp_path / "bands")
        if path.suffix == ".u64":
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            with pytest.raises(OutputMismatchError, match="checksum"):
                BandIndex.load(tmp_path / "bands", verify=True)
        path.write_bytes(whole)


def test_a_head_that_does_not_fit_its_tables_is_refused(tmp_path: Path) -> None:
    index = BandIndex(2)
    index.resolve(random_keys(1, 2, 1500, 10**9), 0, Judge(0, 0))
    index.save(tmp_path / "bands")
    path = tmp_path / "bands" / "bands.json"
    whole = path.read_text()
    for old, new in (('"bands": 2', '"bands": 3'), ('"entries": 16', '"entries": 4000'), ('"kept"', '"kelp"')):
        path.write_text(whole.replace(old, new))
        with pytest.raises(OutputMismatchError):
            BandIndex.load(tmp_path / "bands")


def exact_with_filters(keys: npt.NDArray[np.uint64], max_memory: int, cuts: list[float], dropped: float) -> Any:
    """Resolve in pieces; return everything that can be seen of it."""
    index = BandIndex(len(keys), max_memory=max_memory)
    kept, asked, switched = [], [], None
    for begin, end in pieces(keys.shape[1], cuts):
        judge = Judge(begin, dropped)
        kept += index.resolve(keys[:, begin:end], begin, judge).tolist()
        asked += judge.asked
    switched = index.filtering
    return kept, asked, switched, index.kept, index


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bands=st.integers(2, 6),
    values=st.sampled_from([300, 3000, 10**9]),
    rows=st.integers(0, 1500),
    tables=st.integers(0, 900),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    dropped=st.floats(0, 1),
)
def test_filters_take_over_at_one_document_however_batches_are_cut(
    seed: int, bands: int, values: int, rows: int, tables: int, cuts: list[float], dropped: float
) -> None:
    keys = random_keys(seed, bands, rows, values)
    limit = 11 * bands * tables + 64 * bands
    try:
        expected = exact_with_filters(keys, limit, [], dropped)
    except RecipeError:
        with pytest.raises(RecipeError, match="max_index_memory"):
            exact_with_filters(keys, limit, cuts, dropped)
        return
    ours = exact_with_filters(keys, limit, cuts, dropped)
    assert ours[:4] == expected[:4]
    if ours[4].filtering:
        assert (ours[4]._filters.words == expected[4]._filters.words).all()


def test_a_filter_drops_all_that_it_has_seen_and_little_else() -> None:
    bands, tables = 5, 2000
    keys = random_keys(3, bands, 6000, 10**15)
    index = BandIndex(bands, max_memory=11 * bands * tables)
    before = index.resolve(keys[:, :1999], 0, Judge(0, 1))
    assert before.all()
    assert not index.filtering
    index.resolve(keys[:, 1999:2000], 1999, Judge(0, 1))
    assert index.filtering
    assert index.resolve(keys[:, 2000:], 2000, Judge(0, 1)).mean() > 1 - HIGHEST_ERROR_RATE
    copies = keys[:, :4000].copy()
    copies[0] = 0  # not the same content
    copies[1:, :2000] = np.where(np.arange(1, bands)[:, None] == 3, copies[1:, :2000], 0)  # one band in common
    assert not index.resolve(copies, 6000, Judge(0, 1)).any()
    asked = Judge(10_000, 1)
    assert not index.resolve(keys[:, :3], 10_000, asked).any()
    assert asked.asked == [(10_000, [0], [0]), (10_001, [1], [0]), (10_002, [2], [0])]  # the same content is named
    assert index.seen(keys).all()
    assert reopened(index).seen(keys).all()


def test_filters_say_when_they_are_full_and_what_to_do() -> None:
    bands, limit = 3, 5 * 64 * 2
    index = BandIndex(bands, max_memory=limit)
    with pytest.raises(RecipeError, match=r"max_index_memory.*near = false"):
        index.resolve(random_keys(1, bands, 5000, 10**15), 0, Judge(0, 0))
    assert index._filters is not None
    capacity = index._filters.capacity
    assert error_rate(capacity, bands - 1, limit) <= HIGHEST_ERROR_RATE < error_rate(capacity + 1, bands - 1, limit)
    assert index.kept == capacity + 1


def test_filters_are_merged() -> None:
    bands, limit = 4, 11 * 4 * 300
    mine, theirs = random_keys(1, bands, 400, 10**15), random_keys(2, bands, 350, 10**15)
    for rows in (400, 100):
        index, other = BandIndex(bands, max_memory=limit), BandIndex(bands, max_memory=limit)
        index.resolve(mine[:, :rows], 0, Judge(0, 0))
        other.resolve(theirs, 0, Judge(0, 0))
        assert (index.filtering, other.filtering) == (rows == 400, True)
        index.merge(other, 400)
        assert index.filtering
        assert index.seen(mine[:, :rows]).all()
        assert index.seen(theirs).all()
        assert index.kept <= rows + 350
    small = BandIndex(bands, max_memory=limit)
    small.resolve(theirs[:, :100], 0, Judge(0, 0))
    index.merge(small, 1000)
    assert index.seen(theirs[:, :100]).all()
    with pytest.raises(RecipeError, match="same limit"):
        BandIndex(bands).merge(index, 0)


@pytest.mark.parametrize("bands", [33, 65, 1025])
def test_many_bands_and_many_rows_that_wait_for_an_answer(bands: int) -> None:
    """More keys than there are places for marks: looking for a free one must end."""
    keys = (np.arange(1500 * bands, dtype=np.uint64).reshape(bands, 1500) + np.uint64(1)) * SPREAD
    index = BandIndex(bands)
    assert index.resolve(keys, 0, lambda *_: True).all()
    assert not index.resolve(keys, 1500, lambda *_: True).any()
    assert index.kept == 1500


def test_memory_is_at_most_eleven_bytes_a_document_and_band_at_every_moment() -> None:
    """Tables of one size would all be half empty at the same time; these grow in turns."""
    bands, step = 16, 20_000
    index = BandIndex(bands)
    worst = 0.0
    for first in range(0, 500_000, step):
        index.resolve(random_keys(first, bands, step, 2**62), first, Judge(0, 0))
        if index.kept >= 200_000:
            worst = max(worst, index.nbytes / index.kept / bands)
    assert 8.5 < worst <= 11


@pytest.mark.parametrize(("error", "most"), [(1, 9.2), (0.8, 11), (1.3, 12), (50, 36)])
def test_what_is_expected_sets_the_size(error: float, most: float) -> None:
    """Right, too low, too high, and so wrong that only the limit of a leap holds: the bytes of a document and band in the end."""
    bands, step, documents = 9, 20_000, 400_000
    index = BandIndex(bands)
    sizes = set()
    for first in range(0, documents, step):
        index.expect(int(documents * error))
        index.resolve(random_keys(first, bands, step, 2**62), first, Judge(0, 0))
        sizes.add(index.nbytes)
    assert 8.5 < index.nbytes / index.kept / bands <= most
    assert len(sizes) <= (5 if error >= 1 else 10)  # from nothing; without being told, 24


def test_an_empty_index_is_small() -> None:
    assert BandIndex(21).nbytes < 100_000


def test_keys_that_crowd_one_partition_find_room() -> None:
    """A table that spreads such keys anew without growing would do that for ever."""
    index, reference = BandIndex(1), Reference(1, 16)
    keys = (np.arange(1, 400, dtype=np.uint64) << np.uint64(20)).reshape(1, -1)
    assert index.resolve(keys, 2**32 - 1000, Judge(0, 0)).all()
    reference.resolve(keys, 2**32 - 1000, Judge(0, 0).one)
    assert candidates(index, keys) == [reference.candidates(keys, row) for row in range(keys.shape[1])]
