"""One band of the index: a table of slots and how it grows.

A table grows by half, in place from 2 MB on: its memory is extended (mremap keeps the pages) and rewritten partition by partition
from its end, so that growing takes no second copy. The tables of an index grow at different times, spread over the cycle, so that
all together they take at most 10.6 bytes an entry from a million documents on, although each of them lies between 8.5 and 12.8.

Where it is known about how many entries will come (`expected`), a table grows four times as large, and the last time to just that
size, 8.9 bytes an entry: an entry is rewritten a third of a time on the way and not twice, which is a third of all the work of an
index. Not at once to the size expected: what is known at the beginning may be wrong, and four times too large is the worst then.

Memory that was never touched is dear (1 GB/s on a virtual machine that asks its host for it), so new tables up to 32 MB, as there
were once, cost 350 ns a document of 21 tables at 3 million documents, and extending them 140. Rejected: moving the end of a
table, on ordinary pages, to a huge page whenever it grows, 4.8 ms each time and nothing gained; growing by 1.58, no difference
that could be measured.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from corpusmill.stages.kernels import band_growth
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
    SLOTS,
)

__all__ = ["BandTable", "Workspace"]


Place = npt.NDArray[np.uint64]
Slots = npt.NDArray[np.uint64]

_FULL = 0.94  # entries a slot from which a table grows
_CROWDED = 0.8  # share of its limit below which a table without room for a key is spread differently, and does not grow
_FEWEST = 48  # entries that the smallest table takes
_LEAP = 4  # times as many entries that a table makes room for at once, if so many are expected
_SPARE = 1.05  # times as many entries as are expected
_STEP = 1.04  # times as many entries, at least
_FREE_BITS = 64 - IDENTITY_BITS  # of an ordinal, in a table of one partition
_HUGE = 1 << 21  # bytes of a huge page
_LARGE = 1 << 25  # bytes from which a huge page more or less does not matter
_MULTIPLIER = 0x9E3779B97F4A7C15


class Workspace:
    """Memory for growing, one partition at a time, which the tables of an index share and use again."""

    def __init__(self) -> None:
        """Take no memory yet."""
        self._bytes = np.empty(0, np.uint8)

    def arrays(
        self, buckets: int, slots: int
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
        """Return room for so many new buckets, for the fill of each, and for so many indexes of old slots; all undefined."""
        sizes = 8 * SLOTS * buckets, 4 * slots, buckets
        if sum(sizes) > len(self._bytes):
            self._bytes = np.empty(sum(sizes), np.uint8)
        new, old, _ = ends = np.cumsum(sizes).tolist()
        return self._bytes[:new].view(np.uint64), self._bytes[old : ends[-1]], self._bytes[new:old].view(np.uint32)


class BandTable:
    """The table of one band; *place* is the row of numbers by which kernels know it."""

    def __init__(
        self,
        place: Place,
        number: int,
        bands: int,
        entries: int,
        workspace: Workspace,
        saved: Slots | None = None,
        turns: int = 0,
    ) -> None:
        """Make an empty table, or the one with *saved* slots that *place* describes already."""
        self.place = place
        self._entries = entries
        self._workspace = workspace
        # Few bands cannot make up for one another, so each takes smaller steps.
        self._factor = 1.5 if bands >= 8 else 1.25
        self._phase = self._factor ** (number / bands)
        self.turns = turns
        self.expected = 0
        """Entries that there will be, as far as anybody knows."""
        self._turned_at = -1
        self._memory: Any = None
        self.slots: Slots = np.zeros(0, np.uint64)
        if saved is None:
            new = self._layout(self._next_limit(0), 0)
            self._allocate(new)
            self._describe(new, np.zeros_like(place))
        else:
            half, bits = int(place[HALF]), int(place[PARTITION_BITS])
            # Kernels check nothing: what is not so would let them read and write beyond the slots.
            if bits > IDENTITY_BITS - 32 or half <= entries // PER_PAIR or half * 2 * SLOTS << bits != len(saved):
                raise ValueError(
                    f"a table of {len(saved):,} slots is described as 2 x {half} buckets in 2**{bits} partitions"
                )
            self._memory, self.slots = saved.view(np.uint8), saved
            place[ADDRESS] = saved.ctypes.data

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return int(self.slots.nbytes)

    def make_room_for(self, last: int) -> None:
        """Grow if ordinals up to *last* need more bits than a slot has for them."""
        if last >> (_FREE_BITS + int(self.place[PARTITION_BITS])):
            self.grow(last)

    def merge(self, other: BandTable, shift: int, last: int) -> None:
        """Take in the entries of another table with *shift* added to their ordinals, which then go up to *last*."""
        self.make_room_for(last)
        at = 0
        while (at := band_growth.absorb(self.place, other.place, at, np.uint64(shift), self._entries)) < len(
            other.slots
        ):
            self.grow(last)
        self.place[REFUSED] += other.place[REFUSED]

    def close(self) -> None:
        """Give the memory back; the table is empty and cannot be used any more."""
        self.slots, self._memory = np.zeros(0, np.uint64), b""
        self.place[HALF] = self.place[COUNT] = self.place[ADDRESS] = 0

    def grow(self, last: int) -> None:
        """Make the table larger, or spread it differently if it has no room although it is not full.

        *last* is the greatest ordinal that it has to take for now.
        """
        old, count = self.place.copy(), int(self.place[COUNT])
        old_bits, limit = int(old[PARTITION_BITS]), int(old[LIMIT])
        # Ordinals need bits; with some to spare, so that the table is full before they need another.
        bits = max(old_bits, _bits(2 * last))
        # Once, that is: where keys meet in a partition, and not in buckets, only more room helps.
        crowded = count < limit * _CROWDED and bits == old_bits and self._turned_at != count
        if crowded:
            self.turns += 1
            self._turned_at = count
        elif count >= limit or bits == old_bits:
            full = max(count, limit)
            foreseen = min(int(self.expected * _SPARE), _LEAP * full)
            limit = foreseen if foreseen > full * _STEP else self._next_limit(full)
            bits = max(bits, _bits(last * limit * 5 // (full * 4)))
        new = self._layout(limit, bits)
        pieces = [(old, 1 << old_bits, 0)]
        if not crowded and self._extend(new):
            left = self._rewrite(self.slots, old, self.slots, new, 1 << old_bits, 0)
            if not left:
                self._describe(new, old)
                return
            pieces = [(new, 1 << bits, left << (bits - old_bits)), (old, left, 0)]
            self.turns += 1
            new = self._layout(limit, bits)
        source, memory = self.slots, self._memory
        self._allocate(new)
        while any(self._rewrite(source, place, self.slots, new, begin, end) != end for place, begin, end in pieces):
            self.turns += 1  # hardly ever: some keys meet in too few buckets
            if self.turns % 4 == 0:
                limit = self._next_limit(limit)
            new = self._layout(limit, bits)
            self._allocate(new)
        del source, memory
        self._describe(new, old)

    def _next_limit(self, entries: int) -> int:
        """Return the step of this table's ladder of sizes that is above a number of entries."""
        limit = _FEWEST * self._phase
        while limit < entries * _STEP:
            limit *= self._factor
        return int(limit)

    def _layout(self, limit: int, bits: int) -> Place:
        """Return the place of an empty table for so many entries; there must be more pairs of buckets than one key can fill."""
        place = np.zeros_like(self.place)
        place[PARTITION_BITS] = bits
        place[HALF] = max(-(-int(limit / _FULL) // (2 * SLOTS << bits)), self._entries // PER_PAIR + 1)
        place[LIMIT] = int(_slots(place) * _FULL)
        place[MULTIPLIER] = (_MULTIPLIER * (2 * self.turns + 1)) & (2**64 - 1)
        return place

    def _allocate(self, place: Place) -> None:
        """Take memory, all zeros, for a place."""
        self._memory = mmap.mmap(-1, _size(place), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        _advise(self._memory, "MADV_HUGEPAGE", 0)
        self._memory[0] = 0  # touched before its end is advised otherwise, or Linux never takes it for one piece again
        self._use_memory(place)

    def _extend(self, place: Place) -> bool:
        """Extend the memory for a place; False where that is impossible (small, not our own memory, no mremap)."""
        if not isinstance(self._memory, mmap.mmap) or len(self._memory) < _HUGE:
            return False
        if 8 * _slots(self.place) < _LARGE <= 8 * _slots(place):
            # What were the ends of smaller tables lies on ordinary pages. Once, all of it moves to huge ones.
            return False
        self.slots = np.zeros(0, np.uint64)  # memory in use cannot be moved
        try:
            _advise(self._memory, "MADV_HUGEPAGE", 0)  # one piece again
            self._memory.resize(max(len(self._memory), _size(place)))
        except (BufferError, OSError, SystemError, ValueError):
            self._use_memory(self.place)
            return False
        self._use_memory(place)
        return True

    def _use_memory(self, place: Place) -> None:
        _advise(self._memory, "MADV_NOHUGEPAGE", _on_huge_pages(place))
        self.slots = np.frombuffer(self._memory, np.uint64)[: _slots(place)]

    def _describe(self, new: Place, old: Place) -> None:
        """Let the kernels use a new layout, with what the old one held."""
        new[COUNT], new[REFUSED], new[ADDRESS] = old[COUNT], old[REFUSED], self.slots.ctypes.data
        self.place[:] = new

    def _rewrite(self, source: Slots, old: Place, target: Slots, new: Place, begin: int, end: int) -> int:
        """Write partitions *begin* - 1 down to *end* of one layout into another; return *end*, or where it stopped."""
        buckets = int(new[HALF]) * 2 << int(new[PARTITION_BITS] - old[PARTITION_BITS])
        scratch, levels, spilled = self._workspace.arrays(buckets, int(old[HALF]) * 2 * SLOTS)
        return int(band_growth.rebuild(source, old, target, new, scratch, levels, spilled, begin, end))


def _bits(last: int) -> int:
    """Return log2 of the partitions that leave a slot enough bits for ordinals up to *last*, of at most 32."""
    return min(32, last.bit_length()) - _FREE_BITS


def _slots(place: Place) -> int:
    """Return how many slots a table has."""
    return int(place[HALF]) * 2 * SLOTS << int(place[PARTITION_BITS])


def _size(place: Place) -> int:
    """Return the bytes of address space for a table: Linux puts whole huge pages where they need not be split."""
    size = 8 * _slots(place)
    return size if size < _HUGE else -(-size // _HUGE) * _HUGE


def _on_huge_pages(place: Place) -> int:
    """Return the bytes of a table that lie on huge pages.

    The end of a small table does not, because a huge page there would take memory that is never used.
    """
    size = 8 * _slots(place)
    return size // _HUGE * _HUGE if size < _LARGE else _size(place)


def _advise(memory: mmap.mmap, advice: str, begin: int) -> None:
    """Tell the system, if it listens, how the memory from *begin* on is used."""
    if begin < len(memory):
        with suppress(AttributeError, OSError):
            memory.madvise(getattr(mmap, advice), begin)
