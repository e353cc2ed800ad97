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
SLOTS = 16  # in a bucket
PER_PAIR = 8  # entries of one key in a pair of buckets

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
_BELOW = np.uint64(2 ** (64 - IDENTITY_BITS + 1) - 1)  # bits of a key that do not count
_0, _1, _8, _29, _32, _63 = (np.uint64(number) for number in (0, 1, 8, 29, 32, 63))
_BUCKET, _PARTITION = np.uint64(4), np.uint64(5)  # log2 of the slots of a bucket, and of two
_PER_PAIR = np.uint64(PER_PAIR)


@kernel
def table_at(place: Any) -> Any:
    """Return the slots of a table, flat."""
    size = (place[HALF] << _PARTITION) << place[PARTITION_BITS]
    return carray(pointer(place[ADDRESS]), (np.int64(size),), np.uint64)


@kernel
def slot_of(key: Any, partition_bits: Any) -> Any:
    """Return (partition, slot without its ordinal) of a key."""
    identity = (key & _IDENTITY) | _ALWAYS
    return (identity >> _1) >> (_63 - partition_bits), identity << partition_bits


@kernel
def find_buckets(tag: Any, half: Any, multiplier: Any) -> Any:
    """Return the two buckets of a tag, counted from the beginning of either half of its partition."""
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
    return (base + first) << _BUCKET, (base + half + second) << _BUCKET


@kernel
def _make_room(slots: Any, bucket: Any, partition: Any, half: Any, multiplier: Any, shift: Any) -> Any:
    """Move one entry of a full bucket to its other bucket; return the index of the slot that is free now, or the size."""
    base = partition * (half + half)
    own = (bucket >> _BUCKET) - base
    for offset in range(SLOTS):
        index = bucket + np.uint64(offset)
        slot = slots[index]
        first, second = find_buckets((slot >> shift) << shift, half, multiplier)
        # Which pair of its key the entry is in follows from where it is: pairs of one key never overlap.
        if own < half:
            other = base + half + (second + (own + half - first)) % half
        else:
            other = base + (first + (own - second)) % half
        _, free = scan(slots, other << _BUCKET, _0, _0)
        if free:
            slots[(other << _BUCKET) + lowest_bit(free)] = slot
            slots[index] = _0
            return index
    return np.uint64(slots.size)


@kernel
def _put_somewhere(
    slots: Any, partition: Any, slot: Any, first: Any, second: Any, half: Any, multiplier: Any, shift: Any
) -> Any:
    """Write a slot into one of two buckets (given by their first slots), or where one of their entries can make room."""
    _, free_first = scan(slots, first, _0, _0)
    _, free_second = scan(slots, second, _0, _0)
    if free_first | free_second:
        if ones(free_first) >= ones(free_second):
            slots[first + lowest_bit(free_first)] = slot
        else:
            slots[second + lowest_bit(free_second)] = slot
        return True
    for bucket in (first, second):
        index = _make_room(slots, bucket, partition, half, multiplier, shift)
        if index < np.uint64(slots.size):
            slots[index] = slot
            return True
    return False


@kernel
def put(slots: Any, place: Any, partition: Any, slot: Any, first: Any, second: Any) -> Any:
    """Write a slot that is known to be absent into a pair of buckets (given by their first slots); False where no room is."""
    shift = _ORDINAL_BITS + place[PARTITION_BITS]
    if not _put_somewhere(slots, partition, slot, first, second, place[HALF], place[MULTIPLIER], shift):
        return False
    place[COUNT] += _1
    return True


