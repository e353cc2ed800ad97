"""Naive Bayes over n-grams of bytes, as py3langid's model has it: the features of a text, what they speak for, and who wins.

All of it waits for memory: the automaton that finds features has 39 MB, their weights have 57 MB in single precision, and each
step and each feature is another place. Rows of the automaton differ from the row of their last byte in 16 places of 256, and
weights are the least of their language in four of five places: without these 9 and 8 MB are left. Microseconds for a sample of
1,240 bytes on a core whose third-level cache is shared: the automaton 41, without what rows share 15, four parts of the text
at once 6; with weights as rows of 142 numbers 95 in all, without the least ones 81, 56 if every row is touched first, so that
the processor fetches many at once, and 35 if the fullest rows stay rows.

Of that last form it takes 0.77 (documents of 2.1 kB; medians of turns, on a machine that others kept busy) if the memory of
weights is asked for before the next text is walked, rows are added up in order of their length, and a text is walked in eight
parts; 0.70 if the memory of what describes a feature is asked for as soon as the automaton finds it, and 0.64 if that of weights
is asked for step by step while the next text is walked.

Sums are those of integers: weights are whole numbers of 1/512, logarithms of counts are rounded to 2^-30. So there is no order
of summing, and no machine can differ.
"""

from __future__ import annotations

from math import exp, log1p, sqrt
from typing import Any

import numpy as np

from corpusmill.stages.kernels import inlined, inner, kernel
from corpusmill.stages.kernels.machine import prefetch

__all__ = ["COLUMNS", "LOG_UNIT", "rank"]

COLUMNS = 144
"""Length of a full row of weights: py3langid's 142 columns, and two more so that they fill vector registers."""
_FEATURE = np.uint64(0x1FFFF)
_BASE = np.uint64(0x7FFFFF)
_0, _1, _2, _3, _4, _5, _6, _7, _8, _17, _32, _40 = (
    np.uint64(number) for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 17, 32, 40)
)
_LINE = np.uint64(32)  # numbers of 16 bits in what a processor fetches at once
_FULL = np.uint64(COLUMNS)
_COLUMNS = np.uint64(256)  # that a number of 8 bits may name
LOG_UNIT = 2.0**30
_ONCE = np.int64(np.rint(log1p(1.0) * LOG_UNIT))


@inlined
def _step(state: np.uint64, before: np.uint8, byte: np.uint8, exceptions: Any, usual: Any) -> np.uint64:
    """Return the state after *byte*: `base of its row << 17 | feature`; the row's own entry if it has one, else the usual one.

    An entry of *exceptions* names the row that it belongs to in its highest 24 bits. *usual* is inverted: what is loaded and used
    at once LLVM turns into a jump around the load, which is mispredicted.
    """
    base = state >> _17 & _BASE
    own = exceptions[base + np.uint64(byte)]
    other = ~usual[np.uint64(before) << _8 | np.uint64(byte)]
    return own if own >> _40 == base else other


@inlined
def _note(state: np.uint64, found: Any, at: np.uint64, counts: Any, rows: Any) -> None:
    """Write the feature of a state to *found*, and ask for the memory that it is counted in and described in."""
    feature = state & _FEATURE
    found[at] = feature
    prefetch(counts, feature)
    prefetch(rows, feature)


@inlined
def _fetch(weights: Any, places: Any, lasts: Any, at: np.uint64) -> None:
    """Ask for the memory of the weights of one feature."""
    place, last = np.uint64(places[at]), np.uint64(lasts[at])
    prefetch(weights, place)
    prefetch(weights, min(place + _LINE, last))
    prefetch(weights, min(place + _LINE * _2, last))
    prefetch(weights, min(place + _LINE * _3, last))
    prefetch(weights, last)


