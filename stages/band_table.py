"""One band of the index: a table of slots and how it grows.

A table grows by half, in place: the memory is extended (mremap keeps the pages) and rewritten partition by partition from its end, so
that growing takes no second copy. The tables of an index grow at different times, spread over the cycle: one is half empty just when
another is full, and all together they take 10.6 bytes an entry at every moment, although each lies between 8.7 and 13.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from corpusmill.stages.kernels import band_table
from corpusmill.stages.kernels.band_table import (
    ADDRESS,
    COUNT,
    HALF,
    IDENTITY_BITS,
    LIMIT,
    MULTIPLIER,
    PARTITION_BITS,
    PER_PAIR,
    REFUSED,
    PER_PAIR,
    SLOTS,
)

__all__ = ["BandTable"]

Place = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.uint64]

_FULL = 0.92  # entries a slot from which a table grows
_FEWEST = 48  # entries that the smallest table takes
_HUGE = 1 << 21
_MULTIPLIER = 0x9E3779B97F4A7C15


class BandTable:
    """The table of one band; *place* is the row of numbers by which kernels know it."""

    def __init__(self, place: Place, number: int, bands: int, entries: int) -> None:
        self.place = place
        self._entries = entries
        # Few bands cannot make up for one another, so each takes smaller steps.
        self._factor = 1.5 if bands >= 8 else 1.2
        self._phase = self._factor ** (number / bands)
        self._turns = 0
        self._memory: Any = None
        self.slots: Slots = np.zeros(0, np.uint64)
        self._allocate(self._layout(self._next_limit(0), 0))

    @property
    def nbytes(self) -> int:
        """Bytes of memory of the slots."""
        return int(self.slots.nbytes)

    def enter(self, keys: npt.NDArray[np.uint64], first: int, found: npt.NDArray[np.uint8]) -> None:
        """Enter the rows whose keys are new and note in *found* which are not; the table grows as it has to."""
        last = first + len(keys) - 1
        if last >> (64 - IDENTITY_BITS + int(self.place[PARTITION_BITS])):
            self.grow(last)
        row = 0
        while (row := band_table.enter(self.place, keys, row, np.uint64(first), found)) < len(keys):
            self.grow(last)

    def grow(self, last: int) -> None:
        """Make the table larger, or spread it differently if it has no room although it is not full; *last* is the top ordinal."""
        count, limit = int(self.place[COUNT]), int(self.place[LIMIT])
        # Ordinals need bits; with some to spare, so that the next growth comes before the next bit does.
        bits = max(int(self.place[PARTITION_BITS]), min(32, (last * 3 // 2).bit_length()) - (64 - IDENTITY_BITS), 0)
        if count >= limit // 2:
            limit = self._next_limit(max(count, limit))
        elif bits == self.place[PARTITION_BITS]:
            self._turns += 1
        while not self._rebuild(self._layout(limit, bits)):
            self._turns += 1
            if self._turns % 4 == 0:
                limit = self._next_limit(limit)

    def _next_limit(self, entries: int) -> int:
        """Return the least step of this table's ladder of sizes above a number of entries."""
        limit = _FEWEST * self._phase
        while int(limit) <= entries:
            limit *= self._factor
        return int(limit)

    def _layout(self, limit: int, bits: int) -> Place:
        """Return the place of an empty table for so many entries; there must be more pairs of buckets than one key can fill."""
        place = np.zeros_like(self.place)
        place[PARTITION_BITS] = bits
        place[HALF] = max(-(-int(limit / _FULL) // (2 * SLOTS << bits)), self._entries // PER_PAIR + 1)
        place[LIMIT] = limit
        place[MULTIPLIER] = (_MULTIPLIER * (2 * self._turns + 1)) & (2**64 - 1)
        return place

    def _allocate(self, place: Place) -> None:
        """Take empty memory for *place*."""
        size = (int(place[HALF]) * 2 * SLOTS << int(place[PARTITION_BITS])) * 8
        self._memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if size > _HUGE:
            with suppress(AttributeError, OSError):
                self._memory.madvise(mmap.MADV_HUGEPAGE)
        self._adopt(np.frombuffer(self._memory, np.uint64), place)

    def _adopt(self, slots: Slots, place: Place) -> None:
        self.slots = slots
        self.place[:] = place
        self.place[ADDRESS] = slots.ctypes.data

    def _rebuild(self, new: Place) -> bool:
        old, source, memory = self.place.copy(), self.slots, self._memory
        buckets = int(new[HALF]) * 2 << int(new[PARTITION_BITS] - old[PARTITION_BITS])
        scratch = np.empty(buckets * SLOTS, np.uint64)
        levels = np.empty(buckets, np.uint8)
        new[COUNT], new[REFUSED] = old[COUNT], old[REFUSED]
        self._allocate(new)
        if band_table.rebuild(source, old, self.slots, new, scratch, levels, 1 << int(old[PARTITION_BITS])):
            self._memory = memory
            self._adopt(source, old)
            return False
        return True