@kernel
def enter(place: Any, keys: Any, start: Any, first_ordinal: Any, suspect: Any, seen: Any, found: Any, only: Any) -> Any:
    """Enter the rows whose key is new, unless they are *suspect*, and note in *found* what every row finds.

    0: the row is entered (or its key is 0); 1: its key has entries; 5: it has one entry, whose ordinal is in *only*; 2: it has none, but the row is not entered because it is suspect;
    3: it has none, but a suspect row of this batch may come to be entered under it. Suspect rows are those that probably will be dropped, a guess that costs nothing but time when it is wrong: those that
    found entries, here or in another band. They are not entered, but remembered in *seen* (all 0 at first; a power of two, more than
    there are rows) for later rows with the same key.
    Returns the row at which the table has to grow before it can go on, or the number of rows.
    """
    slots = table_at(place)
    partition_bits, half, multiplier = place[PARTITION_BITS], place[HALF], place[MULTIPLIER]
    shift = _ORDINAL_BITS + partition_bits
    mask = (_1 << shift) - _1
    limit, count = place[LIMIT], place[COUNT]
    last = np.uint64(seen.size - 1)
    for row in range(start, keys.size):
        if row + _AHEAD < keys.size:
            partition, slot = slot_of(keys[row + _AHEAD], partition_bits)
            first, second = find_buckets(slot, half, multiplier)
            base = partition * (half + half)
            first, second = (base + first) << _BUCKET, (base + half + second) << _BUCKET
            prefetch(slots, first)
            prefetch(slots, first + _8)
            prefetch(slots, second)
            prefetch(slots, second + _8)
        found[row] = 0
        key = keys[row]
        if key == _0:
            continue
        partition, slot = slot_of(key, partition_bits)
        first, second = find_buckets(slot, half, multiplier)
        base = partition * (half + half)
        first, second = (base + first) << _BUCKET, (base + half + second) << _BUCKET
        same_first, free_first = scan(slots, first, slot, shift)
        same_second, free_second = scan(slots, second, slot, shift)
        if same_first | same_second:
            found[row] = suspect[row] = 1
            if ones(same_first) + ones(same_second) == _1:
                index = first + lowest_bit(same_first) if same_first else second + lowest_bit(same_second)
                found[row] = 5
                only[row] = slots[index] & mask
            continue
        spread = (key | _BELOW) * _SECOND
        at, mark = (spread >> _32) & last, np.uint32(spread >> _32) | np.uint32(1)
        while seen[at] != 0 and seen[at] != mark:
            at = (at + _1) & last
        if seen[at] != 0:
            found[row] = suspect[row] = 3
            continue
        if suspect[row]:
            found[row] = 2
            seen[at] = mark
            continue
        if count >= limit:
            place[COUNT] = count
            return row
        slot |= first_ordinal + np.uint64(row)
        if free_first | free_second:
            if ones(free_first) >= ones(free_second):
                slots[first + lowest_bit(free_first)] = slot
            else:
                slots[second + lowest_bit(free_second)] = slot
            count += _1
            continue
        place[COUNT] = count
        if not put(slots, place, partition, slot, first, second):
            return row
        count += _1
    place[COUNT] = count
    return keys.size


@kernel
def entries_of(slots: Any, place: Any, key: Any, ordinals: Any) -> Any:
    """Write the ordinals of a key's entries into *ordinals* in no order; return how many there are."""
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    mask = (_1 << shift) - _1
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(slot, half, place[MULTIPLIER])
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
    first, second = find_buckets(slot, half, place[MULTIPLIER])
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
    first, second = find_buckets(slot, half, place[MULTIPLIER])
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
def rebuild(
    source: Any, old: Any, target: Any, new: Any, scratch: Any, levels: Any, spilled: Any, begin: Any, end: Any
) -> Any:
    """Write the entries of partitions *begin* - 1 down to *end* of a table into another layout.

    *target* may be the memory of *source* where the new layout is the larger one: a partition is put together in *scratch* (the
    size of what it becomes) with the fill of its buckets in *levels*, and only then written, where nothing unread is.
    Entries that are not in the first pair of their key, or whose buckets are full, wait in *spilled* (room for a partition) until
    the others are in. Rejected: leaving entries in their half of the partition. That is written in order, but the buckets fill so
    unevenly that insertions cost 62 instead of 20 ns at a load of 0.85.
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
        # The same as `_moved`, written out: this loop is a quarter of all the work of an index that grows. Arithmetic first, 16 slots
        # at a time, because LLVM does that in vector registers (4.8 instead of 6.9 ns an entry).
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
                # No branch: the guess which one is emptier goes wrong half of the time. And both are written, at addresses that are
                # known early: else every load would have to wait for the store before it (9.1 instead of 6.9 ns).
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
            if not _put_somewhere(
                scratch, part, slot, one << _BUCKET, two << _BUCKET, new_half, new_multiplier, shift + more
            ):
                return number
        target[partition * new_width : (partition + _1) * new_width] = scratch
    return end


@kernel
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
