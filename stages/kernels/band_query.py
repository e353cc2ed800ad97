"""Looks keys up without entering anything: for an index that another corpus owns."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel
from corpusmill.stages.kernels.band_table import ADDRESS, IDENTITY_BITS, PARTITION_BITS, entries_of, size_of
from corpusmill.stages.kernels.machine import words_at

__all__ = ["look_up", "ordinals_in"]

_0, _1 = np.uint64(0), np.uint64(1)
_ORDINAL_BITS = np.uint64(64 - IDENTITY_BITS)  # with a single partition


@bare_kernel
def look_up(places: Any, keys: Any, row: Any, scratch: Any, ordinals: Any, bands: Any, ends: Any) -> Any:
    """Write the documents that share a key with each row from *row* on, ascending, with the lowest band of each.

    `ends[row + 1]` is where those of a row end; `ends[row]` must be set. Returns the row for which there is no room, or the
    number of rows. *scratch* has room for the entries of a key.
    """
    most = places.shape[0] * scratch.size
    while row < keys.shape[1]:
        begin = end = ends[row]
        if begin + most > ordinals.size:
            return row
        for band in range(places.shape[0]):
            if keys[band, row] == _0:
                continue
            count = entries_of(places[band], keys[band, row], scratch)
            for number in range(count):
                ordinal = scratch[number]
                at = end
                while at > begin and ordinals[at - 1] > ordinal:
                    at -= 1
                if at > begin and ordinals[at - 1] == ordinal:
                    continue
                for move in range(end, at, -1):
                    ordinals[move] = ordinals[move - 1]
                    bands[move] = bands[move - 1]
                ordinals[at] = ordinal
                bands[at] = band
                end += 1
        ends[row + 1] = end
        row += 1
    return row


@bare_kernel
def ordinals_in(place: Any, ordinals: Any) -> Any:
    """Write the ordinals of all entries of a table, in no order; return how many there are."""
    slots = words_at(place[ADDRESS], size_of(place))
    mask = (_1 << (_ORDINAL_BITS + place[PARTITION_BITS])) - _1
    count = 0
    for index in range(slots.size):
        if slots[index] != _0:
            ordinals[count] = slots[index] & mask
            count += 1
    return count
