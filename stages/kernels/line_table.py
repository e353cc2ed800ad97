"""A table of fixed size that counts in how many documents each line is, exactly as long as all of them fit.

It is cut into regions by the upper bits of the hash. A region is an open-addressing table of its own: it begins small, doubles
up to its share of the memory, and when that is full it forgets half of its lines. So nothing ever copies or clears the whole
table, no two tables are held while one grows, and the longest pause is that of one region (some milliseconds).

Forgetting is that of Misra and Gries (1982). A line has a credit, which grows with each document; when a region is full, as much
is taken from all its lines as half of them have, and the half without any credit left goes. A line that comes often keeps its
count through any number of such rounds, and among those that were seen once the newer ones stay. A count is too low by no more
than the credit that was ever taken in its region, and never too high. Rejected: forgetting the oldest (what a site says on every
hundredth page begins at nothing each time), and a counting Bloom filter (it can only over-count, and would remove lines that
nobody repeated).

What happens depends on the lines and their order alone, not on the slots in which they lie, so a table that was saved and
filled again goes on as if nothing had been.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel

__all__ = ["CREDIT", "FIRST_SIZE", "count_lines", "put_lines"]

FIRST_SIZE = 64
"""Slots of a region when it begins; a power of two."""
CREDIT = 2
"""What a line gains with a document. With two, a line that survived a round has less than a new one, and goes first."""
_MOST = 65_535 - CREDIT  # counts and credits stay where they pass this
_UPPER, _LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)
_0, _1 = np.uint64(0), np.uint64(1)


@kernel
def _region_of(line: np.uint64, regions: int) -> int:
    """Return the region of a line: its upper 32 bits as a fraction, times the number of regions."""
    return np.int64(((line >> _UPPER) * np.uint64(regions)) >> _UPPER)


@kernel
def _slot_of(line: np.uint64, lines: Any, start: int, size: int) -> int:
    """Return the slot of a line in the region that begins at *start*, or the free one where it belongs."""
    mask = np.int64(size - 1)
    slot = np.int64(line & np.uint64(mask))
    while lines[start + slot] != 0 and lines[start + slot] != line:
        slot = (slot + 1) & mask
    return start + slot


@kernel
def _cost_of_room(lines: Any, credited: Any, having: Any) -> tuple[int, np.uint64]:
    """Return the credit that half of the lines do not pass, and for those that have just that, which of them go.

    They go by the lower 32 bits of their hash, below the number returned: by chance, but always the same ones.
    """
    having[:] = 0
    for i in range(lines.size):
        having[credited[i]] += 1
    half = (lines.size + 1) // 2
    cost = below = 0
    while below + having[cost] < half:
        below += having[cost]
        cost += 1
    limit = (np.uint64(half - below) << _UPPER) // np.uint64(having[cost])
    for i in range(lines.size):
        if credited[i] < cost or (credited[i] == cost and lines[i] & _LOWER < limit):
            return cost, limit
    return cost, _LOWER + _1  # chance would have let all of them stay: all go


@kernel
def _make_room(table: Any, region: int, room: int, scratch: Any) -> int:
    """Double a region, or forget half of its lines where it has its full size; return how many were forgotten."""
    lines, counts, credited, sizes, held, taken = table
    old_lines, old_counts, old_credited, having = scratch
    start, size = region * room, sizes[region]
    n = 0
    for slot in range(start, start + size):
        if lines[slot] != 0:
            old_lines[n], old_counts[n], old_credited[n] = lines[slot], counts[slot], credited[slot]
            lines[slot] = 0
            n += 1
    cost, limit = 0, _0
    if size < room:
        size *= 2
        sizes[region] = size
    else:
        cost, limit = _cost_of_room(old_lines[:n], old_credited[:n], having)
        taken[region] += cost
    left = 0
    for i in range(n):
        if old_credited[i] > cost or (old_credited[i] == cost and old_lines[i] & _LOWER >= limit):
            slot = _slot_of(old_lines[i], lines, start, size)
            lines[slot], counts[slot] = old_lines[i], old_counts[i]
            credited[slot] = max(old_credited[i] - cost, 1)
            left += 1
    held[region] = left
    return n - left


@kernel
def _put(table: Any, room: int, scratch: Any, line: np.uint64, count: int, credit: int) -> int:
    """Enter a line that is not in the table; return how many were forgotten for it."""
    lines, counts, credited, sizes, held, _ = table
    region = _region_of(line, sizes.size)
    forgotten = 0
    if (held[region] + 1) * 5 > sizes[region] * 4:
        forgotten = _make_room(table, region, room, scratch)
    slot = _slot_of(line, lines, region * room, sizes[region])
    lines[slot], counts[slot], credited[slot] = line, count, credit
    held[region] += 1
    return forgotten


@kernel
def put_lines(table: Any, room: int, scratch: Any, lines: Any, counts: Any, credited: Any) -> None:
    """Enter lines, with their counts and credits, that are not in the table; there must be room for them."""
    for i in range(lines.size):
        _put(table, room, scratch, lines[i], counts[i], credited[i])


@kernel
def count_lines(table: Any, room: int, scratch: Any, found: Any, ends: Any, enough: int, common: Any) -> int:
    """Count the lines of documents, and say which of them are in *enough* documents before.

    *table* is (lines, counts, credits) of all regions, each *room* slots, and (sizes, lines held, credit taken) by region.
    *found* are the lines of all documents, equal ones of a document side by side, *ends* where each document ends in them;
    *common* (bool, as long as *found*) is filled. No line is 0, which is what free slots hold. Returns how many were forgotten.
    """
    lines, counts, credited, sizes, _, _ = table
    forgotten = start = 0
    for document in range(ends.size):
        for i in range(start, ends[document]):
            line = found[i]
            if i > start and line == found[i - 1]:
                common[i] = common[i - 1]
                continue
            region = _region_of(line, sizes.size)
            slot = _slot_of(line, lines, region * room, sizes[region])
            if lines[slot] == line:
                common[i] = counts[slot] >= enough
                counts[slot] += counts[slot] <= _MOST
                credited[slot] += CREDIT * (credited[slot] <= _MOST)
            else:
                common[i] = False
                forgotten += _put(table, room, scratch, line, 1, CREDIT)
        start = ends[document]
    return forgotten
