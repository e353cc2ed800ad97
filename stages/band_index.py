"""The index of a deduplicator: which kept documents share an LSH band with a new one, in 11 bytes a document and band.

First-wins needs one answer in order: a document is compared with the documents that were kept before it, and enters the index
only if it is kept. Done one document at a time that costs a call per document and band; here a batch is entered band by band
and put right afterwards where a row is dropped (`kernels/first_wins.py`), with the same result for every way of cutting batches.

Each band has a table of its own that knows nothing of the others (`band_table.py`). Where `max_memory` is reached, which is at
a certain number of kept documents and not at a certain size, all bands but the first become filters (`band_filters.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.stages.band_files import read_arrays, read_head, write_arrays
from corpusmill.stages.band_filters import BandFilters
from corpusmill.stages.band_table import BandTable, Workspace
from corpusmill.stages.index_plan import verified_documents
from corpusmill.stages.kernels import band_query, band_table, bloom, first_wins

__all__ = ["AreDuplicates", "BandIndex"]

Keys = npt.NDArray[np.uint64]
Ordinals = npt.NDArray[np.uint32]
AreDuplicates = Callable[
    [npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint32]], npt.ArrayLike
]
"""Asked about rows of the batch that do not depend on one another: (rows, ends, ordinals, bands). Row `rows[i]` shares keys with
the kept documents `ordinals[ends[i] : ends[i + 1]]`, ascending, and *bands* has the lowest band of each. The arrays change after
the call. Returns a verdict for each row, or one for all: true drops it."""

_ROWS = 32_764  # looked at together, at most: the more, the sooner a key is found in a large table (`kernels/band_table.py`)
_KEYS = 1 << 20  # of those rows, at most: so many bands as hardly anybody has must not take more memory for it
_ALIASED = 512  # rows; of a multiple, the bands of a row would fall on the same line of the cache
_ASKED = 512
_ROOM = 16_384
_MAYBE = 2048  # words, which are half of the first cache
_ORDINALS = 1 << 32
_UNLIMITED = np.iinfo(np.int64).max
_BROKEN = "an earlier call of resolve() on this index failed halfway; load it from its last saved state"
_NO_FILTERS = np.zeros((0, 8), np.uint64)


class BandIndex:
    """Tables of kept documents by LSH band, grown one document after another.

    Band 0 is meant for the hash of the whole content. The upper 47 bits of a key count; key 0 means that the document is not in
    that band. A key holds its first *entries* kept documents, more are not candidates.

    With *max_memory* (bytes), filters stand in for the tables of bands 1 and up from as many kept documents on as tables hold in
    it: what they have seen is dropped, and *are_duplicates* is asked about band 0 alone, before. The table of band 0 that goes on
    growing comes on top, and so does one filter while tables are being replaced.
    """

    def __init__(self, bands: int, entries: int = 16, max_memory: int | None = None) -> None:
        if bands < 0 or entries < 1:
            raise RecipeError(f"an index needs bands and at least one entry a key, not {bands} and {entries}")
        self.bands = bands
        self.entries = entries
        self._places = np.zeros((bands, band_table.COLUMNS), band_table.PLACES)
        workspace = Workspace()
        self._tables = [
            BandTable(place, number, bands, entries, workspace) for number, place in enumerate(self._places)
        ]
        self._max_memory = max_memory
        self._filters: BandFilters | None = None
        self._kept = 0
        self._next = 0
        self._broken = False
        self._buffers: _Buffers | None = None

    @property
    def kept(self) -> int:
        """Documents in the index, those without any key not counted."""
        return self._kept

    @property
    def filtering(self) -> bool:
        """Whether filters stand in for the tables of bands 1 and up."""
        return self._filters is not None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that tables and filters take."""
        filters = self._filters.words.nbytes if self._filters else 0
        return sum(table.nbytes for table in self._tables) + int(filters)

    @property
    def full_keys(self) -> int:
        """How often a kept document did not enter one of its keys, because that had its number of entries."""
        return int(self._places[:, band_table.REFUSED].sum())

    def expect(self, documents: int) -> None:
        """Make room for about so many kept documents as tables come to grow: the same answers, sooner.

        An estimate will do. Where it is right, the index takes 9 bytes a document and band in the end, and up to four times
        what it holds on the way there.
        """
        documents = min(documents, self._limit)
        for table in self._tables:
            table.expected = documents

    def query(self, keys: Keys) -> tuple[npt.NDArray[np.int64], Ordinals, Ordinals]:
        """Return the documents that share keys with each row, without entering any: (ends, ordinals, bands).

        *keys* has shape (bands, rows). Of row i they are `ordinals[ends[i] : ends[i + 1]]`, ascending, and beside them the
        lowest band of each. Documents that only a filter knows cannot be named; see `seen`.
        """
        keys = np.ascontiguousarray(keys, np.uint64)
        rows = keys.shape[1]
        ends = np.zeros(rows + 1, np.int64)
        scratch = np.empty(self.entries + band_table.PER_PAIR, np.uint64)
        room = max(_ROOM, self.bands * scratch.size)
        ordinals, bands = np.empty(room, np.uint32), np.empty(room, np.uint32)
        parts: list[tuple[Ordinals, Ordinals]] = []
        total = row = 0
        while row < rows:
            ends[row] = 0
            stop = band_query.look_up(self._active, keys, row, scratch, ordinals, bands, ends)
            found = int(ends[stop])
            ends[row : stop + 1] += total
            total += found
            parts.append((ordinals[:found].copy(), bands[:found].copy()))
            row = stop
        empty = np.empty(0, np.uint32)
        return (
            ends,
            np.concatenate([empty, *(part for part, _ in parts)]),
            np.concatenate([empty, *(part for _, part in parts)]),
        )

    def seen(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Return the rows of which a filter has seen a key; none while there are no filters."""
        keys = np.ascontiguousarray(keys, np.uint64)
        rows = np.zeros(keys.shape[1], np.bool_)
        if self._filters:
            bloom.seen(self._filters.words, keys, len(self._tables), rows)
        return rows

    def ordinals(self) -> Ordinals:
        """Return the ordinals of all documents that are in a table, ascending."""
        known = np.empty(0, np.uint32)
        for table in self._tables:
            here = np.empty(np.count_nonzero(table.slots), np.uint32)
            band_query.ordinals_in(table.place, here)
            known = np.union1d(known, here)
        return known

    def save(self, folder: Path) -> None:
        """Write the index into the new directory *folder*."""
        if self._broken:
            raise ValueError(_BROKEN)
        head = {
            "bands": self.bands,
            "entries": self.entries,
            "max_memory": self._max_memory,
            "filtering": self.filtering,
            "kept": self._kept,
            "next": self._next,
            "places": self._places.tolist(),
            "turns": [table.turns for table in self._tables],
        }
        arrays = [table.slots for table in self._tables]
        if self._filters:
            arrays.append(self._filters.words.reshape(-1))
        write_arrays(folder, head, arrays)

    @classmethod
    def load(cls, folder: Path, *, verify: bool = False) -> BandIndex:
        """Return the index that was saved in *folder*, mapped into memory; *verify* reads all of it and compares checksums.

        Raises:
            OutputMismatchError: it is damaged, or of another format.

        """
        head = read_head(folder)
        arrays = read_arrays(folder, head, verify=verify)
        try:
            index = cls(0, head["entries"], head.get("max_memory"))
            index.bands, index._kept, index._next = head["bands"], head["kept"], head["next"]
            index._places = np.array(head["places"], band_table.PLACES).reshape(index.bands, band_table.COLUMNS)
            tables = 1 if head.get("filtering") else index.bands
            if head.get("filtering"):
                index._filters = BandFilters(index.bands - 1, head["max_memory"], arrays.pop())
            if len(arrays) != tables or len(head["turns"]) != tables:
                raise ValueError(f"{len(arrays)} tables, not {tables}")
            workspace = Workspace()
            index._tables = [
                BandTable(place, number, index.bands, index.entries, workspace, slots, turns)
                for number, (place, slots, turns) in enumerate(zip(index._places, arrays, head["turns"], strict=False))
            ]
        except (KeyError, OverflowError, RecipeError, TypeError, ValueError) as error:
            raise OutputMismatchError(f"{folder} does not describe itself rightly: {error}") from error
        return index

    def merge(self, other: BandIndex, shift: int) -> None:
        """Take in the documents of another index of the same shape, their ordinals raised by *shift*.

        Each key keeps its lowest ordinals. Duplicates between the two stay: nobody compares them.

        Raises:
            RecipeError: the shapes differ, or ordinals come to 2**32 and more.

        """
        if (other.bands, other.entries) != (self.bands, self.entries):
            raise RecipeError(
                f"an index of {other.bands} bands with {other.entries} entries a key cannot be merged into one of {self.bands} "
                f"with {self.entries}"
            )
        if other.filtering and (other._max_memory != self._max_memory):
            raise RecipeError(
                "an index that has reached its max_memory can be merged only into one with the same limit"
            )
        self._check_ordinals(other._next + shift)
        if other.filtering:
            self._use_filters()
        for table, theirs in zip(self._tables, other._tables, strict=False):
            table.merge(theirs, shift, other._next + shift - 1)
        if self._filters:
            if other._filters:
                self._filters.merge(other._filters)
            else:
                for band in range(1, self.bands):
                    self._filters.take_in(band - 1, other._places[band])
        self._kept += other._kept
        self._next = max(self._next, other._next + shift)
        self._keep_to_memory()

    @property
    def _active(self) -> npt.NDArray[np.uint64]:
        """The places of the bands that have tables."""
        return self._places[: len(self._tables)]

    @property
    def _limit(self) -> int:
        """How many documents may be kept before something has to change."""
        if self._filters:
            return self._filters.capacity + 1
        if self._max_memory is None or self.bands < 2:
            return int(_UNLIMITED)
        return verified_documents(self.bands - 1, self._max_memory)

    def _keep_to_memory(self) -> None:
        """Change to filters where as many documents are kept as tables may hold; fail where filters are full."""
        if not self._filters and self._kept >= self._limit:
            self._use_filters()
        if self._filters and self._kept >= self._limit:
            self._broken = True
            raise self._filters.full()

    def _use_filters(self) -> None:
        """Turn one table after the other into a filter."""
        if self._filters:
            return
        self._filters = BandFilters(self.bands - 1, self._max_memory or 0)
        for band in range(1, self.bands):
            self._filters.take_in(band - 1, self._places[band])
            self._tables[band].close()
        del self._tables[1:]
        self._buffers = None

    def _check_ordinals(self, end: int) -> None:
        if end > _ORDINALS:
            raise RecipeError(
                f"the deduplication index holds documents up to number {_ORDINALS:,}; "
                "divide the input into several outputs and drop duplicates between them with --against"
            )

    def resolve(self, keys: Keys, first: int, are_duplicates: AreDuplicates) -> npt.NDArray[np.bool_]:
        """Return which rows are kept; *keys* has shape (bands, rows), rows are the documents with ordinals from *first* on.

        In row order, rows that share keys with kept documents (of earlier batches or rows) are shown to *are_duplicates*, as
        many at once as do not depend on its answers; true drops a row; so does a filter (`filtering`), which is asked last. Kept
        rows enter the index. If *are_duplicates* raises, the index cannot be used any more.

        Raises:
            RecipeError: ordinals come to 2**32 and more, or filters are full.
            ValueError: keys have another shape, or ordinals were used before.

        """
        if keys.ndim != 2 or keys.shape[0] != self.bands:
            raise ValueError(f"keys of shape {keys.shape} for an index of {self.bands} bands")
        rows = keys.shape[1]
        if first < self._next:
            raise ValueError(f"ordinals from {first} on, but {self._next - 1} was used before")
        self._check_ordinals(first + rows)
        if self._broken:
            raise ValueError(_BROKEN)
        self._broken = True
        kept = np.zeros(rows, np.bool_)
        self._keep_to_memory()
        done, together = 0, _rows_together(rows, self.bands)
        while done < rows:
            done += self._resolve(keys[:, done : done + together], first + done, kept[done:], are_duplicates, done)
            self._keep_to_memory()
        self._next = first + rows
        self._broken = False
        return kept

    def _resolve(
        self, keys: Keys, first: int, kept: npt.NDArray[np.bool_], are_duplicates: AreDuplicates, offset: int
    ) -> int:
        """Resolve the rows, or those up to where the index has to change, and return how many it were."""
        rows = int(keys.shape[1])
        if self._buffers is None:
            self._buffers = _Buffers(self.bands, len(self._tables), self.entries)
        use, last = self._buffers, first + rows - 1
        keys, seen = use.copied(keys), use.seen[: _places(rows)]
        use.known[:rows] = 0
        use.suspect[:rows] = 0
        for table in self._tables:
            table.make_room_for(last)
        band = turn = 0
        while True:
            band, turn = band_table.enter_all(
                self._active,
                keys,
                band,
                turn,
                np.uint64(first),
                use.suspect,
                seen,
                use.maybe[: min(len(seen) >> 4, _MAYBE)],
                use.starts,
                use.order,
                use.ordered,
                use.buckets,
                use.known,
                use.only,
            )
            if band == len(self._tables):
                break
            self._tables[band].grow(last)
        use.state[:] = 0
        cursor = use.cursor
        if cursor[first_wins.CHANGES]:
            use.changed[:] = 0
        cursor[:] = 0
        cursor[first_wins.KEPT] = self._kept
        cursor[first_wins.KEPT_LIMIT] = self._limit
        filters = self._filters.words if self._filters else _NO_FILTERS
        while True:
            status = first_wins.decide(
                self._active,
                keys,
                use.known,
                use.suspect,
                use.only,
                np.uint64(first),
                self.entries,
                use.state,
                cursor,
                filters,
                use.marks,
                use.marked,
                use.changed,
                use.scratch,
                use.asked,
                use.ends,
                use.ordinals,
                use.found_in,
                use.verdicts,
                use.listed,
            )
            if status == first_wins.GROW:
                self._tables[cursor[first_wins.BAND]].grow(first + rows - 1)
            elif status == first_wins.ASK:
                count = int(cursor[first_wins.ASKED])
                end = use.ends[count]
                use.verdicts[:count] = are_duplicates(
                    use.asked[:count] + offset, use.ends[: count + 1], use.ordinals[:end], use.found_in[:end]
                )
                cursor[first_wins.ANSWERED] = count
            else:
                break
        done = int(cursor[first_wins.ROW])
        if status == first_wins.STOP:
            first_wins.withdraw(self._active, keys, use.known, np.uint64(first), done, use.listed)
        self._kept = int(cursor[first_wins.KEPT])
        kept[:done] = use.state[:done] == first_wins.KEEP
        return done


class _Buffers:
    """Memory that every batch uses again."""

    def __init__(self, bands: int, tables: int, entries: int) -> None:
        """Take memory for rows with keys of so many bands, of which so many have tables."""
        most = _most_rows(bands)
        self._keys = np.empty(bands * most, np.uint64)
        self.suspect = np.empty(most, np.uint8)
        self.known = np.empty((most, tables), np.uint8)
        self.only = np.empty((tables, most), np.uint32)
        self.state = np.empty(most, np.uint8)
        self.listed = np.empty(tables + 1, np.int64)
        self.cursor = np.zeros(first_wins.CURSOR_COLUMNS, np.int64)
        self.marks = np.zeros(first_wins.MARKS, np.uint64)
        self.marked = np.zeros(first_wins.MARKS, np.uint32)
        self.changed = np.zeros(first_wins.CHANGED, np.uint64)
        self.seen = np.empty(_places(most), np.uint32)
        self.maybe = np.empty(_MAYBE, np.uint64)
        self.starts = np.empty(band_table.RUNS + 1, np.uint32)
        self.order = np.empty(most, np.uint32)
        self.ordered = np.empty(most, np.uint64)
        self.buckets = np.empty((2, most), np.uint64)
        self.scratch = np.empty(entries + band_table.PER_PAIR, np.uint64)
        # A row that waits marks up to a key a band, and a place for a mark is looked for until a free one is found.
        asked = max(min(_ASKED, first_wins.MARKS // 2 // tables), 1)
        self.asked = np.empty(asked, np.int64)
        self.ends = np.zeros(asked + 1, np.int64)
        room = max(_ROOM, tables * entries)
        self.ordinals = np.empty(room, np.uint32)
        self.found_in = np.empty(room, np.uint32)
        self.verdicts = np.empty(asked, np.uint8)

    def copied(self, keys: Keys) -> Keys:
        """Return keys (bands, rows) in one piece; in memory of their own they would take 40 ns a document instead of 5."""
        whole = self._keys[: keys.size].reshape(keys.shape)
        whole[:] = keys
        return whole


def _most_rows(bands: int) -> int:
    """Return how many rows are looked at together at most."""
    return min(_ROWS, max(_KEYS // max(bands, 1), 1))


def _rows_together(rows: int, bands: int) -> int:
    """Return how many of so many rows are looked at together: about equal parts."""
    together = -(-rows // max(-(-rows // _most_rows(bands)), 1))
    return together if together % _ALIASED else max(together - 4, 1)


def _places(rows: int) -> int:
    """Return the places that keys of so many rows may need while a batch enters a band, a power of two."""
    return int(1 << max((rows + rows // 8).bit_length(), 6))
