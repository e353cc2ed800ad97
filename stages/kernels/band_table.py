"""One band of the LSH index as a hash table of 8-byte slots: look up, insert, remove, rebuild.

A slot holds the tag of a key (upper bits) and the ordinal of a document (lower bits); 0 is empty. The number of bits for
ordinals grows with the corpus; the bits that the tag loses become the number of the partition, so that partition and tag always
are the same 47 bits of the key: a table can be rebuilt, merged and turned into a Bloom filter without the keys.

Each key has two buckets of 8 slots (a cache line each), one in either half of its partition, and goes into the emptier one. Both
are asked for ahead of time and compared without a branch, so an operation costs the same 12-13 ns at every load up to 0.92 (10
million entries). Rejected, measured at a load of 0.9: linear probing, 145 ns where entries stay sorted, 80-90 where buckets of 8 or
16 stay unsorted, because one probe walks 6 buckets there. Where both buckets are full, one of the 16 entries moves to its other
bucket (0.7 % of the insertions at 0.9); where none can, the table is rebuilt.

Documents that share a key: a pair of buckets holds at most four entries of it, the next four are in the pair after it, and so on.
An entry can be in a pair only while the pairs before it hold four of its key, so a search ends where it finds fewer.

`place` is the row of numbers that describes a table (see the columns below); arrays of uint64 throughout, because numba makes
floats of signed and unsigned integers mixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.machine import lowest_bit, ones, pointer, prefetch, scan

__all__ = [
    "ADDRESS",
    "COLUMNS",
    "COUNT",
    "HALF",
    "IDENTITY_BITS",
    "LIMIT",
    "MULTIPLIER",
    "PARTITION_BITS",
    "PER_PAIR",
    "PLACES",
    "REFUSED",
    "SLOTS",
    "add_entry",
    "enter",
    "entries_of",
    "find_buckets",
    "put",
    "rebuild",
    "remove",
    "slot_of",
    "table_at",
]

IDENTITY_BITS = 48  # the upper bits of a key that count, the lowest of them always set, so that no slot is 0
SLOTS = 8  # in a bucket
PER_PAIR = 4  # entries of one key in a pair of buckets

ADDRESS, PARTITION_BITS, HALF, MULTIPLIER, COUNT, LIMIT, REFUSED = range(7)
"""Columns of a place: of the slots in memory; log2 of the partitions; buckets in half a partition; odd, spreads the tags;
entries; entries from which the table should grow; entries that the limit per key kept out."""
COLUMNS = 7
PLACES = np.uint64

_IDENTITY = np.uint64(2**64 - 2 ** (64 - IDENTITY_BITS))
_ALWAYS = np.uint64(1 << (64 - IDENTITY_BITS))
_ORDINAL_BITS = np.uint64(64 - IDENTITY_BITS)  # with a single partition
_SECOND = np.uint64(0xD6E8FEB86659FD93)
_AHEAD = 64  # keys between a prefetch and its use
_0, _1, _3, _4, _29, _32, _63 = (np.uint64(number) for number in (0, 1, 3, 4, 29, 32, 63))
_PER_PAIR = np.uint64(PER_PAIR)


@kernel
def table_at(place: Any) -> Any:
    """Return the slots of a table, flat."""
    size = (place[HALF] << _4) << place[PARTITION_BITS]
    return carray(pointer(place[ADDRESS]), (np.int64(size),), np.uint64)


@kernel
def slot_of(key: Any, partition_bits: Any) -> Any:
    """Return (partition, slot without its ordinal) of a key."""
    identity = (key & _IDENTITY) | _ALWAYS
    return (identity >> _1) >> (_63 - partition_bits), identity << partition_bits


@kernel
def find_buckets(partition: Any, tag: Any, half: Any, multiplier: Any) -> Any:
    """Return where the two buckets of a tag begin: the first pair, as offsets in buckets within either half of the partition."""
    spread = tag * multiplier
    first = ((spread >> _32) * half) >> _32
    second = ((((spread ^ (spread >> _29)) * _SECOND) >> _32) * half) >> _32
    return first, second


@kernel
def _pair(partition: Any, first: Any, second: Any, half: Any, number: Any) -> Any:
    """Return the indexes of the first slots of pair *number* of a key."""
    first += number
    second += number
    if number:
        first %= half
        second %= half
    base = partition * (half + half)
    return (base + first) << _3, (base + half + second) << _3


@kernel
def _make_room(slots: Any, bucket: Any, partition: Any, half: Any, multiplier: Any, shift: Any) -> Any:
    """Move one entry of a full bucket to its other bucket; return the index of the slot that is free now, or the size."""
    base = partition * (half + half)
    own = (bucket >> _3) - base
    for offset in range(SLOTS):
        index = bucket + np.uint64(offset)
        slot = slots[index]
        first, second = find_buckets(partition, (slot >> shift) << shift, half, multiplier)
        # Which pair of its key the entry is in follows from where it is: pairs of one key never overlap.
        if own < half:
            other = base + half + (second + (own + half - first)) % half
        else:
            other = base + (first + (own - second)) % half
        _, free = scan(slots, other << _3, _0, _0)
        if free:
            slots[(other << _3) + lowest_bit(free)] = slot
            slots[index] = _0
            return index
    return np.uint64(slots.size)


@kernel
def put(slots: Any, place: Any, partition: Any, slot: Any, first: Any, second: Any) -> Any:
    """Write a slot that is known to be absent into a pair of buckets (given by their first slots); False where no room is."""
    _, free_first = scan(slots, first, _0, _0)
    _, free_second = scan(slots, second, _0, _0)
    if free_first | free_second:
        if ones(free_first) >= ones(free_second):
            slots[first + lowest_bit(free_first)] = slot
        else:
            slots[second + lowest_bit(free_second)] = slot
        place[COUNT] += _1
        return True
    half, multiplier, shift = place[HALF], place[MULTIPLIER], _ORDINAL_BITS + place[PARTITION_BITS]
    for bucket in (first, second):
        index = _make_room(slots, bucket, partition, half, multiplier, shift)
        if index < np.uint64(slots.size):
            slots[index] = slot
            place[COUNT] += _1
            return True
    return False


@kernel
def enter(place: Any, keys: Any, start: Any, first_ordinal: Any, found: Any) -> Any:
    """Enter every row whose key is new; note in *found* the rows whose key has an entry already, of this batch or of before.

    Returns the row at which the table has to grow before it can go on, or the number of rows. Key 0 is neither new nor found.
    """
    slots = table_at(place)
    partition_bits, half, multiplier = place[PARTITION_BITS], place[HALF], place[MULTIPLIER]
    shift = _ORDINAL_BITS + partition_bits
    for row in range(start, keys.size):
        if row + _AHEAD < keys.size:
            partition, slot = slot_of(keys[row + _AHEAD], partition_bits)
            first, second = find_buckets(partition, slot, half, multiplier)
            base = partition * (half + half)
            prefetch(slots, (base + first) << _3)
            prefetch(slots, (base + half + second) << _3)
        found[row] = 0
        key = keys[row]
        if key == _0:
            continue
        partition, slot = slot_of(key, partition_bits)
        first, second = find_buckets(partition, slot, half, multiplier)
        base = partition * (half + half)
        first, second = (base + first) << _3, (base + half + second) << _3
        same_first, free_first = scan(slots, first, slot, shift)
        same_second, free_second = scan(slots, second, slot, shift)
        if same_first | same_second:
            found[row] = 1
            continue
        if place[COUNT] >= place[LIMIT]:
            return row
        slot |= first_ordinal + np.uint64(row)
        if free_first | free_second:
            if ones(free_first) >= ones(free_second):
                slots[first + lowest_bit(free_first)] = slot
            else:
                slots[second + lowest_bit(free_second)] = slot
            place[COUNT] += _1
        elif not put(slots, place, partition, slot, first, second):
            return row
    return keys.size


@kernel
def entries_of(slots: Any, place: Any, key: Any, ordinals: Any) -> Any:
    """Write the ordinals of a key's entries into *ordinals* in no order; return how many there are."""
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    mask = (_1 << shift) - _1
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(partition, slot, half, place[MULTIPLIER])
    count = 0
    number = _0
    while True:
        here = _0
        for bucket in _pair(partition, first, second, half, number):
            same, _ = scan(slots, bucket, slot, shift)
            here += ones(same)
            while same:
                ordinals[count] = slots[bucket + lowest_bit(same)] & mask
                same &= same - _1
                count += 1
        if here < _PER_PAIR:
            return count
        number += _1


