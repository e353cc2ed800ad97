"""What an index of duplicates takes, by arithmetic: tables that verify, and the filters that stand in where memory is short.

A filter is a blocked Bloom filter (Putze, Sanders, Singler 2007): a key sets one bit in each of the 8 words of one block of 512
bits. Blocks fill unevenly, so the rate of errors is the mean over a Poisson distribution and not that of the mean block. Keys are
known by 47 bits, which adds errors that no amount of memory takes away: one in 70,000 documents at 10^8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["HIGHEST_ERROR_RATE", "TABLE_BYTES", "IndexPlan", "error_rate", "plan_index", "verified_documents"]

TABLE_BYTES = 11
"""Bytes of memory of a table for a document, at most, from a million documents on; 10.6 was measured."""

HIGHEST_ERROR_RATE = 0.01
"""Share of documents that filters may remove by mistake before they count as full."""

_BLOCK = 64  # bytes of a block of a filter
_IDENTITIES = 2.0**47


@dataclass(frozen=True)
class IndexPlan:
    """What an index of so many kept documents takes."""

    memory: int
    """Bytes."""
    verified: int
    """Kept documents up to which candidates are verified."""
    error_rate: float
    """Share of documents that are removed by mistake when the index holds all of them; 0 if all are verified."""
    needed: int
    """Bytes of memory with which the rate would be bearable."""


def verified_documents(bands: int, max_memory: int) -> int:
    """Return how many documents tables of 1 + *bands* hold in *max_memory* bytes.

    >>> verified_documents(20, 231_000)
    1000
    """
    return max_memory // (TABLE_BYTES * (1 + bands))


def error_rate(documents: int, bands: int, filter_bytes: int) -> float:
    """Return how probably filters of *bands* bands and *filter_bytes* in all take a new document for one of so many.

    >>> round(error_rate(1_000_000, 20, 64_000_000), 5)
    0.00125
    """
    blocks = max(filter_bytes // (bands * _BLOCK), 1)
    mean = documents / blocks
    wrong, probability = 0.0, math.exp(-mean)
    for keys in range(1, int(mean + 12 * math.sqrt(mean) + 12)):
        probability *= mean / keys
        wrong += probability * (1 - (1 - 1 / 64) ** keys) ** 8
    wrong = min(wrong + documents / _IDENTITIES, 1.0) if probability or mean < 700 else 1.0
    return -math.expm1(bands * math.log1p(-wrong)) if wrong < 1 else 1.0


def plan_index(documents: int, bands: int, max_memory: int | None) -> IndexPlan:
    """Return what an index of *documents* takes: 1 + *bands* tables, or filters from where *max_memory* bytes are full.

    The table of contents stays one; it is not part of the cap once filters stand in for the others.
    """
    tables = documents * TABLE_BYTES * (1 + bands)
    if max_memory is None or tables <= max_memory or not bands:
        return IndexPlan(memory=tables, verified=documents, error_rate=0.0, needed=tables)
    needed = max_memory
    while error_rate(documents, bands, needed) > HIGHEST_ERROR_RATE and needed < tables:
        needed = min(math.ceil(needed * 1.25), tables)
    return IndexPlan(
        memory=max_memory + documents * TABLE_BYTES,
        verified=verified_documents(bands, max_memory),
        error_rate=error_rate(documents, bands, max_memory),
        needed=needed,
    )
