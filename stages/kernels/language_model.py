"""Naive Bayes over n-grams of bytes, as py3langid's model has it: the features of a text, what they speak for, and who wins.

All of it waits for memory: the automaton that finds features has 39 MB, their weights have 57 MB in single precision, and each
step and each feature is another place. Rows of the automaton differ from the row of their last byte in 16 places of 256, and
weights are the least of their language in four of five places: without these 9 and 8 MB are left. Microseconds for a sample of
1,240 bytes on a core whose third-level cache is shared: the automaton 41, without what rows share 15, four parts of the text
at once 6; with weights as rows of 142 numbers 95 in all, without the least ones 81, 56 if every row is touched first, so that
the processor fetches many at once, and 35 if the fullest rows stay rows.

Sums are those of integers: weights are whole numbers of 1/512, logarithms of counts are rounded to 2^-30. So there is no order
of summing, and no machine can differ.
"""

from __future__ import annotations

from math import exp, log1p, sqrt
from typing import Any

import numpy as np

from corpusmill.stages.kernels import inlined, inner, kernel

__all__ = ["COLUMNS", "LOG_UNIT", "rank"]

COLUMNS = 144
"""Length of a full row of weights: py3langid's 142 columns, and two more so that they fill vector registers."""
_FEATURE = np.uint64(0x1FFFF)
_BASE = np.uint64(0x7FFFFF)
_0, _1, _2, _3, _4, _8, _17, _40 = (np.uint64(number) for number in (0, 1, 2, 3, 4, 8, 17, 40))
_LINE = np.uint64(32)  # numbers of 16 bits in what a processor fetches at once
_FULL = np.uint64(COLUMNS)
LOG_UNIT = 2.0**30
_ONCE = np.int64(np.rint(log1p(1.0) * LOG_UNIT))


@inlined
def _step(state: np.uint64, before: np.uint8, byte: np.uint8, exceptions: Any, usual: Any) -> np.uint64:
    """Return the state after *byte*: `base of its row << 17 | feature`; the row's own entry if it has one, else the usual one.

    An entry of *exceptions* names the row that it belongs to in its highest 24 bits.
    """
    base = state >> _17 & _BASE
    own = exceptions[base + np.uint64(byte)]
    other = usual[np.uint64(before) << _8 | np.uint64(byte)]
    return own if own >> _40 == base else other


@inner
def _visits(
    data: Any, start: np.uint64, end: np.uint64, memory: np.uint64, first: Any, exceptions: Any, usual: Any, found: Any
) -> np.uint64:
    """Write the feature after each byte to *found* (0: none), in any order, and return their number.

    A long text is walked in four parts at once, because each step waits for the one before. The state depends on the last
    *memory* bytes alone, so a part begins so many bytes early.
    """
    length = end - start
    part = length // _4
    if part < memory + memory:
        part = length
    state = first[data[start]]
    found[0] = state & _FEATURE
    count = _1
    if part < length:
        a, b, c = start + part, start + part + part, start + part + part + part
        state_a, state_b, state_c = first[data[a - memory]], first[data[b - memory]], first[data[c - memory]]
        for back in range(memory - _1):
            less = memory - back
            state_a = _step(state_a, data[a - less], data[a - less + _1], exceptions, usual)
            state_b = _step(state_b, data[b - less], data[b - less + _1], exceptions, usual)
            state_c = _step(state_c, data[c - less], data[c - less + _1], exceptions, usual)
        for at in range(part):
            if at:
                state = _step(state, data[start + at - _1], data[start + at], exceptions, usual)
                found[count] = state & _FEATURE
                count += _1
            state_a = _step(state_a, data[a + at - _1], data[a + at], exceptions, usual)
            state_b = _step(state_b, data[b + at - _1], data[b + at], exceptions, usual)
            state_c = _step(state_c, data[c + at - _1], data[c + at], exceptions, usual)
            found[count] = state_a & _FEATURE
            found[count + _1] = state_b & _FEATURE
            found[count + _2] = state_c & _FEATURE
            count += _3
        state, begin = state_c, c + part
    else:
        begin = start + _1
    for at in range(begin, end):
        state = _step(state, data[at - _1], data[at], exceptions, usual)
        found[count] = state & _FEATURE
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
        distinct += np.uint64(seen == np.uint32(0) and feature > np.uint32(0))
    counts[0] = 0
    return distinct


