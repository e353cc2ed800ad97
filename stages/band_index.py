"""The index of a deduplicator: which kept documents share an LSH band with a new one, in 11 bytes a document and band.

First-wins needs one answer in order: a document is compared with the documents that were kept before it, and enters the index
only if it is kept. Done one document at a time that costs a call per document and band; here a batch is entered band by band and put
right afterwards where a row is dropped (`kernels/first_wins.py`), with the same result for every way of cutting batches.

Each band has a table of its own that knows nothing of the others (`band_table.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.stages.band_files import read_arrays, read_head, write_arrays
from corpusmill.stages.band_table import BandTable
from corpusmill.stages.kernels import band_query, band_table, first_wins

__all__ = ["BandIndex", "IsDuplicate"]

Keys = npt.NDArray[np.uint64]
Ordinals = npt.NDArray[np.uint32]
IsDuplicate = Callable[[int, npt.NDArray[np.uint32], npt.NDArray[np.uint32]], bool]
"""Of a row of the batch: the ordinals of kept documents that share a key, ascending, and the lowest band of each."""

_ROWS = 4004  # looked at together; not a power of two, so that the bands of a row fall on different lines of the cache
_ASKED = 512
_ROOM = 16_384
_SEEN = 1 << 13
_ORDINALS = 1 << 32


class BandIndex:
    """Tables of kept documents by LSH band, grown one document after another.

    Band 0 is meant for the hash of the whole content. The upper 47 bits of a key count; key 0 means that the document is not in
    that band. A key holds its first *entries* kept documents, more are not candidates.
    """

    def __init__(self, bands: int, entries: int = 16) -> None:
        if bands < 0 or entries < 1:
            raise RecipeError(f"an index needs bands and at least one entry a key, not {bands} and {entries}")
        self.bands = bands
        self.entries = entries
        self._places = np.zeros((bands, band_table.COLUMNS), band_table.PLACES)
        self._tables = [BandTable(place, number, bands, entries) for number, place in enumerate(self._places)]
        self._filters = np.zeros((0, 8), np.uint64)
        self._kept = 0
        self._next = 0
        self._broken = False
        self._buffers: _Buffers | None = None

    @property
    def kept(self) -> int:
        """Documents in the index."""
        return self._kept

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the tables take."""
        return sum(table.nbytes for table in self._tables)

    @property
    def full_keys(self) -> int:
        """How often a kept document did not enter one of its keys, because that had its number of entries."""
        return int(self._places[:, band_table.REFUSED].sum())

    def query(self, keys: Keys) -> tuple[npt.NDArray[np.int64], Ordinals, Ordinals]:
        """Return the documents that share keys with each row, without entering any: (ends, ordinals, bands).

        *keys* has shape (bands, rows). Of row i they are `ordinals[ends[i] : ends[i + 1]]`, ascending, and beside them the
        lowest band of each.
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
            stop = band_query.look_up(self._places, keys, row, scratch, ordinals, bands, ends)
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

    def ordinals(self) -> Ordinals:
        """Return the ordinals of all documents that are in a table, ascending."""
        known = np.empty(0, np.uint32)
        for table in self._tables:
            here = np.empty(int(table.place[band_table.COUNT]), np.uint32)
            band_query.ordinals_in(table.place, here)
            known = np.union1d(known, here)
        return known

    def save(self, folder: Path) -> None:
        """Write the index into the new directory *folder*."""
        head = {
            "bands": self.bands,
            "entries": self.entries,
            "kept": self._kept,
            "next": self._next,
            "places": self._places.tolist(),
            "turns": [table.turns for table in self._tables],
        }
        write_arrays(folder, head, [table.slots for table in self._tables])

    @classmethod
    def load(cls, folder: Path, *, verify: bool = False) -> BandIndex:
        """Return the index that was saved in *folder*, mapped into memory; *verify* reads all of it and compares checksums.

        Raises:
            OutputMismatchError: it is damaged, or of another format.

        """
        head = read_head(folder)
        index = cls(0, head["entries"])
        index.bands, index._kept, index._next = head["bands"], head["kept"], head["next"]
        index._places = np.array(head["places"], band_table.PLACES)
        arrays = read_arrays(folder, head, verify=verify)
        if len(arrays) != index.bands or index._places.shape != (index.bands, band_table.COLUMNS):
            raise OutputMismatchError(f"{folder} holds {len(arrays)} bands and describes {index.bands}")
        index._tables = [
            BandTable(place, number, index.bands, index.entries, slots, turns)
            for number, (place, slots, turns) in enumerate(zip(index._places, arrays, head["turns"], strict=True))
        ]
        return index

    def resolve(self, keys: Keys, first: int, is_duplicate: IsDuplicate) -> npt.NDArray[np.bool_]:
        """Return which rows are kept; *keys* has shape (bands, rows), rows are the documents with ordinals from *first* on.

        In row order, a row that shares keys with kept documents (of earlier batches or rows) is handed to *is_duplicate*; True
        drops it. Kept rows enter the index. Raises `RecipeError` for ordinals of 2**32 and more, `ValueError` for keys of another
        shape and ordinals that were used before. If *is_duplicate* raises, the index cannot be used any more.
        """
        if keys.ndim != 2 or keys.shape[0] != self.bands:
            raise ValueError(f"keys of shape {keys.shape} for an index of {self.bands} bands")
        rows = keys.shape[1]
        if first < self._next:
            raise ValueError(f"ordinals from {first} on, but {self._next - 1} was used before")
        if first + rows > _ORDINALS:
            raise RecipeError(
                f"the deduplication index holds documents up to number {_ORDINALS:,}; "
                "divide the input into several outputs and drop duplicates between them with --against"
            )
        if self._broken:
            raise ValueError(
                "an earlier call of resolve() on this index failed halfway; load it from its last saved state"
            )
        self._broken = True
        kept = np.zeros(rows, np.bool_)
        done = 0
        while done < rows:
            part = np.ascontiguousarray(keys[:, done : done + _ROWS], np.uint64)
            done += self._resolve(part, first + done, kept[done:], is_duplicate, done)
        self._next = first + rows
        self._broken = False
        return kept

    def _resolve(
        self, keys: Keys, first: int, kept: npt.NDArray[np.bool_], is_duplicate: IsDuplicate, offset: int
    ) -> int:
        """Resolve up to `_ROWS` rows and return how many it were."""
        rows = int(keys.shape[1])
        if self._buffers is None:
            self._buffers = _Buffers(self.bands, self.entries)
        use = self._buffers
        tables = len(self._tables)
        found = np.empty((tables, rows), np.uint8)
        only = np.empty((tables, rows), np.uint32)
        suspect = np.zeros(rows, np.uint8)
        for number, table in enumerate(self._tables):
            table.enter(keys[number], first, suspect, use.seen, found[number], only[number])
        known = np.empty((rows, tables), np.uint8)
        any_known = np.empty(rows, np.uint8)
        first_wins.transpose(found, known, any_known)
        state = np.zeros(rows, np.uint8)
        cursor = use.cursor
        cursor[:] = 0
        use.changed[:] = 0
        cursor[first_wins.KEPT] = self._kept
        cursor[first_wins.KEPT_LIMIT] = np.iinfo(np.int64).max
        while True:
            status = first_wins.decide(
                self._places,
                keys,
                known,
                any_known,
                only,
                np.uint64(first),
                self.entries,
                state,
                cursor,
                self._filters,
                use.marks,
                use.changed,
                use.scratch,
                use.asked,
                use.ends,
                use.ordinals,
                use.found_in,
                use.verdicts,
            )
            if status == first_wins.GROW:
                self._tables[cursor[first_wins.BAND]].grow(first + rows - 1)
            elif status == first_wins.ASK:
                count = int(cursor[first_wins.ASKED])
                ends = use.ends[: count + 1].tolist()
                ordinals, found_in = use.ordinals, use.found_in
                use.verdicts[:count] = [
                    is_duplicate(row + offset, ordinals[begin:end], found_in[begin:end])
                    for row, begin, end in zip(use.asked[:count].tolist(), ends[:-1], ends[1:], strict=True)
                ]
                cursor[first_wins.ANSWERED] = count
            else:
                break
        self._kept = int(cursor[first_wins.KEPT])
        kept[:rows] = state == first_wins.KEEP
        return rows


class _Buffers:
    """Memory that every batch uses again."""

    def __init__(self, bands: int, entries: int) -> None:
        self.cursor = np.zeros(first_wins.CURSOR_COLUMNS, np.int64)
        self.marks = np.zeros(first_wins.MARKS, np.uint64)
        self.changed = np.zeros(first_wins.MARKS, np.uint64)
        self.seen = np.zeros(_SEEN, np.uint32)
        self.scratch = np.empty(entries + band_table.PER_PAIR, np.uint64)
        self.asked = np.empty(_ASKED, np.int64)
        self.ends = np.zeros(_ASKED + 1, np.int64)
        room = max(_ROOM, bands * entries)
        self.ordinals = np.empty(room, np.uint32)
        self.found_in = np.empty(room, np.uint32)
        self.verdicts = np.empty(_ASKED, np.uint8)
