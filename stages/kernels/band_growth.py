"""Tables of bands as a whole: written into a larger layout, and one merged into another."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined, inner, kernel
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
    add_entry,
    find_buckets,
    identity_of,
    pair_of,
    put_somewhere,
    size_of,
    slot_of,
)
from corpusmill.stages.kernels.machine import lowest_bit, ones, scan, words_at

__all__ = ["absorb", "rebuild"]

_ORDINAL_BITS = np.uint64(64 - IDENTITY_BITS)  # with a single partition
_SECOND = np.uint64(0xD6E8FEB86659FD93)
_0, _1, _29, _32, _63 = (np.uint64(number) for number in (0, 1, 29, 32, 63))
_BUCKET, _PARTITION = np.uint64(4), np.uint64(5)  # log2 of the slots of a bucket, and of two
_PER_PAIR = np.uint64(PER_PAIR)


@kernel
def rebuild(
    source: Any,
    old: Any,
    target: Any,
    new: Any,
    scratch: Any,
    levels: Any,
    spilled: Any,
    begin: Any,
    end: Any,
) -> Any:
    """Write the entries of partitions *begin* - 1 down to *end* of a table into another layout.

    *target* may be the memory of *source* where the new layout is the larger one: a partition is put together in *scratch* (the
    size of what it becomes) with the fill of its buckets in *levels*, and only then written, where nothing unread is.
    Entries that are not in the first pair of their key, or whose buckets are full, wait in *spilled* (room for a partition) until
    the others are in. Rejected: leaving entries in their half of the partition. That is written in order, but the buckets fill so
    unevenly that insertions cost 62 instead of 20 ns at a load of 0.85 (buckets of 8), and 31 instead of 21 over a whole cycle
    (buckets of 16), to save 3 of the 10 ns that growing takes an entry. This is no bare kernel, because what it allocates itself
    cannot overlap anything, and without knowing that LLVM uses no vector registers (460 instead of 290 ns a document).
    Returns *end*, or the partition whose entries did not fit, plus one.
    """
    bits, half, multiplier = old[PARTITION_BITS], old[HALF], old[MULTIPLIER]
    shift = _ORDINAL_BITS + bits
    mask = (_1 << shift) - _1
    more, new_half, new_multiplier = new[PARTITION_BITS] - bits, new[HALF], new[MULTIPLIER]
    width, new_width = half << _PARTITION, (new_half << _PARTITION) << more
    turned = more != _0 or new_multiplier != multiplier
    firsts, seconds, moved, strange = np.empty((4, SLOTS), np.uint64)
    for number in range(begin, end, -1):
        partition = np.uint64(number - 1)
        scratch[:] = _0
        levels[:] = 0
        spills = 0
        # The same as `_moved`, written out: this loop is a quarter of the work of an index that grows. First the arithmetic of 16
        # slots, because LLVM does that in vector registers (4.8 instead of 6.9 ns an entry).
        for bucket in range(half + half):
            start = bucket << _BUCKET
            for offset in range(SLOTS):
                slot = source[partition * width + start + np.uint64(offset)]
                tag = slot & ~mask
                spread = tag * multiplier
                one, two = spread >> _32, ((spread ^ (spread >> _29)) * _SECOND) >> _32
                expected = (one * half) >> _32 if bucket < half else half + ((two * half) >> _32)
                if turned:
                    spread = (tag << more) * new_multiplier
                    one, two = spread >> _32, ((spread ^ (spread >> _29)) * _SECOND) >> _32
                part = (tag >> _1) >> (_63 - more)
                firsts[offset] = (part + part) * new_half + ((one * new_half) >> _32)
                seconds[offset] = (part + part + _1) * new_half + ((two * new_half) >> _32)
                moved[offset] = (tag << more) | (slot & mask)
                strange[offset] = bucket ^ expected
            for offset in range(SLOTS):
                if moved[offset] == _0:
                    continue
                first, second = firsts[offset], seconds[offset]
                fill_first, fill_second = levels[first], levels[second]
                fill = min(fill_first, fill_second)
                if fill == SLOTS or strange[offset]:
                    spilled[spills] = start + np.uint64(offset)
                    spills += 1
                    continue
                # No branch: the guess which one is emptier goes wrong half of the time. And both are written, at addresses known
                # early: else every load would have to wait for the store before it (9.1 instead of 6.9 ns).
                take = np.uint8(fill_second < fill_first)
                levels[first] = fill_first + 1 - take
                levels[second] = fill_second + take
                to = first ^ ((first ^ second) & (_0 - np.uint64(take)))
                scratch[(to << _BUCKET) + np.uint64(fill)] = moved[offset]
        for spill in range(spills):
            index = np.uint64(spilled[spill])
            slot = source[partition * width + index]
            part, slot, one, two = _moved(
                slot, index >> _BUCKET, half, multiplier, mask, more, new_half, new_multiplier
            )
            if not put_somewhere(
                scratch, part, slot, one << _BUCKET, two << _BUCKET, new_half, new_multiplier, shift + more
            ):
                return number
        for place in range(new_width):  # no slice, whose error message takes 2 s to compile
            target[partition * new_width + place] = scratch[place]
    return end


@inlined
def _moved(
    slot: Any, bucket: Any, half: Any, multiplier: Any, mask: Any, more: Any, new_half: Any, new_multiplier: Any
) -> Any:
    """Return for a slot of a bucket its new part of the partition, its new value, and its new buckets."""
    tag = slot & ~mask
    first, second = find_buckets(tag, half, multiplier)
    # In which pair of its key the entry is, follows from where it is; it stays in that pair, so that none has too few.
    pair = _0
    if bucket != first and bucket != half + second:
        pair = (bucket + half - first) % half if bucket < half else (bucket - second) % half
    part = (tag >> _1) >> (_63 - more)  # what the tag loses to the number of the partition, if there are more of them
    first, second = find_buckets(tag << more, new_half, new_multiplier)
    if pair:
        first, second = (first + pair) % new_half, (second + pair) % new_half
    base = part * (new_half + new_half)
    return part, (tag << more) | (slot & mask), base + first, base + new_half + second


@bare_kernel
def absorb(place: Any, other: Any, start: Any, shift: Any, entries: Any) -> Any:
    """Enter the entries of another table, from slot *start* on, with *shift* added to their ordinals.

    A key keeps its *entries* lowest ordinals. Returns the slot at which this table has to grow first, or the number of slots.
    """
    source = words_at(other[ADDRESS], size_of(other))
    bits, width = other[PARTITION_BITS], other[HALF] << _PARTITION
    mask = (_1 << (_ORDINAL_BITS + bits)) - _1
    for at in range(start, source.size):
        slot = source[at]
        if slot == _0:
            continue
        if place[COUNT] >= place[LIMIT]:
            return at
        key = identity_of(slot, np.uint64(at) // width, bits)
        ordinal = (slot & mask) + shift
        added = add_entry(place, key, ordinal, entries)
        if added < 0:
            return at
        if not added:
            _replace_highest(place, key, ordinal)
            place[REFUSED] += _1
    return source.size


@inner
def _replace_highest(place: Any, key: Any, ordinal: Any) -> Any:
    """Let an entry take the place of the one with the highest ordinal of its key, if that is higher than its own."""
    slots = words_at(place[ADDRESS], size_of(place))
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(slot, half, place[MULTIPLIER])
    highest, where = slot | ordinal, np.uint64(slots.size)
    number = _0
    while True:
        here = _0
        for bucket in pair_of(partition, first, second, half, number):
            same, _ = scan(slots, bucket, slot, shift)
            here += ones(same)
            while same:
                index = bucket + lowest_bit(same)
                same &= same - _1
                if slots[index] > highest:
                    highest, where = slots[index], index
        if here < _PER_PAIR:
            break
        number += _1
    if where < np.uint64(slots.size):
        slots[where] = slot | ordinal
