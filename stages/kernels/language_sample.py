"""What of each text a language model is shown: samples without addresses, lower-cased where they shout, as UTF-8.

A text goes through as code points, because addresses, case and normalization are matters of characters and because 900 of them
fit the processor's nearest cache. Some texts are left to Python (`BY_PYTHON`): capitals whose lower case depends on their
neighbours (Greek sigma), and stacks of marks: none of 6,433 real texts.

Python did all of it in 60 µs a text, three times what the rest of identifying its language takes now.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined, inner
from corpusmill.stages.kernels.language_normal_form import CLASS, COMPOSES, UNSTABLE, is_normal, normalized, traits_of
from corpusmill.stages.kernels.text import decode, encode

__all__ = [
    "ALPHABETIC",
    "BY_PYTHON",
    "IRREGULAR",
    "LOWER",
    "NO_LETTERS",
    "READY",
    "SPACE",
    "UPPER",
    "prepare",
]

UPPER, LOWER, ALPHABETIC, SPACE, IRREGULAR = 1, 2, 4, 8, 128
"""What a character may be, as `str` has it; IRREGULAR: in lower case it is not one character whatever stands beside it. The
other bits are in kernels/language_normal_form.py."""
READY, NO_LETTERS, BY_PYTHON = 0, 1, 2

_0, _1, _3, _7, _127 = (np.uint64(number) for number in (0, 1, 3, 7, 127))
_BLANK, _AT, _DOT, _SLASH, _COLON = (np.uint32(ord(sign)) for sign in " @./:")
_H, _T, _P, _S, _W = (np.uint32(ord(letter)) for letter in "htpsw")
_BEFORE_AT, _AFTER_AT = np.uint64(64), np.uint64(255)


@inner
def _characters(data: Any, start: np.uint64, end: np.uint64) -> np.uint64:
    """Return the number of characters: of bytes that begin one."""
    count = np.uint64(0)
    for at in range(start, end):
        count += np.uint64((data[at] & np.uint8(0xC0)) != np.uint8(0x80))
    return count


@inner
def _after(data: Any, at: np.uint64, end: np.uint64, characters: np.uint64) -> np.uint64:
    """Return the position after so many *characters* from *at* on."""
    step = np.uint64(256)
    while at + step <= end:
        passed = _characters(data, at, at + step)
        if passed > characters:
            break
        characters -= passed
        at += step
    while at < end:
        if (data[at] & np.uint8(0xC0)) != np.uint8(0x80):
            if not characters:
                break
            characters -= _1
        at += _1
    return at


@inner
def _decoded(data: Any, at: np.uint64, end: np.uint64, codes: Any, count: np.uint64) -> np.uint64:
    """Write the code points of a piece behind the *count* first of *codes*, as many as fit; return how many there are now.

    Only of bytes that are not UTF-8 there are more than have been counted. Two places are left for blanks.
    """
    while at < end and count + np.uint64(2) < np.uint64(codes.size):
        if data[at] < np.uint8(128):
            codes[count] = data[at]
            at += _1
        else:
            code, at = decode(data, at, end)
            codes[count] = code
        count += _1
    return count


@inner
def _sampled(data: Any, start: np.uint64, end: np.uint64, maximum: np.uint64, codes: Any) -> np.uint64:
    """Write what `language_samples.sample` gives to *codes* and return its length."""
    length = np.uint64(0) if end - start <= maximum else _characters(data, start, end)
    if length <= maximum:
        return _decoded(data, start, end, codes, _0)
    edge = maximum // np.uint64(6)
    piece = maximum - edge - edge
    middle = (length - piece) // np.uint64(2)
    first = _after(data, start, end, edge)
    second = _after(data, first, end, middle - edge)
    behind = _after(data, second, end, piece)
    third = _after(data, behind, end, length - edge - middle - piece)
    count = _decoded(data, start, first, codes, _0)
    codes[count] = _BLANK
    count = _decoded(data, second, behind, codes, count + _1)
    codes[count] = _BLANK
    return _decoded(data, third, end, codes, count + _1)


@inner
def _may_hold_address(codes: Any, count: np.uint64) -> bool:
    """Return whether there is an `@`, a `//` or a `w.`, one of which every address has."""
    before, found = np.uint32(0), False
    for at in range(count):
        code = codes[at]
        found |= (code == _AT) | ((code == before) & (code == _SLASH)) | ((code == _DOT) & (before == _W))
        before = code
    return found


@inlined
def _is_solid(code: np.uint32, page_of: Any, pages: Any) -> bool:
    return traits_of(code, page_of, pages) & np.uint32(SPACE) == np.uint32(0)


@inner
def _prefix(codes: Any, at: np.uint64, count: np.uint64) -> np.uint64:
    """Return the length of `https://`, `http://` or `www.` at *at*, 0 if none of them is there."""
    left = count - at
    if codes[at] == _W:
        found = left > _3 and codes[at + _1] == _W and codes[at + np.uint64(2)] == _W and codes[at + _3] == _DOT
        return np.uint64(4) if found else _0
    if codes[at] != _H or left < np.uint64(7):
        return _0
    if codes[at + _1] != _T or codes[at + np.uint64(2)] != _T or codes[at + _3] != _P:
        return _0
    colon = np.uint64(5) if codes[at + np.uint64(4)] == _S else np.uint64(4)
    if left < colon + _3 or codes[at + colon] != _COLON:
        return _0
    if codes[at + colon + _1] != _SLASH or codes[at + colon + np.uint64(2)] != _SLASH:
        return _0
    return colon + _3


@inner
def _mail_begins_before(codes: Any, at: np.uint64, count: np.uint64, page_of: Any, pages: Any) -> bool:
    """Return whether a mail address that begins before *at*, in the same run of characters, goes on through it."""
    last = min(at + _BEFORE_AT, count)
    for sign in range(at, last):
        if codes[sign] == _AT:
            behind = sign + _1
            return behind < count and codes[behind] != _AT and _is_solid(codes[behind], page_of, pages)
        if not _is_solid(codes[sign], page_of, pages):
            return False
    return False


@inner
def _without_addresses(codes: Any, count: np.uint64, page_of: Any, pages: Any) -> np.uint64:
    """Put a blank in place of every address, as substituting `language_samples._ADDRESS` does; return the new length.

    The leftmost match counts: a mail address may begin up to 64 characters before its sign, in the run of characters that are
    neither white space nor such a sign; a web address at its prefix. *start* is where the present run began, in the input, and
    everything from there on has been copied to the output without a gap.
    """
    at = to = start = _0
    while at < count:
        code = codes[at]
        end = at
        if code == _AT:
            if start < at and at + _1 < count:
                end = at + _1
                last = min(end + _AFTER_AT, count)
                while end < last and codes[end] != _AT and _is_solid(codes[end], page_of, pages):
                    end += _1
            if end > at + _1:
                to -= min(at - start, _BEFORE_AT)
            else:
                end = at
                start = at + _1
        elif code == _H or code == _W:
            prefix = _prefix(codes, at, count)
            if prefix and at + prefix < count and _is_solid(codes[at + prefix], page_of, pages):  # noqa: SIM102
                if start == at or not _mail_begins_before(codes, at, count, page_of, pages):
                    end = at + prefix
                    while end < count and _is_solid(codes[end], page_of, pages):
                        end += _1
        elif not _is_solid(code, page_of, pages):
            start = at + _1
        if end > at:
            codes[to] = _BLANK
            at = start = end
        else:
            codes[to] = code
            at += _1
        to += _1
    return to


@inner
def _lowered(codes: Any, count: np.uint64, page_of: Any, lower: Any) -> None:
    for at in range(count):
        code = np.uint64(codes[at])
        codes[at] = np.uint32(np.int64(code) + np.int64(lower[page_of[code >> _7], code & _127]))


@inner
def _encoded(codes: Any, count: np.uint64, out: Any, to: np.uint64) -> np.uint64:
    """Write the *count* first of *codes* to *out* from *to* on, as UTF-8, and return where they end."""
    for at in range(count):
        if codes[at] < np.uint32(128):
            out[to] = codes[at]
            to += _1
        else:
            to = encode(np.uint64(codes[at]), out, to)
    return to


@bare_kernel
def prepare(
    data: Any,
    starts: Any,
    ends: Any,
    maximum: int,
    page_of: Any,
    pages: Any,
    lower: Any,
    pairs: Any,
    compounds: Any,
    wholes: Any,
    part_bounds: Any,
    parts: Any,
    codes: Any,
    apart: Any,
    out: Any,
    bounds: Any,
    states: Any,
) -> None:
    """Write what the model is to be shown of each text to *out*, where it ends to *bounds* and READY or why not to *states*.

    The tables from *page_of* to *parts* are those of `language_characters.Characters`. *codes* has room for a sample and two
    more, *apart* for four times as many, *out* for three bytes a byte of the texts or twelve a character of their samples,
    whichever is less, and four more a text.
    """
    to = np.uint64(0)
    bounds[0] = 0
    for text in range(starts.size):
        count = _sampled(data, np.uint64(starts[text]), np.uint64(ends[text]), np.uint64(maximum), codes)
        if _may_hold_address(codes, count):
            count = _without_addresses(codes, count, page_of, pages)
        upper, small, any_of = np.uint64(0), np.uint64(0), np.uint32(0)
        for at in range(count):
            traits = traits_of(codes[at], page_of, pages)
            upper += np.uint64(traits & np.uint32(UPPER))
            small += np.uint64(traits & np.uint32(LOWER))
            any_of |= traits
        state = READY if any_of & np.uint32(ALPHABETIC) else NO_LETTERS
        if state == READY and upper > small >> _1:
            if any_of & np.uint32(IRREGULAR):
                state = BY_PYTHON
            else:
                _lowered(codes, count, page_of, lower)
                any_of = np.uint32(UNSTABLE)  # has to be looked at again
        marked = any_of & np.uint32(UNSTABLE | COMPOSES) or any_of >> np.uint32(CLASS)
        if state == READY and marked and not is_normal(codes, count, page_of, pages, pairs):
            count = normalized(codes, count, page_of, pages, pairs, compounds, wholes, part_bounds, parts, apart)
            to = _encoded(apart, count, out, to)
            state = READY if count else BY_PYTHON
        elif state == READY:
            to = _encoded(codes, count, out, to)
        states[text] = state
        bounds[text + 1] = to
