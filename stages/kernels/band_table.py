"""One band of the LSH index as a hash table of 8-byte slots: look up, insert, remove.

A slot holds the tag of a key (upper bits) and the ordinal of a document (lower bits); 0 is empty. The number of bits for
ordinals grows with the corpus; the bits that the tag loses become the number of the partition, so that partition and tag
always are the same 47 bits of the key: a table can be rebuilt, merged and turned into a Bloom filter without the keys.

Each key has two buckets of 16 slots (two cache lines each), one in either half of its partition, and goes into the emptier one.
Both are asked for ahead of time and compared without a branch, and the emptier one is chosen without one, so an insertion takes
13 ns at every load up to 0.9 and 28 at 0.94 (six tables of 4 million slots; 20 and 36 with a branch, which goes wrong half of the
time). Where both are full, an entry of one of them moves to its other bucket; where none can, the table is rebuilt.

Rejected, measured at a load of 0.9: linear probing, 145 ns where entries stay sorted and 80 to 90 where buckets of 8 or 16 are
filled as they come, because a probe walks 6 buckets there; two buckets of 8 slots, 12 to 15 ns up to a load of 0.8 and 83 at 0.9.
Rejected, as means over a cycle of loads from 0.63 to 0.94, where this takes 19 ns: the first bucket alone until it is full, with
a bit for each bucket that was, 53 ns, and 38 or 32 where the bit is set at 14 or 12 entries, because buckets fill so unevenly
that at 0.94 up to two insertions in five have to make room; two lines of 8 slots, and the other lines of their buckets only where
those are full, 26 (24 for this then): at low loads 2 lines take 8 % less time than 4, as lines beside each other come together.

A table beyond the reach of the processor's memory of addresses waits for them: on a virtual machine whose host has pages of 4 kB,
a key takes two walks through its page tables, and what they read leaves the caches before the band has its turn again. So many
rows are entered together, and those of a large table in the order of its partitions (`_by_partition`): a key of 21 tables of 300
MB takes 43 to 50 ns in batches of 4,004 rows, in any order, 37 in batches of 16,380, 29 so ordered, and 22 in batches of 65,532,
ordered or not. Rejected there, as nothing was gained: partitions of 64 kB, so that both buckets are near each other, and asking
for one bucket before the other.

Documents that share a key: a pair of buckets holds at most eight entries of it, the next eight are in the pair after it, and so
on. An entry can be in a pair only while the pairs before it hold eight of its key, so a search ends where it finds fewer.

`place` is the row of numbers that describes a table (see the columns below). All is uint64, because numba makes floats of signed
and unsigned integers mixed. Kernels check no bounds: who hands them a place answers for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined, inner
from corpusmill.stages.kernels.machine import lowest_bit, ones, prefetch, scan, words_at

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
    "RUNS",
    "SLOTS",
    "add_entry",
    "enter_all",
    "entries_of",
    "find_buckets",
    "identity_of",
    "pair_of",
    "put",
    "put_somewhere",
    "remove",
    "size_of",
    "slot_of",
]

IDENTITY_BITS = 48  # the upper bits of a key that count, the lowest of them always set, so that no slot is 0
SLOTS = 16  # in a bucket
PER_PAIR = 8  # entries of one key in a pair of buckets
RUNS = 512  # that the rows of a batch are put into before they go into a large table, by the upper bits of their keys

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
_0, _1, _6, _8, _29, _32, _63 = (np.uint64(number) for number in (0, 1, 6, 8, 29, 32, 63))
_RUN_BITS = np.uint64(9)
_RUN = np.uint64(64 - 9)
_BUCKET, _PARTITION = np.uint64(4), np.uint64(5)  # log2 of the slots of a bucket, and of two
_PER_PAIR = np.uint64(PER_PAIR)


@inlined
def size_of(place: Any) -> Any:
    """Return the number of slots of a table, for `words_at`: a bare kernel cannot return an array that it was not given."""
    return np.int64((place[HALF] << _PARTITION) << place[PARTITION_BITS])


@inlined
def slot_of(key: Any, partition_bits: Any) -> Any:
    """Return (partition, slot without its ordinal) of a key."""
    identity = (key & _IDENTITY) | _ALWAYS
    return (identity >> _1) >> (_63 - partition_bits), identity << partition_bits


@inlined
def identity_of(slot: Any, partition: Any, partition_bits: Any) -> Any:
    """Return the bits of a key that count, from an entry: as good as the key."""
    shift = _ORDINAL_BITS + partition_bits
    tag = (slot >> shift) << shift
    # Shifted in two steps, because a shift by all 64 bits is undefined.
    return (tag >> partition_bits) | ((partition << _1) << (_63 - partition_bits))


@inlined
def find_buckets(tag: Any, half: Any, multiplier: Any) -> Any:
    """Return the two buckets of a tag, counted from the beginning of either half of its partition."""
    spread = tag * multiplier
    first = ((spread >> _32) * half) >> _32
    second = ((((spread ^ (spread >> _29)) * _SECOND) >> _32) * half) >> _32
    return first, second


@inlined
def pair_of(partition: Any, first: Any, second: Any, half: Any, number: Any) -> Any:
    """Return the indexes of the first slots of pair *number* of a key."""
    first += number
    second += number
    if number:
        first %= half
        second %= half
    base = partition * (half + half)
    return (base + first) << _BUCKET, (base + half + second) << _BUCKET


@inlined
def _free_slot(first: Any, free_first: Any, second: Any, free_second: Any) -> Any:
    """Return the index of a free slot in the emptier of two buckets, of equals the first; one of them has room.

    No branch: the guess which one is emptier goes wrong half of the time, and that is a third of the time of an insertion.
    """
    take = _0 - np.uint64(ones(free_second) > ones(free_first))
    return (first ^ ((first ^ second) & take)) + lowest_bit(free_first ^ ((free_first ^ free_second) & take))


@inner
def _make_room(slots: Any, bucket: Any, partition: Any, half: Any, multiplier: Any, shift: Any) -> Any:
    """Move one entry of a full bucket to its other bucket; return the index of the slot that is free now, or the size."""
    base = partition * (half + half)
    own = (bucket >> _BUCKET) - base
    for offset in range(SLOTS):
        index = bucket + np.uint64(offset)
        slot = slots[index]
        first, second = find_buckets((slot >> shift) << shift, half, multiplier)
        # Which pair of its key the entry is in follows from where it is: pairs of one key never overlap.
        other = half + (second + own + half - first) % half if own < half else (first + own - second) % half
        other += base
        _, free = scan(slots, other << _BUCKET, _0, _0)
        if free:
            slots[(other << _BUCKET) + lowest_bit(free)] = slot
            slots[index] = _0
            return index
    return np.uint64(slots.size)


@inner
def put_somewhere(
    slots: Any, partition: Any, slot: Any, first: Any, second: Any, half: Any, multiplier: Any, shift: Any
) -> Any:
    """Write a slot into one of two buckets (given by their first slots), or where one of their entries can make room."""
    _, free_first = scan(slots, first, _0, _0)
    _, free_second = scan(slots, second, _0, _0)
    if free_first | free_second:
        slots[_free_slot(first, free_first, second, free_second)] = slot
        return True
    for bucket in (first, second):
        index = _make_room(slots, bucket, partition, half, multiplier, shift)
        if index < np.uint64(slots.size):
            slots[index] = slot
            return True
    return False


@inner
def put(slots: Any, place: Any, partition: Any, slot: Any, first: Any, second: Any) -> Any:
    """Write a slot that is known to be absent into a pair of buckets (given by their first slots); False where no room is."""
    shift = _ORDINAL_BITS + place[PARTITION_BITS]
    if not put_somewhere(slots, partition, slot, first, second, place[HALF], place[MULTIPLIER], shift):
        return False
    place[COUNT] += _1
    return True


@inlined
def enter(
    place: Any,
    keys: Any,
    band: Any,
    start: Any,
    first_ordinal: Any,
    suspect: Any,
    seen: Any,
    maybe: Any,
    order: Any,
    ordered: Any,
    buckets: Any,
    known: Any,
    only: Any,
) -> Any:
    """Enter the rows whose key of a band is new, unless they are *suspect*, and note in *known* (rows, bands) what a row finds.

    0, which must be there before: the row is entered (or its key is 0). 1: its key has entries. 5: it has a single one, whose
    ordinal is in *only* (bands, rows). 2: it has none, but the row is suspect and not entered. 3: it has none, but a suspect row
    before may come to be entered under it.

    Suspect are rows that found entries, in this band or another: they probably will be dropped, and what was not entered need
    not be taken out again. That is a guess, which costs nothing but time when it is wrong. *seen* remembers them for later rows
    with the same key; it is all 0 at first and has more places than there are rows, a power of two. *maybe* (all 0,
    words by a power of two) has a bit for each of them, and is small enough to be at hand for every row. *buckets* has room for
    two numbers a row. Rows take their turn as *order* says, with the keys *ordered*; only rows that share a key have to be in
    their own order. Returns the turn at which the table has to grow before it can go on, or the number of rows.
    """
    slots = words_at(place[ADDRESS], size_of(place))
    partition_bits, half, multiplier = place[PARTITION_BITS], place[HALF], place[MULTIPLIER]
    shift = _ORDINAL_BITS + partition_bits
    mask = (_1 << shift) - _1
    limit, count = place[LIMIT], place[COUNT]
    last, last_word = np.uint64(seen.size - 1), np.uint64(maybe.size - 1)
    rows = np.uint64(keys.shape[1])
    for turn in range(start, rows):  # on its own, because LLVM does this in vector registers
        partition, slot = slot_of(ordered[turn], partition_bits)
        first, second = find_buckets(slot, half, multiplier)
        base = partition * (half + half)
        buckets[0, turn], buckets[1, turn] = (base + first) << _BUCKET, (base + half + second) << _BUCKET
    for turn in range(start, rows):
        if turn + _AHEAD < rows:
            first, second = buckets[0, turn + _AHEAD], buckets[1, turn + _AHEAD]
            prefetch(slots, first)
            prefetch(slots, first + _8)
            prefetch(slots, second)
            prefetch(slots, second + _8)
        key, row = ordered[turn], np.uint64(order[turn])
        if key == _0:
            continue
        partition, slot = slot_of(key, partition_bits)
        first, second = buckets[0, turn], buckets[1, turn]
        same_first, free_first = scan(slots, first, slot, shift)
        same_second, free_second = scan(slots, second, slot, shift)
        if same_first | same_second:
            known[row, band] = suspect[row] = 1
            if ones(same_first) + ones(same_second) == _1:
                index = first + lowest_bit(same_first) if same_first else second + lowest_bit(same_second)
                known[row, band] = 5
                only[band, row] = slots[index] & mask
            continue
        spread = ((key | _BELOW) * _SECOND) >> _32
        if suspect[row] or (maybe[(spread >> _6) & last_word] >> (spread & _63)) & _1:
            at, mark = spread & last, np.uint32(spread) | np.uint32(1)
            while seen[at] != 0 and seen[at] != mark:
                at = (at + _1) & last
            if seen[at] != 0:
                known[row, band] = suspect[row] = 3
                continue
            if suspect[row]:
                known[row, band] = 2
                seen[at] = mark
                maybe[(spread >> _6) & last_word] |= _1 << (spread & _63)
                continue
        if count >= limit:
            place[COUNT] = count
            return turn
        slot |= first_ordinal + row
        if free_first | free_second:
            slots[_free_slot(first, free_first, second, free_second)] = slot
            count += _1
            continue
        place[COUNT] = count
        if not put(slots, place, partition, slot, first, second):
            return turn
        count += _1
    place[COUNT] = count
    return rows


@inlined
def _by_partition(keys: Any, band: Any, partition_bits: Any, starts: Any, order: Any, ordered: Any) -> Any:
    """Put the rows into the order in which they enter a table: their own, or that of runs of partitions if it is large.

    Rows with the same key keep their order, so the results are the same. Counting and moving takes 3.7 ns a key, which tables
    of 64 MB just repay and those of 150 MB well (22 instead of 26 ns).
    """
    rows = keys.shape[1]
    if partition_bits < _RUN_BITS:
        for row in range(rows):
            ordered[row] = keys[band, row]
            order[row] = row
        return
    starts[:] = 0
    for row in range(rows):
        starts[(keys[band, row] >> _RUN) + _1] += np.uint32(1)
    total = np.uint32(0)
    for run in range(RUNS):
        total += starts[run]
        starts[run] = total
    for row in range(rows):
        key = keys[band, row]
        turn = starts[key >> _RUN]
        starts[key >> _RUN] = turn + np.uint32(1)
        ordered[turn] = key
        order[turn] = row


@bare_kernel
def enter_all(
    places: Any,
    keys: Any,
    band: Any,
    turn: Any,
    first: Any,
    suspect: Any,
    seen: Any,
    maybe: Any,
    starts: Any,
    order: Any,
    ordered: Any,
    buckets: Any,
    known: Any,
    only: Any,
) -> Any:
    """Enter the rows into the tables of all bands, from *turn* of *band* on: see `enter`.

    Returns the band whose table has to grow and the turn at which to go on then, or the number of bands; until then *order*
    and *ordered* are to be left alone. *starts* has room for `RUNS` and one more.
    """
    while band < places.shape[0]:
        place = places[band]
        if turn == 0:
            seen[:] = 0
            maybe[:] = 0
            _by_partition(keys, band, place[PARTITION_BITS], starts, order, ordered)
        start = np.uint64(turn)
        turn = np.int64(
            enter(place, keys, band, start, first, suspect, seen, maybe, order, ordered, buckets, known, only)
        )
        if turn < keys.shape[1]:
            break
        band += 1
        turn = 0
    return band, turn


@inlined
def entries_of(place: Any, key: Any, ordinals: Any) -> Any:
    """Write the ordinals of a key's entries into *ordinals* in no order; return how many there are."""
    slots = words_at(place[ADDRESS], size_of(place))
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    mask = (_1 << shift) - _1
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(slot, half, place[MULTIPLIER])
    count = 0
    number = _0
    while True:
        here = _0
        for bucket in pair_of(partition, first, second, half, number):
            same, _ = scan(slots, bucket, slot, shift)
            here += ones(same)
            while same and count < ordinals.size:
                ordinals[count] = slots[bucket + lowest_bit(same)] & mask
                same &= same - _1
                count += 1
        if here < _PER_PAIR or count == ordinals.size:  # more than may be: only in a table that was damaged
            return count
        number += _1