@inner
def _visits(
    data: Any,
    start: np.uint64,
    end: np.uint64,
    memory: np.uint64,
    first: Any,
    exceptions: Any,
    usual: Any,
    found: Any,
    counts: Any,
    rows: Any,
    weights: Any,
    places: Any,
    lasts: Any,
    waiting: np.uint64,
) -> np.uint64:
    """Write the feature after each byte to *found* (0: none), in any order, and return their number.

    A long text is walked in eight parts at once, because each step waits for the one before. The state depends on the last
    *memory* bytes alone, so a part begins so many bytes early. Between steps the memory of the *waiting* weights of the text
    before is asked for, from *places* to *lasts*: asked for all at once, it comes no faster and is waited for.
    """
    length = end - start
    if not length:
        return _0
    part = length // _8
    fetched, share = _0, waiting // part + _1 if part else _0
    if part < memory + memory:
        part = length
    state = first[data[start]]
    _note(state, found, _0, counts, rows)
    count = _1
    begin = start + _1
    if part < length:
        a, b, c, d = start + part, start + part * _2, start + part * _3, start + part * _4
        e, f, g = start + part * _5, start + part * _6, start + part * _7
        begin = g + part
        state_a, state_b, state_c = first[data[a - memory]], first[data[b - memory]], first[data[c - memory]]
        state_d, state_e, state_f = first[data[d - memory]], first[data[e - memory]], first[data[f - memory]]
        state_g = first[data[g - memory]]
        for back in range(memory - _1):
            less = memory - back
            more = less - _1
            state_a = _step(state_a, data[a - less], data[a - more], exceptions, usual)
            state_b = _step(state_b, data[b - less], data[b - more], exceptions, usual)
            state_c = _step(state_c, data[c - less], data[c - more], exceptions, usual)
            state_d = _step(state_d, data[d - less], data[d - more], exceptions, usual)
            state_e = _step(state_e, data[e - less], data[e - more], exceptions, usual)
            state_f = _step(state_f, data[f - less], data[f - more], exceptions, usual)
            state_g = _step(state_g, data[g - less], data[g - more], exceptions, usual)
        for at in range(part):
            if at:
                state = _step(state, data[start + at - _1], data[start + at], exceptions, usual)
                _note(state, found, count, counts, rows)
                count += _1
            state_a = _step(state_a, data[a + at - _1], data[a + at], exceptions, usual)
            state_b = _step(state_b, data[b + at - _1], data[b + at], exceptions, usual)
            state_c = _step(state_c, data[c + at - _1], data[c + at], exceptions, usual)
            state_d = _step(state_d, data[d + at - _1], data[d + at], exceptions, usual)
            state_e = _step(state_e, data[e + at - _1], data[e + at], exceptions, usual)
            state_f = _step(state_f, data[f + at - _1], data[f + at], exceptions, usual)
            state_g = _step(state_g, data[g + at - _1], data[g + at], exceptions, usual)
            _note(state_a, found, count, counts, rows)
            _note(state_b, found, count + _1, counts, rows)
            _note(state_c, found, count + _2, counts, rows)
            _note(state_d, found, count + _3, counts, rows)
            _note(state_e, found, count + _4, counts, rows)
            _note(state_f, found, count + _5, counts, rows)
            _note(state_g, found, count + _6, counts, rows)
            upto = min(fetched + share, waiting)
            for feature in range(fetched, upto):
                _fetch(weights, places, lasts, np.uint64(feature))
            fetched = upto
            count += _7
        state = state_g
    for at in range(begin, end):
        state = _step(state, data[at - _1], data[at], exceptions, usual)
        _note(state, found, count, counts, rows)
        count += _1
    return count


@inner
def _distinct(found: Any, visits: np.uint64, counts: Any) -> np.uint64:
    """Move the distinct features to the front of *found*, count each in *counts*, and return how many there are."""
    distinct = _0
    for at in range(visits):
        feature = found[at]
        seen = counts[feature]
        counts[feature] = seen + np.uint32(1)
        found[distinct] = feature
        distinct += np.uint64((seen == np.uint32(0)) & (feature > np.uint32(0)))
    counts[0] = 0
    return distinct