@kernel
def add_entry(slots: Any, place: Any, key: Any, ordinal: Any, entries: Any) -> Any:
    """Add an entry to a key that may have others: 1 it is in (now or already), 0 the key has its *entries*, -1 no room."""
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(partition, slot, half, place[MULTIPLIER])
    count = _0
    number = _0
    while True:
        one, two = _pair(partition, first, second, half, number)
        here = _0
        for bucket in (one, two):
            exact, _ = scan(slots, bucket, slot | ordinal, _0)
            if exact:
                return 1
            same, _ = scan(slots, bucket, slot, shift)
            here += ones(same)
        count += here
        if count >= np.uint64(entries):
            return 0
        if here < _PER_PAIR:
            return 1 if put(slots, place, partition, slot | ordinal, one, two) else -1
        number += _1


@kernel
def remove(slots: Any, place: Any, key: Any, ordinal: Any) -> Any:
    """Remove the entry of a document; True if it was there."""
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(partition, slot, half, place[MULTIPLIER])
    size = np.uint64(slots.size)
    hole = last = size
    number = _0
    while True:
        here = _0
        for bucket in _pair(partition, first, second, half, number):
            same, _ = scan(slots, bucket, slot, shift)
            exact, _ = scan(slots, bucket, slot | ordinal, _0)
            here += ones(same)
            if same:
                last = bucket + lowest_bit(same)
            if exact:
                hole = bucket + lowest_bit(exact)
        if here < _PER_PAIR:
            break
        number += _1
    if hole == size:
        return False
    # The last pair gives one entry away, so that no pair before it has fewer than four. Within one pair any entry does.
    slots[hole] = slots[last]
    slots[last] = _0
    place[COUNT] -= _1
    return True