@inner
def add_entry(place: Any, key: Any, ordinal: Any, entries: Any) -> Any:
    """Add an entry to a key that may have others: 1 it is in (now or already), 0 the key has its *entries*, -1 no room."""
    slots = words_at(place[ADDRESS], size_of(place))
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(slot, half, place[MULTIPLIER])
    count = _0
    number = _0
    while True:
        one, two = pair_of(partition, first, second, half, number)
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


@inner
def _remove_from_many(slots: Any, place: Any, partition: Any, slot: Any, first: Any, second: Any, ordinal: Any) -> Any:
    """Remove the entry of a document from a key that has others, or none."""
    half = place[HALF]
    shift = _ORDINAL_BITS + place[PARTITION_BITS]
    size = np.uint64(slots.size)
    hole = last = size
    number = _0
    while True:
        here = _0
        for bucket in pair_of(partition, first, second, half, number):
            same, _ = scan(slots, bucket, slot, shift)
            exact, _ = scan(slots, bucket, slot | ordinal, _0)
            here += ones(same)
            if same:
                last = bucket + lowest_bit(same)
            if exact:
                hole = bucket + lowest_bit(exact)
        number += _1
        if here < _PER_PAIR or number == half:
            break
    if hole == size:
        return False
    # The last pair gives one entry away, so that no pair before it has fewer than four. Within one pair any entry does.
    slots[hole] = slots[last]
    slots[last] = _0
    place[COUNT] -= _1
    return True


@inlined
def remove(place: Any, key: Any, ordinal: Any) -> Any:
    """Remove the entry of a document; True if it was there."""
    slots = words_at(place[ADDRESS], size_of(place))
    partition_bits, half = place[PARTITION_BITS], place[HALF]
    shift = _ORDINAL_BITS + partition_bits
    partition, slot = slot_of(key, partition_bits)
    first, second = find_buckets(slot, half, place[MULTIPLIER])
    one, two = pair_of(partition, first, second, half, _0)
    same_first, _ = scan(slots, one, slot, shift)
    same_second, _ = scan(slots, two, slot, shift)
    if ones(same_first) + ones(same_second) == _1:  # nearly always. No branch: which bucket it is in cannot be guessed
        take = _0 - np.uint64(same_second != _0)
        index = (one ^ ((one ^ two) & take)) + lowest_bit(same_first | same_second)
        if slots[index] != slot | ordinal:
            return False
        slots[index] = _0
        place[COUNT] -= _1
        return True
    return _remove_from_many(slots, place, partition, slot, first, second, ordinal)
