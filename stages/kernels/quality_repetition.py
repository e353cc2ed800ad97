"""Repeated n-grams of one document: which share of its characters is in them, for nine lengths in linear time.

An n-gram can only be repeated where the two shorter ones that make it up are, so each length looks only at the places that the
length before left over: on ordinary text a sixth of them after two words, and hardly any after four. Two words are compared by
the hash of theirs; what is longer by the numbers of the two shorter n-grams that it is made of, which is exact.
Rejected: a table for each length over all places, nine look-ups a word instead of about one and a half.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inner
from corpusmill.stages.kernels.text import mix

__all__ = ["LENGTHS", "repetition"]

LENGTHS = (2, 3, 4, 5, 6, 7, 8, 9, 10)
"""Words of an n-gram, one result each."""
_TOP = 4  # up to this length the most frequent n-gram counts, above it all that are repeated
_ROLL = np.uint64(0xA0761D6478BD642F)
_0, _1, _6, _32, _58, _63, _64 = (np.uint64(number) for number in (0, 1, 6, 32, 58, 63, 64))


@inner
def repetition(
    hashes: Any,
    reached: Any,
    units: int,
    per_word: int,
    keys: Any,
    places: Any,
    classes: Any,
    counts: Any,
    seen: Any,
    table: Any,
    numbers: Any,
    once: Any,
    again: Any,
    out: Any,
) -> None:
    """Write the characters in repeated n-grams to *out*, one number per length.

    *hashes* are those of the units, *reached* the characters before each and before the end. The others are memory: `keys`,
    `places`, `classes`, `counts` and `seen` have a place for each unit and one more, `table` and `numbers` four, `once` and
    `again` half of one and two more.
    """
    for row in range(len(LENGTHS)):
        out[row] = 0
    size = 2 * per_word
    left = units - size + 1
    if left < 2:
        return
    rolled, power = _0, _1
    for place in range(size):
        rolled = rolled * _ROLL + hashes[place]
        power *= _ROLL
    for place in range(left):
        keys[place] = rolled | _1
        places[place] = place
        if place + 1 < left:
            rolled = rolled * _ROLL + hashes[place + size] - power * hashes[place]
    for place in range(left, units + 1):
        classes[place] = -1
    for row in range(len(LENGTHS)):
        if row:
            left = _longer(places, left, classes, per_word, units, keys)
        left = _repeated(keys, places, left, classes, counts, seen, table, numbers, once, again)
        if left == 0:
            return
        size = (row + 2) * per_word
        if row + 2 <= _TOP:
            spaces = size - 1 if per_word == 1 else 0
            out[row] = _top(places, left, classes, counts, reached, size, spaces)
        else:
            out[row] = _covered(places, left, classes, seen, reached, size)


@inner
def _longer(places: Any, left: int, classes: Any, more: int, units: int, keys: Any) -> int:
    """Keep the *places* where an n-gram longer by *more* units can be repeated, with its key, and return their number."""
    kept = 0
    for number in range(left):
        place = places[number]
        behind = place + more
        if behind < units and classes[behind] >= 0:
            keys[kept] = mix((np.uint64(classes[place] + 1) << _32) | np.uint64(classes[behind] + 1)) | _1
            places[kept] = place
            kept += 1
        else:
            classes[place] = -1
    return kept


@inner
def _maybe_repeated(keys: Any, places: Any, left: int, classes: Any, once: Any, again: Any) -> int:
    """Keep the places whose key another one may have, and return their number: without a branch, by 16 to 32 bits for each.

    A table that takes all keys is mispredicted at each that is new: half as fast on ordinary text, where four in five are.
    """
    shift = np.uint64(58)
    while np.int64(_1 << (_64 - shift)) < 16 * left:
        shift -= _1
    for word in range(np.int64(_1 << (_58 - shift))):
        once[word] = again[word] = _0
    for number in range(left):
        bit = keys[number] >> shift
        word, flag = bit >> _6, _1 << (bit & _63)
        before = once[word]
        again[word] |= before & flag
        once[word] = before | flag
    kept = 0
    for number in range(left):
        key, place = keys[number], places[number]
        bit = key >> shift
        keys[kept], places[kept] = key, place
        classes[place] = -1
        kept += np.int64((again[bit >> _6] >> (bit & _63)) & _1)
    return kept


@inner
def _repeated(
    keys: Any,
    places: Any,
    left: int,
    classes: Any,
    counts: Any,
    seen: Any,
    table: Any,
    numbers: Any,
    once: Any,
    again: Any,
) -> int:
    """Give each n-gram at *places* the number of its key, keep those that occur again, and return how many are left."""
    left = _maybe_repeated(keys, places, left, classes, once, again)
    shift = np.uint64(63)
    while np.int64(_1 << (_64 - shift)) < 2 * left:
        shift -= _1
    mask = (_1 << (_64 - shift)) - _1
    for slot in range(np.int64(mask) + 1):
        table[slot] = _0
    distinct = 0
    for number in range(left):
        key = keys[number]
        slot = key >> shift
        while table[slot] != _0 and table[slot] != key:
            slot = (slot + _1) & mask
        place = places[number]
        if table[slot] == _0:
            table[slot] = key
            numbers[slot] = distinct
            counts[distinct] = 1
            seen[distinct] = False
            classes[place] = distinct
            distinct += 1
        else:
            classes[place] = numbers[slot]
            counts[numbers[slot]] += 1
    kept = 0
    for number in range(left):
        place = places[number]
        if counts[classes[place]] > 1:
            places[kept] = place
            kept += 1
        else:
            classes[place] = -1
    return kept


@inner
def _top(places: Any, left: int, classes: Any, counts: Any, reached: Any, size: int, spaces: int) -> int:
    """Return the characters, spaces included, in all copies of the most frequent n-gram; of equally frequent ones the longest."""
    most, longest = 0, 0
    for number in range(left):
        place = places[number]
        count = counts[classes[place]]
        if count >= most:
            length = reached[place + size] - reached[place]
            longest = max(longest, length) if count == most else length
            most = count
    return most * (longest + spaces)


@inner
def _covered(places: Any, left: int, classes: Any, seen: Any, reached: Any, size: int) -> int:
    """Return the characters of n-grams that occurred before; what follows is looked at from behind each of them."""
    characters, end = 0, 0
    for number in range(left):
        place = places[number]
        if place < end:
            continue
        if seen[classes[place]]:
            characters += reached[place + size] - reached[place]
            end = place + size
        seen[classes[place]] = True
    return characters
