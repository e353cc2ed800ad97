"""Filters that stand in for the tables of near bands where `max_index_memory` is reached.

They know that a key was seen, not in which document, so what they drop is neither verified nor named. In the memory of the tables
they hold five times as many documents; then they would remove more than one document in a hundred by mistake, and say so.
"""

from __future__ import annotations

import bisect
import mmap
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import RecipeError
from corpusmill.stages.index_plan import HIGHEST_ERROR_RATE, error_rate
from corpusmill.stages.kernels import bloom

__all__ = ["BandFilters"]

Words = npt.NDArray[np.uint64]

_BLOCK = 64  # bytes
_CERTAIN = 512  # keys in a block of so many bits: far more than it can tell from others
_DOCUMENTS = 1 << 32


class BandFilters:
    """One blocked Bloom filter a band, of the same size; `words` has shape (bands, words of a filter)."""

    def __init__(self, bands: int, max_memory: int, saved: Words | None = None) -> None:
        """Take *max_memory* bytes for all filters, or the *saved* words of filters of that size."""
        blocks = max(max_memory // (bands * _BLOCK), 1)
        if saved is None:
            # Not numpy's memory: that begins within a cache line, and every block would lie on two of them.
            memory = mmap.mmap(-1, bands * blocks * _BLOCK, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            with suppress(AttributeError, OSError):
                memory.madvise(mmap.MADV_HUGEPAGE)
            saved = np.frombuffer(memory, np.uint64)
        self.words = saved.reshape(bands, blocks * _BLOCK // 8)
        counts = range(min(blocks * _CERTAIN, _DOCUMENTS))
        self.capacity = (
            bisect.bisect_right(counts, HIGHEST_ERROR_RATE, key=lambda count: error_rate(count, bands, max_memory)) - 1
        )
        self._max_memory = max_memory

    def full(self) -> RecipeError:
        """Return the error for documents beyond the capacity, with the ways out."""
        return RecipeError(
            f"deduplicate: the filters of max_index_memory {self._max_memory:,} bytes are full at {self.capacity:,} kept "
            f"documents: from there on they would remove more than 1 in {1 / HIGHEST_ERROR_RATE:.0f} by mistake; raise "
            "max_index_memory, use fewer bands, set near = false, or divide the input into several outputs"
        )

    def merge(self, other: BandFilters) -> None:
        """Remember all that filters of the same size do."""
        for mine, theirs in zip(self.words, other.words, strict=True):
            np.bitwise_or(mine, theirs, out=mine)

    def take_in(self, band: int, place: npt.NDArray[np.uint64]) -> None:
        """Let the filter of a band (from 0) remember all keys of the table that *place* describes."""
        bloom.take_in(self.words, band, place)
