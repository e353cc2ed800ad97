"""Decides a batch of documents in order, first wins, over all bands: who is kept, who has to be compared with whom.

`enter` has put rows under those of their keys that were new, for the time being, and has noted where a key was known. What is
left is done here, in the order of rows: a row without known keys is kept as it is; the others are shown to the caller with
the kept documents that share a key; a row that is dropped is taken out of the tables again, one that is kept is added to its
known keys.

The caller is asked for many rows at once, because a call into compiled code costs a microsecond: rows go on being looked at until
one depends on a row that nobody has decided yet. The results do not depend on where that is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined, inner
from corpusmill.stages.kernels.band_table import (
    ADDRESS,
    HALF,
    MULTIPLIER,
    PARTITION_BITS,
    REFUSED,
    add_entry,
    entries_of,
    find_buckets,
    remove,
    size_of,
    slot_of,
)
from corpusmill.stages.kernels.bloom import add_to_filters, filters_ahead, in_filters
from corpusmill.stages.kernels.machine import prefetch, words_at

__all__ = [
    "ANSWERED",
    "ASK",
    "ASKED",
    "BAND",
    "CHANGED",
    "CHANGES",
    "CURSOR_COLUMNS",
    "DONE",
    "FILTERED",
    "GROW",
    "KEEP",
    "KEPT",
    "KEPT_LIMIT",
    "MARKS",
    "ROW",
    "STOP",
    "decide",
    "withdraw",
]

DONE, ASK, GROW, STOP = range(4)
"""What `decide` returns: every row is decided; rows wait for verdicts; table `BAND` has no room; as many are kept as may be."""

ROW, ASKED, ANSWERED, SETTLED, BAND, KEPT, KEPT_LIMIT, CHANGES, MARKED = range(9)
"""Columns of a cursor: the next row; rows shown to the caller; how many of those have a verdict, and how many were settled by it;
where a row goes on whose table had to grow; documents kept in all; how many may be; entries
added to keys that had some; marks that are set."""
CURSOR_COLUMNS = 9

UNDECIDED, KEEP, DROP, WAITING, FILTERED = range(5)
"""The state of a row."""

MARKS = 1 << 14
"""Places for marks of keys. At most half of them may be taken: the caller limits how many rows wait at once."""
CHANGED = 1 << 15
"""Places for keys that were added to. Where more than half are taken, all keys count as changed, which costs time only."""
_AHEAD = 8  # rows between a prefetch and its use
_KEYS_AHEAD = 12  # rows between a prefetch of keys by which the table is asked for, and that
_0, _4, _32 = np.uint64(0), np.uint64(4), np.uint64(32)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@inlined
def _find_mark(marks: Any, key: Any, band: Any) -> Any:
    """Return (mark of a key of a band, where in *marks* it is or should be)."""
    mark = (((key >> np.uint64(16)) | np.uint64(1)) + (np.uint64(band) << np.uint64(48))) * _SPREAD
    last = np.uint64(marks.size - 1)
    place = (mark >> _32) & last
    while marks[place] != _0 and marks[place] != mark:
        place = (place + np.uint64(1)) & last
    return mark, place


@inlined
def _list_known(known: Any, row: Any, listed: Any) -> Any:
    """List the bands in which a row found entries, or may find some that are not there yet; return how many they are.

    No branch, here and below: which bands these are cannot be guessed, and all that follows goes through the list.
    """
    count = 0
    for band in range(known.shape[1]):
        listed[count] = band
        count += known[row, band] & 1
    return count


@inlined
def _list_entered(keys: Any, known: Any, row: Any, listed: Any) -> Any:
    """List the bands in which `enter` has entered a row; return how many they are."""
    count = 0
    for band in range(known.shape[1]):
        listed[count] = band
        count += known[row, band] == 0
    left = 0
    for number in range(count):
        listed[left] = listed[number]
        left += keys[listed[number], row] != _0
    return left


@inlined
def _waits_for_another(marks: Any, keys: Any, known: Any, row: Any, listed: Any, count: Any) -> Any:
    """Return whether a row shares keys with a row that waits and may be entered under them."""
    for number in range(count):
        band = listed[number]
        if known[row, band] == 3 or marks[_find_mark(marks, keys[band, row], band)[1]] != _0:
            return True
    return False


@inlined
def _mark(marks: Any, marked: Any, cursor: Any, keys: Any, row: Any, listed: Any, count: Any) -> Any:
    """Mark the keys with entries under which a row that waits may be entered, and list the marks in *marked*."""
    for number in range(count):
        band = listed[number]
        mark, place = _find_mark(marks, keys[band, row], band)
        if marks[place] == _0:
            marks[place] = mark
            marked[cursor[MARKED]] = place
            cursor[MARKED] += 1


@inlined
def _prefetch(places: Any, band: Any, key: Any) -> Any:
    place = places[band]
    slots = words_at(place[ADDRESS], size_of(place))
    partition, slot = slot_of(key, place[PARTITION_BITS])
    first, second = find_buckets(slot, place[HALF], place[MULTIPLIER])
    base = partition * (place[HALF] + place[HALF])
    for bucket in (base + first, base + place[HALF] + second):
        prefetch(slots, bucket << _4)
        prefetch(slots, (bucket << _4) + np.uint64(8))


@inlined
def _take_out(places: Any, keys: Any, known: Any, row: Any, ordinal: Any, listed: Any) -> Any:
    """Remove the entries that `enter` made for a row."""
    for number in range(_list_entered(keys, known, row, listed)):
        band = listed[number]
        remove(places[band], keys[band, row], ordinal)


@inner
def _put_in(
    places: Any, keys: Any, known: Any, row: Any, ordinal: Any, entries: Any, begin: Any, changed: Any, cursor: Any
) -> Any:
    """Add a kept row to the keys that were known before it; return the band without room, or the number of bands."""
    for band in range(begin, places.shape[0]):
        if known[row, band]:  # 1 or 2: `enter` left it out
            added = add_entry(places[band], keys[band, row], ordinal, entries)
            if added < 0:
                return band
            if not added:
                places[band, REFUSED] += np.uint64(1)
            if cursor[CHANGES] < changed.size >> 1:
                mark, place = _find_mark(changed, keys[band, row], band)
                changed[place] = mark
            cursor[CHANGES] += 1
    return places.shape[0]


@inlined
def _is_changed(changed: Any, cursor: Any, key: Any, band: Any) -> Any:
    """Return whether a row of this batch may have been added to a key that had entries before."""
    if not cursor[CHANGES]:
        return False
    return cursor[CHANGES] > changed.size >> 1 or changed[_find_mark(changed, key, band)[1]] != _0


@inlined
def _candidates(
    places: Any,
    keys: Any,
    known: Any,
    only: Any,
    row: Any,
    first: Any,
    state: Any,
    cursor: Any,
    changed: Any,
    scratch: Any,
    ordinals: Any,
    bands: Any,
    begin: Any,
    listed: Any,
    listed_count: Any,
) -> Any:
    """Write what kept documents share a key with a row, ascending, with the lowest band of each, from *begin* on.

    Returns where they end, or -1 if one of them is not decided yet.
    """
    end = begin
    for place in range(listed_count):
        band = listed[place]
        if (
            known[row, band] == 5
            and only[band, row] < first
            and not _is_changed(changed, cursor, keys[band, row], band)
        ):
            scratch[0] = only[band, row]
            count = 1
        else:
            count = entries_of(places[band], keys[band, row], scratch)
        for number in range(count):
            ordinal = scratch[number]
            # A damaged table may name any document; reading beyond the batch must not be what that does.
            if ordinal >= first and ordinal - first < np.uint64(state.size) and state[ordinal - first] == WAITING:
                return -1
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
    return end


@inlined
def _keep(
    places: Any,
    keys: Any,
    known: Any,
    any_known: Any,
    row: Any,
    first: Any,
    entries: Any,
    state: Any,
    cursor: Any,
    changed: Any,
    filters: Any,
    listed: Any,
) -> Any:
    """Keep a row, unless a filter has seen one of its keys; False if table `BAND` has to grow first."""
    if filters.shape[0] and in_filters(filters, keys, places.shape[0], row):
        _take_out(places, keys, known, row, first + np.uint64(row), listed)
        state[row] = FILTERED
        return True
    if any_known[row]:
        band = _put_in(places, keys, known, row, first + np.uint64(row), entries, cursor[BAND], changed, cursor)
        if band < places.shape[0]:
            cursor[BAND] = band
            return False
        cursor[BAND] = 0
    if filters.shape[0]:
        add_to_filters(filters, keys, places.shape[0], row)
    state[row] = KEEP
    for band in range(keys.shape[0]):
        if keys[band, row] != _0:  # the first one, nearly always: what has no key at all is kept and takes no room
            cursor[KEPT] += 1
            break
    return True


@bare_kernel
def decide(
    places: Any,
    keys: Any,
    known: Any,
    any_known: Any,
    only: Any,
    first: Any,
    entries: Any,
    state: Any,
    cursor: Any,
    filters: Any,
    marks: Any,
    marked: Any,
    changed: Any,
    scratch: Any,
    asked: Any,
    ends: Any,
    ordinals: Any,
    bands: Any,
    verdicts: Any,
    listed: Any,
) -> Any:
    """Go on deciding rows; see the values that can be returned.

    *known* (rows, bands) is what `enter` found; *any_known* (rows) what it calls suspect: 0 where that is 0
    throughout; *only* (bands, rows) is what it found where there was one entry. Rows to ask about: *asked*, with candidates
    `ordinals[ends[i] : ends[i + 1]]` and *bands* beside them; the answers are expected in *verdicts* (true: drop).
    *listed* has room for all bands and one more.
    """
    while cursor[SETTLED] < cursor[ANSWERED]:
        number = cursor[SETTLED]
        if number + _KEYS_AHEAD < cursor[ANSWERED]:
            ahead = asked[number + _KEYS_AHEAD]
            for band in range(known.shape[1]):
                if known[ahead, band] == 0:
                    prefetch(keys, band * keys.shape[1] + ahead)
        if number + 4 < cursor[ANSWERED]:
            ahead = asked[number + 4]
            for at in range(_list_entered(keys, known, ahead, listed)):
                _prefetch(places, listed[at], keys[listed[at], ahead])
        row = asked[number]
        if verdicts[number]:
            _take_out(places, keys, known, row, first + np.uint64(row), listed)
            state[row] = DROP
        elif not _keep(places, keys, known, any_known, row, first, entries, state, cursor, changed, filters, listed):
            return GROW
        cursor[SETTLED] += 1
    if cursor[SETTLED] == cursor[ASKED]:
        cursor[ASKED] = cursor[ANSWERED] = cursor[SETTLED] = 0
        for mark in range(
            cursor[MARKED]
        ):  # one by one: clearing all places takes longer than the rest, where each row waits alone
            marks[marked[mark]] = _0
        cursor[MARKED] = 0
    most = entries * places.shape[0]
    while cursor[ROW] < keys.shape[1]:
        row = cursor[ROW]
        if cursor[KEPT] + cursor[ASKED] >= cursor[KEPT_LIMIT]:
            return ASK if cursor[ASKED] else STOP
        if row + _AHEAD < keys.shape[1] and any_known[row + _AHEAD]:
            for at in range(_list_known(known, row + _AHEAD, listed)):
                band = listed[at]
                prefetch(keys, band * keys.shape[1] + row + _AHEAD)
                prefetch(only, band * only.shape[1] + row + _AHEAD)
                if known[row + _AHEAD, band] != 5:
                    _prefetch(places, band, keys[band, row + _AHEAD])
        if filters.shape[0] and row + _AHEAD < keys.shape[1]:
            filters_ahead(filters, keys, places.shape[0], row + _AHEAD)
        asking = cursor[ASKED]
        if any_known[row] and not cursor[BAND]:  # else it is decided already, and half entered
            begin = ends[asking]
            if asking == asked.size or begin + most > ordinals.size:
                return ASK
            count = _list_known(known, row, listed)
            if asking and _waits_for_another(marks, keys, known, row, listed, count):
                return ASK
            end = _candidates(
                places,
                keys,
                known,
                only,
                row,
                first,
                state,
                cursor,
                changed,
                scratch,
                ordinals,
                bands,
                begin,
                listed,
                count,
            )
            if end < 0:
                return ASK
            if end > begin:
                _mark(marks, marked, cursor, keys, row, listed, count)
                asked[asking] = row
                ends[asking + 1] = end
                state[row] = WAITING
                cursor[ASKED] += 1
                cursor[ROW] += 1
                if filters.shape[0]:  # what the filters say of the next row depends on whether this one is kept
                    return ASK
                continue
        if not _keep(places, keys, known, any_known, row, first, entries, state, cursor, changed, filters, listed):
            return GROW
        cursor[ROW] += 1
    return ASK if cursor[ASKED] else DONE


@bare_kernel
def withdraw(places: Any, keys: Any, known: Any, first: Any, begin: Any, listed: Any) -> Any:
    """Take the rows from *begin* on out of the tables: they will be looked at again."""
    for row in range(begin, keys.shape[1]):
        _take_out(places, keys, known, row, first + np.uint64(row), listed)