@inner
def _ordered(
    found: Any,
    distinct: np.uint64,
    counts: Any,
    rows: Any,
    lengths: Any,
    bounds: Any,
    places: Any,
    lasts: Any,
    times: Any,
) -> None:
    """Write where the weights of all features begin and end to *places* and *lasts*, and how often each was seen to *times*.

    They are in order of the length of their rows, because a loop of another length than the one before is mispredicted: those
    of length *n* are `places[bounds[n - 1] : bounds[n]]`. Afterwards *counts* is 0 again.
    """
    bounds[:] = 0
    for at in range(distinct):
        feature = found[at]
        place, end = np.uint64(rows[feature - np.uint32(1)]), np.uint64(rows[feature])
        lengths[at] = end - place
        bounds[end - place] += np.uint32(1)
    total = np.uint32(0)
    for length in range(np.uint64(bounds.size)):
        here = bounds[length]
        bounds[length] = total
        total += here
    for at in range(distinct):
        feature = found[at]
        length = np.uint64(lengths[at])
        to = np.uint64(bounds[length])
        bounds[length] = np.uint32(to + _1)
        place = rows[feature - np.uint32(1)]
        places[to] = place
        lasts[to] = place + np.uint32(max(length, _1) - _1)
        times[to] = counts[feature]
        counts[feature] = 0


@inlined
def _logarithm(count: np.uint64, logarithms: Any) -> np.int64:
    """Return the logarithm of *count* + 1 in units, from a table where it has one."""
    if count < np.uint64(logarithms.size):
        return logarithms[count]
    return np.int64(np.rint(log1p(np.float64(count)) * LOG_UNIT))


@inner
def _summed(weights: Any, bounds: Any, places: Any, counts: Any, logarithms: Any, sums: Any, once: Any) -> np.int64:
    """Add up in *sums* what all features speak for, above the least; return the sum of the logarithms of their counts."""
    total = np.int64(0)
    for column in range(_FULL):
        once[column] = 0
    for column in range(_COLUMNS):
        sums[column] = 0
    begin = _0
    for length in range(_FULL):
        stop = np.uint64(bounds[length])
        if begin == stop:
            continue
        columns = length * _2 // _3
        pairs, odd = columns // _2, columns & _1
        for at in range(begin, stop):
            place = np.uint64(places[at])
            values = place + pairs + odd
            times = _logarithm(np.uint64(counts[at]), logarithms)
            total += times
            for pair in range(pairs):
                both, value = np.uint64(weights[place + pair]), values + pair + pair
                sums[both & np.uint64(255)] += times * np.int64(weights[value])
                sums[both >> _8] += times * np.int64(weights[value + _1])
            if odd:
                sums[np.uint64(weights[values - _1])] += times * np.int64(weights[values + columns - _1])
        begin = stop
    for at in range(begin, np.uint64(bounds[_FULL])):
        place, count = np.uint64(places[at]), np.uint64(counts[at])
        times = _logarithm(count, logarithms)
        total += times
        if count == _1:
            for column in range(_FULL):
                once[column] += np.uint32(weights[place + column])
        elif times >> _32:
            for column in range(_FULL):
                sums[column] += times * np.int64(weights[place + column])
        else:  # processors multiply numbers of 32 bits many at once
            few = np.uint32(times)
            for column in range(_FULL):
                sums[column] += np.int64(np.uint64(few) * np.uint64(weights[place + column]))
    for column in range(_FULL):
        sums[column] += np.int64(once[column]) * _ONCE
    return total


@inner
def _best(chances: Any, without: np.int64) -> np.int64:
    """Return the first of the greatest of *chances*, number *without* aside."""
    best = np.int64(-1)
    for one in range(chances.size):
        if one != without and (best < 0 or chances[one] > chances[best]):
            best = one
    return best


@inner
def _member(chances: Any, group_of: Any, group: np.int64) -> np.int64:
    """Return the likeliest label of a group."""
    best = np.int64(-1)
    for label in range(chances.size):
        if group_of[label] == group and (best < 0 or chances[label] > chances[best]):
            best = label
    return best


@inner
def _places(chance: float) -> float:
    return min(np.rint(chance * 1e4) / 1e4, 1.0)


