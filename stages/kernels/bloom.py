"""Blocked Bloom filters: one per band in place of its table, when there is not enough memory for tables.

A block is one cache line of 8 words, and a key sets one bit in each word (Putze, Sanders, Singler 2007). Rejected: a classic
filter, which needs a cache line for each of its bits and is half as fast, measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined
from corpusmill.stages.kernels.band_table import (
    ADDRESS,
    HALF,
    IDENTITY_BITS,
    PARTITION_BITS,
    SLOTS,
    identity_of,
    size_of,
)
from corpusmill.stages.kernels.machine import prefetch, words_at

__all__ = ["add_to_filters", "filters_ahead", "in_filters", "seen", "take_in"]

_0, _1, _3, _6, _16, _32, _63 = (np.uint64(number) for number in (0, 1, 3, 6, 16, 32, 63))
_SPREAD, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_UPPER, _LOWEST = np.uint64(2**64 - 2 ** (64 - IDENTITY_BITS)), np.uint64(1 << (64 - IDENTITY_BITS))


@inlined
def _block_and_bits(key: Any, words: Any) -> Any:
    """Return the first word of a key's block, and 48 bits of which each six choose a bit of one of its words."""
    mixed = ((key & _UPPER) | _LOWEST) * _SPREAD
    mixed = (mixed ^ (mixed >> _32)) * _SECOND
    block = ((mixed >> _32) * (np.uint64(words) >> _3)) >> _32
    mixed = (mixed ^ (mixed >> _32)) * _SPREAD
    return block << _3, mixed >> _16


@inlined
def filters_ahead(filters: Any, keys: Any, tables: Any, row: Any) -> Any:
    """Ask for the blocks of a row ahead of their use."""
    words = filters.shape[1]
    flat = filters.reshape(filters.size)
    for band in range(filters.shape[0]):
        block, _ = _block_and_bits(keys[tables + band, row], words)
        prefetch(flat, np.uint64(band * words) + block)


@inlined
def in_filters(filters: Any, keys: Any, tables: Any, row: Any) -> Any:
    """Return whether one of the filters (bands from *tables* on) has seen the key of a row."""
    for band in range(filters.shape[0]):
        key = keys[tables + band, row]
        if key == _0:
            continue
        block, bits = _block_and_bits(key, filters.shape[1])
        seen = _1
        for word in range(8):
            seen &= filters[band, block + np.uint64(word)] >> (bits & _63)
            bits >>= _6
        if seen & _1:
            return True
    return False


@inlined
def _add(filters: Any, band: Any, key: Any) -> Any:
    block, bits = _block_and_bits(key, filters.shape[1])
    for word in range(8):
        filters[band, block + np.uint64(word)] |= _1 << (bits & _63)
        bits >>= _6


@inlined
def add_to_filters(filters: Any, keys: Any, tables: Any, row: Any) -> Any:
    """Let the filters remember the keys of a row."""
    for band in range(filters.shape[0]):
        if keys[tables + band, row] != _0:
            _add(filters, band, keys[tables + band, row])


@bare_kernel
def take_in(filters: Any, band: Any, place: Any) -> Any:
    """Let the filter of a band remember all keys of a table."""
    slots = words_at(place[ADDRESS], size_of(place))
    width = place[HALF] * np.uint64(2 * SLOTS)
    for partition in range(_1 << place[PARTITION_BITS]):
        for index in range(width):
            slot = slots[partition * width + index]
            if slot != _0:
                _add(filters, band, identity_of(slot, partition, place[PARTITION_BITS]))


@bare_kernel
def seen(filters: Any, keys: Any, tables: Any, rows: Any) -> Any:
    """Set in *rows* those of which a filter has seen a key."""
    for row in range(keys.shape[1]):
        if row + 8 < keys.shape[1]:
            filters_ahead(filters, keys, tables, row + 8)
        rows[row] = in_filters(filters, keys, tables, row)
