"""How py3langid's model is repacked when it is loaded: weights without the least, rows without what they share.

As whole arrays numpy took 2.8 s and 600 MB for the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel

__all__ = ["differing", "memory_of", "place_rows", "place_weights", "survey_weights"]


@bare_kernel
def survey_weights(bits: Any, whole: Any, chance: Any, least: Any, common: Any) -> bool:
    """Write the least weight of each column, and how common each feature is; return whether all are whole numbers.

    *bits* (features, columns) are float16 as they lie in memory; *whole* and *chance* say what they stand for: a multiple of
    the unit (negative, or 1 where there is none) and its exponential.
    """
    valid = True
    for row in range(bits.shape[0]):
        for column in range(bits.shape[1]):
            weight = whole[bits[row, column]]
            valid &= weight <= 0
            least[column] = min(least[column], weight)
            common[row] += chance[bits[row, column]]
    return valid


@bare_kernel
def place_weights(
    bits: Any, whole: Any, least: Any, order: Any, full: int, length: int, rows: Any, weights: Any
) -> None:
    """Write the rows of *bits*, in *order*, to *weights* without gaps, and where each begins and the last ends to *rows*.

    A row with more than *full* weights above the least is kept whole, in *length* numbers; else its columns come first, two in
    a number, then their weights.
    """
    at = 0
    for place in range(order.size):
        row = order[place]
        rows[place] = at
        filled = 0
        for column in range(bits.shape[1]):
            filled += whole[bits[row, column]] != least[column]
        if filled > full:
            for column in range(bits.shape[1]):
                weights[at + column] = whole[bits[row, column]] - least[column]
            at += length
            continue
        values, number = at + (filled + 1) // 2, 0
        for column in range(bits.shape[1]):
            above = whole[bits[row, column]] - least[column]
            if above:
                weights[at + number // 2] |= np.uint16(column << 8 if number & 1 else column)
                weights[values + number] = above
                number += 1
        at = values + filled
    rows[order.size] = at


@bare_kernel
def place_rows(order: Any, bounds: Any, bytes_of: Any, used: Any, taken: Any, bases: Any) -> int:
    """Choose a base for each row, so that its entries, at base + byte, fall on places that no other uses.

    Rows come in *order*, the fullest first; row *r* has the entries `bytes_of[bounds[r] : bounds[r + 1]]`. No two rows share a
    base. Places near the beginning are given up once a row did not fit a hundred times: packed to the last place it is a tenth
    smaller and takes a thousand times as long. Returns the last base; -1 where *used* has too few places.
    """
    begin, last = 1, 0
    room = used.size - 256  # where a row may begin: its entries fall up to 255 places behind
    for row in order:
        lowest = bytes_of[bounds[row]]
        at, misses = max(begin, lowest + 1), 0
        while True:
            if at >= room:
                return -1
            if not used[at]:
                base = at - lowest
                fits = not taken[base]
                entry = bounds[row]
                while fits and entry < bounds[row + 1]:
                    fits = not used[base + bytes_of[entry]]
                    entry += 1
                if fits:
                    break
                misses += 1
            at += 1
        bases[row] = base
        taken[base] = True
        for entry in range(bounds[row], bounds[row + 1]):
            used[base + bytes_of[entry]] = True
        last = max(last, base)
        if misses > 100:
            begin = max(begin, at - 32)
        while begin < room and used[begin]:
            begin += 1
    return last


@bare_kernel
def differing(states: Any, row_of: Any, next_states: Any, usual: Any, entry: Any) -> None:
    """Mark in *entry* (rows, 256) where a row leads elsewhere than *usual* for the byte that leads to it.

    *usual* (256, 256) is the state after a byte behind a byte. *states* are all that is reached after one byte from some row.
    """
    for byte in range(256):
        for row in range(next_states.shape[0]):
            reached = row_of[next_states[row, byte]]
            if states[reached, byte]:
                continue
            states[reached, byte] = True
            for behind in range(256):
                if next_states[reached, behind] != usual[byte, behind]:
                    entry[reached, behind] = True


@bare_kernel
def memory_of(row_of: Any, next_states: Any, queue: Any, depth: Any, suffix: Any) -> int:
    """Return after how many bytes a state is the same, wherever they began; -1 where that cannot be told.

    It is the depth of the automaton if that is one of Aho and Corasick: the state is the longest end of the text that begins a
    feature, so a row leads elsewhere than that of the state for all but its first byte only to states that are one byte longer,
    each of them reached from one state. *depth* is -1 everywhere but 0 for the first state.
    """
    taken, size = 0, 1
    queue[0] = suffix[0] = 0
    while taken < size:
        state = queue[taken]
        taken += 1
        children = 0
        for byte in range(256):
            follower = next_states[row_of[state], byte]
            if depth[follower] < 0:
                depth[follower] = depth[state] + 1
                suffix[follower] = next_states[row_of[suffix[state]], byte] if state else 0
                queue[size] = follower
                size += 1
                children += 1
        others = 0
        for byte in range(256):
            others += next_states[row_of[state], byte] != (next_states[row_of[suffix[state]], byte] if state else 0)
        if others != children:
            return -1
    return depth[queue[size - 1]]