@inner
def _decide(
    text: int,
    bounds: Any,
    ends: Any,
    total: np.int64,
    sums: Any,
    least: Any,
    prior: Any,
    unit: float,
    label_of: Any,
    group_of: Any,
    powers: Any,
    chances: Any,
    groups: Any,
    labels: Any,
    scores: Any,
    likeliest: Any,
) -> None:
    """Write the answer for one text, of which *sums* and *total* are what its features speak for."""
    # The root of the length keeps probabilities of short and long texts comparable; without a feature all are equal.
    tempered = 1.0 / sqrt(np.float64(bounds[text + 1] - bounds[text])) if ends[_FULL] else 0.0
    highest = -np.inf
    for column in range(prior.size):
        power = prior[column] + np.float64(sums[column] + total * least[column]) * unit
        powers[column] = power * tempered
        highest = max(highest, powers[column])
    whole = 0.0
    chances[:] = 0.0
    for column in range(prior.size):
        chance = exp(powers[column] - highest)
        chances[label_of[column]] += chance
        whole += chance
    groups[:] = 0.0
    highest = 0.0
    for label in range(group_of.size):
        chances[label] /= whole
        highest = max(highest, chances[label])
        groups[group_of[label]] += chances[label]
    best = _best(groups, np.int64(-1))
    second = _best(groups, best)
    labels[text, 0] = _member(chances, group_of, best)
    scores[text, 0] = _places(groups[best])
    scores[text, 1] = _places(groups[second])
    labels[text, 1] = _member(chances, group_of, second) if scores[text, 1] > 0 else -1
    likeliest[text] = highest


@kernel
def rank(
    data: Any,
    bounds: Any,
    memory: int,
    first: Any,
    exceptions: Any,
    usual: Any,
    rows: Any,
    weights: Any,
    least: Any,
    prior: Any,
    unit: float,
    label_of: Any,
    group_of: Any,
    labels: Any,
    scores: Any,
    likeliest: Any,
) -> None:
    """Write the two likeliest groups of each text: *labels* their likeliest members, *scores* to four places, both (texts, 2).

    A second one that scores 0 has the label -1. *likeliest* is the probability of the likeliest label alone. Text *i* is
    `data[bounds[i] : bounds[i + 1]]`. Weights are in units of *unit*; *label_of* names the label of each column, *group_of* the
    group of each label; of equals the first counts.
    """
    longest = np.int64(1)
    for text in range(bounds.size - 1):
        longest = max(longest, bounds[text + 1] - bounds[text])
    found, lengths = np.empty(longest + 1, np.uint32), np.empty(longest + 1, np.uint8)
    counts = np.zeros(rows.size, np.uint32)
    ends, places, times = np.empty(COLUMNS + 1, np.uint32), np.empty(longest, np.uint32), np.empty(longest, np.uint32)
    next_ends, next_places, next_times = np.empty_like(ends), np.empty_like(places), np.empty_like(times)
    lasts, next_lasts, waiting, distinct = np.empty_like(places), np.empty_like(places), _0, _0
    sums, once = np.empty(256, np.int64), np.empty(COLUMNS, np.uint32)
    logarithms = np.empty(64, np.int64)
    for count in range(logarithms.size):
        logarithms[count] = np.int64(np.rint(log1p(np.float64(count)) * LOG_UNIT))
    powers, chances, groups = np.empty(prior.size), np.empty(group_of.size), np.empty(group_of.max() + 1)
    # Weights of one text are under way while features of the next one are looked for.
    for text in range(bounds.size):
        if text < bounds.size - 1:
            start, end = np.uint64(bounds[text]), np.uint64(bounds[text + 1])
            visits = _visits(
                data,
                start,
                end,
                np.uint64(memory),
                first,
                exceptions,
                usual,
                found,
                counts,
                rows,
                weights,
                places,
                lasts,
                waiting,
            )
            distinct = _distinct(found, visits, counts)
            _ordered(found, distinct, counts, rows, lengths, next_ends, next_places, next_lasts, next_times)
        if text:
            total = _summed(weights, ends, places, times, logarithms, sums, once)
            _decide(
                text - 1,
                bounds,
                ends,
                total,
                sums,
                least,
                prior,
                unit,
                label_of,
                group_of,
                powers,
                chances,
                groups,
                labels,
                scores,
                likeliest,
            )
        ends, next_ends = next_ends, ends
        places, next_places = next_places, places
        lasts, next_lasts = next_lasts, lasts
        waiting = distinct
        times, next_times = next_times, times