@inner
def _fetched(found: Any, distinct: np.uint64, rows: Any, weights: Any) -> np.uint64:
    """Touch the weights of all features: they come together, where each would be waited for later. Return something of them."""
    sum_of = _0
    for at in range(distinct):
        place, end = np.uint64(rows[found[at] - np.uint32(1)]), np.uint64(rows[found[at]])
        while place < end:
            sum_of += np.uint64(weights[place])
            place += _LINE
    return sum_of


@inner
def _add_few(weights: Any, place: np.uint64, length: np.uint64, times: np.int64, sums: Any) -> None:
    """Add a row that holds only what is not the least: columns, two in a number of 16 bits, then their weights."""
    columns = length * _2 // _3
    values = place + (columns + _1) // _2
    for at in range(columns // _2):
        pair, value = np.uint64(weights[place + at]), values + at + at
        sums[pair & np.uint64(255)] += times * np.int64(weights[value])
        sums[pair >> _8] += times * np.int64(weights[value + _1])
    if columns & _1:
        sums[np.uint64(weights[values - _1])] += times * np.int64(weights[values + columns - _1])


@inner
def _summed(found: Any, distinct: np.uint64, counts: Any, rows: Any, weights: Any, sums: Any, once: Any) -> np.int64:
    """Add up in *sums* what all features speak for, above the least; return the sum of the logarithms of their counts."""
    total = np.int64(0)
    for column in range(_FULL):
        sums[column] = 0
        once[column] = 0
    for at in range(distinct):
        feature = found[at]
        place, length = np.uint64(rows[feature - np.uint32(1)]), np.uint64(rows[feature] - rows[feature - np.uint32(1)])
        count = counts[feature]
        counts[feature] = 0
        times = _ONCE if count == np.uint32(1) else np.int64(np.rint(log1p(np.float64(count)) * LOG_UNIT))
        total += times
        if length < _FULL:
            _add_few(weights, place, length, times, sums)
        elif count == np.uint32(1):
            for column in range(_FULL):
                once[column] += np.int32(weights[place + column])
        else:
            for column in range(_FULL):
                sums[column] += times * np.int64(weights[place + column])
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
) -> int:
    """Write the two likeliest groups of each text: *labels* their likeliest members, *scores* to four places, both (texts, 2).

    A second one that scores 0 has the label -1. *likeliest* is the probability of the likeliest label alone. Text *i* is
    `data[bounds[i] : bounds[i + 1]]`. Weights are in units of *unit*; *label_of* names the label of each column, *group_of* the
    group of each label; of equals the first counts.
    """
    longest = np.int64(1)
    for text in range(bounds.size - 1):
        longest = max(longest, bounds[text + 1] - bounds[text])
    found = np.empty(longest + 1, np.uint32)
    counts = np.zeros(rows.size, np.uint32)
    sums, once, logarithms = np.empty(256, np.int64), np.empty(COLUMNS, np.int32), np.empty(prior.size)
    chances, groups = np.empty(group_of.size), np.empty(group_of.max() + 1)
    touched = _0
    for text in range(bounds.size - 1):
        start, end = np.uint64(bounds[text]), np.uint64(bounds[text + 1])
        visits = _0 if start == end else _visits(data, start, end, np.uint64(memory), first, exceptions, usual, found)
        distinct = _distinct(found, visits, counts)
        touched += _fetched(found, distinct, rows, weights)
        total = _summed(found, distinct, counts, rows, weights, sums, once)
        # The root of the length keeps probabilities of short and long texts comparable; without a feature all are equal.
        tempered = 1.0 / sqrt(np.float64(end - start)) if distinct else 0.0
        highest = -np.inf
        for column in range(prior.size):
            logarithm = prior[column] + np.float64(sums[column] + total * least[column]) * unit
            logarithms[column] = logarithm * tempered
            highest = max(highest, logarithms[column])
        whole = 0.0
        chances[:] = 0.0
        for column in range(prior.size):
            chance = exp(logarithms[column] - highest)
            chances[label_of[column]] += chance
            whole += chance
        groups[:] = 0.0
        for label in range(group_of.size):
            chances[label] /= whole
            groups[group_of[label]] += chances[label]
        best = _best(groups, np.int64(-1))
        second = _best(groups, best)
        labels[text, 0] = _member(chances, group_of, best)
        scores[text, 0] = _places(groups[best])
        scores[text, 1] = _places(groups[second])
        labels[text, 1] = _member(chances, group_of, second) if scores[text, 1] > 0 else -1
        likeliest[text] = chances.max()
    return np.int64(touched)
