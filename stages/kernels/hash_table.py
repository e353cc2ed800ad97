"""Pieces of tables and hashes that kernels of text share: eight bytes at once, a hash of bytes, an open table of hashes.

Strings are compared by their 64-bit hash alone, and the tables keep no text: of 100,000 different words, the most that are looked
at in a document, two have the same hash in one of two billion documents.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inlined, kernel

__all__ = ["add_hash", "eight_bytes", "hash_of", "wider"]

_0, _1, _2, _3, _4, _5, _6, _7, _8 = (np.uint64(number) for number in range(9))
_FACTOR = np.uint64(0xF1357AEA2E62A9C5)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = (np.uint64(number) for number in (27, 30, 31, 32))
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@inlined
def eight_bytes(data: Any, at: Any, end: Any) -> Any:
    """Return the bytes from *at* to *end*, at most eight, as one number with zeros above; the compiler makes one load of it."""
    if at + _8 <= np.uint64(data.size):
        eight = (
            (np.uint64(data[at]) | (np.uint64(data[at + _1]) << _8))
            | ((np.uint64(data[at + _2]) << np.uint64(16)) | (np.uint64(data[at + _3]) << np.uint64(24)))
            | ((np.uint64(data[at + _4]) << np.uint64(32)) | (np.uint64(data[at + _5]) << np.uint64(40)))
            | ((np.uint64(data[at + _6]) << np.uint64(48)) | (np.uint64(data[at + _7]) << np.uint64(56)))
        )
        if end - at < _8:
            eight &= ~(_ALL << ((end - at) << _3))
        return eight
    eight, shift = _0, _0
    while at < end and shift < np.uint64(64):
        eight |= np.uint64(data[at]) << shift
        at += _1
        shift += _8
    return eight


@inlined
def hash_of(data: Any, at: Any, end: Any) -> Any:
    """Return the hash of the bytes from *at* to *end*; never 0, which is an empty place of a table."""
    hashed = end - at
    while at < end:
        hashed = (hashed ^ eight_bytes(data, at, end)) * _FACTOR
        hashed ^= hashed >> _32
        at += _8
    hashed = (hashed ^ (hashed >> _30)) * _MIX_1
    hashed = (hashed ^ (hashed >> _27)) * _MIX_2
    return (hashed ^ (hashed >> _31)) | _1


@inlined
def add_hash(table: Any, mask: Any, hashed: Any) -> Any:
    """Add a hash to the first *mask* + 1 places of *table* and return whether it is new. One place in two is free."""
    place = (hashed >> _1) & mask
    while table[place] != _0:
        if table[place] == hashed:
            return False
        place = (place + _1) & mask
    table[place] = hashed
    return True


@kernel
def wider(table: Any, mask: Any, spare: Any) -> Any:
    """Return a table with the hashes of *table* and twice its places, which is *spare* if that is large enough."""
    places = (mask + _1) << _1
    if np.uint64(spare.size) < places:
        spare = np.empty(np.int64(places), np.uint64)
    for place in range(np.int64(places)):
        spare[place] = _0
    for place in range(np.int64(mask) + 1):
        if table[place] != _0:
            add_hash(spare, places - _1, table[place])
    return spare