@kernel
def rebuild(source: Any, old: Any, target: Any, new: Any, scratch: Any, levels: Any, begin: Any) -> Any:
    """Write the entries of partitions *begin*-1 … 0 of a table into another layout, from the last partition to the first.

    *target* may be the memory of *source* where the new layout is the larger one: a partition is put together in *scratch* (the
    size of what it becomes) with the fill of its buckets in *levels*, and only then written, where nothing unread is.
    Returns how many partitions are left when one does not fit, else 0.
    """
    bits, half, multiplier = old[PARTITION_BITS], old[HALF], old[MULTIPLIER]
    shift = _ORDINAL_BITS + bits
    mask = (_1 << shift) - _1
    new_bits, new_half, new_multiplier = new[PARTITION_BITS], new[HALF], new[MULTIPLIER]
    width = half << _4
    parts = _1 << (new_bits - bits)
    new_width = (new_half << _4) * parts
    for number in range(begin):
        partition = np.uint64(begin - 1 - number)
        scratch[:] = _0
        levels[:] = 0
        for index in range(partition * width, (partition + _1) * width):
            slot = source[np.uint64(index)]
            if slot == _0:
                continue
            tag, ordinal = slot & ~mask, slot & mask
            first, second = find_buckets(partition, tag, half, multiplier)
            own = (np.uint64(index) - partition * width) >> _3
            pair = _0
            if own < half:
                if own != first:
                    pair = (own + half - first) % half
            elif own != half + second:
                pair = (own - second) % half
            # What the tag loses to the number of the partition, if there are more of them now.
            part = (tag >> _1) >> (_63 - (new_bits - bits))
            slot = (tag << (new_bits - bits)) | ordinal
            first, second = find_buckets(partition, tag << (new_bits - bits), new_half, new_multiplier)
            if pair:
                first = (first + pair) % new_half
                second = (second + pair) % new_half
            one = part * (new_half + new_half) + first
            two = part * (new_half + new_half) + new_half + second
            if levels[one] > levels[two]:
                one, two = two, one
            if levels[one] < SLOTS:
                scratch[(one << _3) + np.uint64(levels[one])] = slot
                levels[one] += 1
                continue
            free = np.uint64(scratch.size)
            for bucket in (one << _3, two << _3):
                free = _make_room(scratch, bucket, part, new_half, new_multiplier, _ORDINAL_BITS + new_bits)
                if free < np.uint64(scratch.size):
                    break
            if free == np.uint64(scratch.size):
                return begin - number
            scratch[free] = slot
            for bucket in range(levels.size):
                levels[bucket] = 0
                for offset in range(SLOTS):
                    levels[bucket] += scratch[np.uint64(bucket * SLOTS + offset)] != _0
        target[partition * new_width : (partition + _1) * new_width] = scratch
    return 0
