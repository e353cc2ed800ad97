"""The first 32 bits of SHA-1 of many short messages: what datasketch calls `sha1_hash32`.

Thirty-two messages are hashed side by side, one in each lane of the processor's wide registers: every step of SHA-1 needs the one
before, so a single message leaves most of the processor idle. The compiler makes the wide instructions by itself, out of the
loops over lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel

__all__ = ["PADDING", "sha1_words"]

PADDING = 64
"""Bytes that have to follow the last message in its buffer; they are read, and what they hold does not matter."""

_LANES = 32
_WORDS = 16  # of 32 bits, in a block
_ROUNDS = 80
# The variables e, d, c, b and a at the start, the first three turned back by 30 bits: see _steps.
_INITIAL = np.array([0x0F4B87C3, 0x40C951D8, 0x62EB73FA, 0xEFCDAB89, 0x67452301], np.uint32)
_CONSTANTS = np.array([0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6], np.uint32)
_U1, _U2, _U5, _U27, _U30, _U31 = (np.uint32(bits) for bits in (1, 2, 5, 27, 30, 31))


@kernel
def _turn(value: np.uint32) -> np.uint32:
    """Return *value* turned left by 30 bits."""
    return np.uint32(np.uint32(value << _U30) | np.uint32(value >> _U2))


@kernel
def _steps(values: Any, schedule: Any, begin: int, constant: Any, choice: int) -> None:
    """Do the twenty steps from number *begin* on that share a constant and a function, for all lanes.

    The five variables of the standard are one sequence here, in which step *n* writes value n + 5: `b` is the value before `a`,
    and `c`, `d` and `e` are the three before that, turned by 30 bits. So nothing is ever moved or overwritten. Every sum and
    every bit operation is cut to 32 bits at once: numba widens them to 64, and that the compiler does not vectorize.
    """
    for at in range(begin * _LANES, (begin + 20) * _LANES, _LANES):
        for lane in range(at, at + _LANES):
            a, x, third = values[lane + 4 * _LANES], values[lane + 3 * _LANES], values[lane + 2 * _LANES]
            fourth, fifth = values[lane + _LANES], values[lane]
            y, z, e = _turn(third), _turn(fourth), _turn(fifth)
            if choice == 0:
                chosen = np.uint32(z ^ np.uint32(x & np.uint32(y ^ z)))
            elif choice == 1:
                chosen = np.uint32(np.uint32(x ^ y) ^ z)
            else:
                chosen = np.uint32(np.uint32(x & y) | np.uint32(z & np.uint32(x | y)))
            turned = np.uint32(np.uint32(a << _U5) | np.uint32(a >> _U27))
            added = np.uint32(np.uint32(chosen + constant) + schedule[lane])
            values[lane + 5 * _LANES] = np.uint32(np.uint32(e + turned) + added)


@kernel
def _expand(schedule: Any) -> None:
    """Fill words 16 to 79 of the message schedule of all lanes."""
    for at in range(_WORDS * _LANES, _ROUNDS * _LANES, _LANES):
        for place in range(at, at + _LANES):
            value = np.uint32(
                np.uint32(schedule[place - 3 * _LANES] ^ schedule[place - 8 * _LANES])
                ^ np.uint32(schedule[place - 14 * _LANES] ^ schedule[place - 16 * _LANES])
            )
            schedule[place] = np.uint32(np.uint32(value << _U1) | np.uint32(value >> _U31))


@kernel
def _load(data: Any, start: int, end: int, block: int, schedule: Any, lane: int) -> None:
    """Put block number *block* of the message `data[start:end]` into its lane, with the padding that SHA-1 asks for."""
    length = end - start
    for word in range(_WORDS):
        at = block * 64 + word * 4  # from the start of the message
        value = np.uint32(0)
        if at < length:
            place = np.uint64(start + at)
            value = np.uint32(
                (np.uint32(data[place]) << np.uint32(24))
                | (np.uint32(data[place + np.uint64(1)]) << np.uint32(16))
                | (np.uint32(data[place + np.uint64(2)]) << np.uint32(8))
                | np.uint32(data[place + np.uint64(3)])
            )
            if length - at < 4:
                value = np.uint32(value & np.uint32(0xFFFFFFFF << (32 - 8 * (length - at))))
        if at <= length < at + 4:
            value = np.uint32(value | np.uint32(0x80000000 >> (8 * (length - at))))
        schedule[word * _LANES + lane] = value
    if length + 9 <= block * 64 + 64:
        schedule[14 * _LANES + lane] = np.uint32(np.uint64(length) >> np.uint64(29))
        schedule[15 * _LANES + lane] = np.uint32(length << 3)


@kernel
def sha1_words(data: Any, starts: Any, ends: Any, number: int, out: Any) -> None:
    """Write the first four bytes of the SHA-1 of `data[starts[i]:ends[i]]`, read as a little-endian number, to `out[i]`."""
    values = np.empty((_ROUNDS + 5) * _LANES, np.uint32)
    schedule = np.empty(_ROUNDS * _LANES, np.uint32)
    for begin in range(0, number, _LANES):
        lanes = min(_LANES, number - begin)
        blocks = 0
        for lane in range(lanes):
            blocks = max(blocks, (ends[begin + lane] - starts[begin + lane] + 8) // 64 + 1)
        for variable in range(5):
            values[variable * _LANES : (variable + 1) * _LANES] = _INITIAL[variable]
        for block in range(blocks):
            for lane in range(lanes):
                _load(data, starts[begin + lane], ends[begin + lane], block, schedule, lane)
            _expand(schedule)
            _steps(values, schedule, 0, _CONSTANTS[0], 0)
            _steps(values, schedule, 20, _CONSTANTS[1], 1)
            _steps(values, schedule, 40, _CONSTANTS[2], 2)
            _steps(values, schedule, 60, _CONSTANTS[3], 1)
            for lane in range(lanes):
                # A message that ended in an earlier block keeps what it had.
                if block <= (ends[begin + lane] - starts[begin + lane] + 8) // 64:
                    for variable in range(5):
                        place = variable * _LANES + lane
                        before, after = values[place], values[place + _ROUNDS * _LANES]
                        if variable < 3:
                            before, after = _turn(before), _turn(after)
                        total = np.uint32(before + after)
                        values[place] = (
                            np.uint32(np.uint32(total << _U2) | np.uint32(total >> _U30)) if variable < 3 else total
                        )
        for lane in range(lanes):
            value = values[4 * _LANES + lane]
            out[begin + lane] = (
                (value >> np.uint32(24))
                | ((value >> np.uint32(8)) & np.uint32(0xFF00))
                | ((value << np.uint32(8)) & np.uint32(0xFF0000))
                | (value << np.uint32(24))
            )
