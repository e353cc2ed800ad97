"""Lines and reference marks taken out of texts, from one buffer to another.

A line is written as it is read, without its marks, and judged where it stands; one that goes is written over by the next. Eight
bytes at once are taken where none of them may end a line or begin a mark: half the time of one by one. Phrases are looked for
only in lines with letters that are rare in other words (the j of "javascript", the "iva" of "privacy").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inlined, inner, kernel
from corpusmill.stages.kernels import quality_layout as layout
from corpusmill.stages.kernels.hash_table import eight_bytes
from corpusmill.stages.kernels.quality_scan import kind_of, next_piece

__all__ = ["FEW_WORDS", "JAVASCRIPT", "LONG_WORD", "OPEN", "POLICY", "edit"]

OPEN, FEW_WORDS, LONG_WORD, JAVASCRIPT, POLICY = (1 << bit for bit in range(5))
"""Rules by which a line goes, as bits."""

_FEWEST = 30  # tenths of a word
_LONGEST = np.uint64(1000)
_0, _1, _2, _3, _4, _8 = (np.uint64(number) for number in (0, 1, 2, 3, 4, 8))
_EACH, _HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_LOWER = np.uint64(0x2020202020202020)
_BRACKET, _CLOSING, _LINE_FEED, _RETURN, _BLANK = (np.uint64(ord(mark)) for mark in "[]\n\r ")
_A, _I, _J, _K, _M, _O, _R, _S, _V = (np.uint64(ord(letter)) for letter in "aijkmorsv")
_C2, _E2 = np.uint64(0xC2), np.uint64(0xE2)
_JAVASCRIPT, _ONE = np.frombuffer(b"javascript", np.uint8), np.array([0, 10])
_MARKS = np.frombuffer(b"edit]citation needed]", np.uint8)
_MARK_ENDS = np.array([0, 5, 21])
_PHRASES = np.frombuffer(b"terms of useprivacy policycookie policyuses cookiesuse of cookiesuse cookies", np.uint8)
_PHRASE_ENDS = np.array([0, 12, 26, 39, 51, 65, 76])


@inlined
def _has(eight: Any, letter: Any) -> Any:
    """Return the highest bits of those of eight bytes that are *letter*; a byte above one of them may be told wrongly as well."""
    other = eight ^ (_EACH * letter)
    return (other - _EACH) & ~other & _HIGH_BITS


@inlined
def _ends_or_mark(eight: Any) -> Any:
    """Return whether among eight bytes one may end a line or begin a reference mark."""
    control = (eight - _EACH * _BLANK) & ~eight & _HIGH_BITS
    return (control | _has(eight, _BRACKET) | _has(eight, _C2) | _has(eight, _E2)) != _0


@inner
def _is_here(data: Any, at: Any, end: Any, phrases: Any, begin: int, stop: int, bits: int) -> bool:
    """Return whether `phrases[begin:stop]` stands at *at*; with 32 as *bits* the case of ASCII letters does not matter."""
    if end - at < np.uint64(stop - begin):
        return False
    for number in range(begin, stop):
        byte = data[at + np.uint64(number - begin)]
        letter = 65 <= byte <= 90
        if (byte | bits if letter else byte) != phrases[number]:
            return False
    return True


@inner
def _citation(data: Any, at: Any, end: Any, page_of: Any, pages: Any) -> Any:
    """Return the position behind the reference mark that begins at *at*, or *at*: `[1]`, `[]`, `[edit]`, `[citation needed]`."""
    behind = at + _1
    for mark in range(2):
        if _is_here(data, behind, end, _MARKS, _MARK_ENDS[mark], _MARK_ENDS[mark + 1], 0):
            return behind + np.uint64(_MARK_ENDS[mark + 1] - _MARK_ENDS[mark])
    digits = 0
    while behind < end and digits <= 4:
        if data[behind] == _CLOSING:
            return behind + _1
        kind, behind = kind_of(data, behind, end, page_of, pages)
        if not kind & layout.DECIMAL:
            return at
        digits += 1
    return at


@inner
def _has_phrase(data: Any, at: Any, end: Any, phrases: Any, bounds: Any) -> bool:
    """Return whether one of *phrases* is in the line."""
    while at < end:
        first = data[at] | 32
        for number in range(bounds.size - 1):
            if first == phrases[bounds[number]] and _is_here(
                data, at, end, phrases, bounds[number], bounds[number + 1], 32
            ):
                return True
        at += _1
    return False


@inner
def _token(data: Any, at: Any, end: Any, page_of: Any, pages: Any) -> Any:
    """Return (begin, end, characters without marks around them, classes) of the next run of non-white space."""
    begin = at
    seen, characters, inside = 0, 0, 0
    while at < end:
        kind, after = kind_of(data, at, end, page_of, pages)
        if kind & layout.SPACE:
            if at > begin:
                break
            begin = after
        else:
            seen |= kind
            if not kind & layout.EDGE:
                characters += inside + 1
                inside = 0
            elif characters:
                inside += 1
        at = after
    return begin, at, characters, seen


@inner
def _has_few_words(data: Any, at: Any, end: Any, bytes_: Any, page_of: Any, pages: Any) -> bool:
    """Return whether there are fewer than three words; most lines show after three that there are not."""
    total, pieces = 0, 0  # tenths of a word: before this run of non-white space, and in it if it is taken apart
    apart, word, inside = False, False, False
    while at < end:
        kind, after = np.int64(bytes_[data[at]]), at + _1
        if kind & layout.SEVERAL:
            kind, after = kind_of(data, at, end, page_of, pages)
        if kind & layout.SPACE:
            total += pieces if apart else 10 * word
            pieces = 0
            apart, word, inside = False, False, False
        elif kind & layout.UNSPACED:
            pieces += 5 if kind & layout.EAST else 2
            apart, inside = True, False
        elif kind & layout.ALNUM:
            pieces += 0 if inside else 10
            word, inside = True, True
        else:
            inside = False
        if total + (pieces if apart else 0) >= _FEWEST:
            return False
        at = after
    return total + (pieces if apart else 10 * word) < _FEWEST


@inner
def _has_long_word(data: Any, at: Any, end: Any, bytes_: Any, page_of: Any, pages: Any) -> bool:
    """Return whether a word has more than 1,000 characters. Nearly every line has a blank in every 1,000 bytes: quick to see."""
    start = at
    while end - start > _LONGEST:
        back = start + _LONGEST
        while back > start and not bytes_[data[back]] & layout.SPACE:
            back -= _1
        if back == start:
            break
        start = back
    if end - start <= _LONGEST:
        return False
    while at < end:
        begin, at, characters, seen = _token(data, at, end, page_of, pages)
        if at - begin <= _LONGEST or not seen & (layout.ALNUM | layout.UNSPACED):
            continue
        if not seen & layout.UNSPACED:
            if characters > _LONGEST:
                return True
            continue
        extra = _0
        while begin < at:
            left, begin, before, extra, _ = next_piece(data, begin, at, extra, page_of, pages)
            if (begin - left) - (extra - before) > _LONGEST:
                return True
    return False


@inner
def _is_open(data: Any, at: Any, end: Any, page_of: Any, pages: Any) -> bool:
    """Return whether the line ends without closing its sentence, or with an ellipsis."""
    back = end - _1
    while back > at and data[back] & 0xC0 == 0x80 and end - back < _4:
        back -= _1
    kind, _ = kind_of(data, back, end, page_of, pages)
    if not kind & layout.TERMINAL:
        return True
    if end - at < _3:
        return False
    third = end - _3
    dots = data[third] == 46 and data[third + _1] == 46 and data[third + _2] == 46
    return dots or (data[third] == 0xE2 and data[third + _1] == 0x80 and data[third + _2] == 0xA6)


@kernel
def edit(
    data: Any,
    starts: Any,
    ends: Any,
    bytes_: Any,
    page_of: Any,
    pages: Any,
    uncite: bool,
    by_line: bool,
    rules: int,
    out: Any,
    bounds: Any,
    removed: Any,
) -> None:
    """Write each text to *out*, its end to *bounds*, and how many lines were taken out to *removed*.

    Reference marks go if *uncite*. If *by_line*, so do the lines that break one of *rules*, white space around lines, and all
    but one of several blank lines. *out* has as many bytes as the texts.
    """
    to = _0
    bounds[0] = 0
    for text in range(starts.size):
        at, end = np.uint64(starts[text]), np.uint64(ends[text])
        beginning = to
        blank = False
        while at < end:
            # The line is written behind the line ends that it will need, without marks.
            begin = to
            if by_line and to > beginning:
                begin += _2 if blank else _1
            write = begin
            script, policy, ended = False, False, False
            while at < end and not ended:
                if at + _8 <= end:
                    eight = eight_bytes(data, at, at + _8)
                    if not _ends_or_mark(eight):
                        small = eight | _LOWER
                        last = np.uint64(out[write - _1] | 32) if write > begin else _0
                        last_but_one = np.uint64(out[write - _2] | 32) if write > begin + _1 else _0
                        second = (small << _8) | last
                        first = (second << _8) | last_but_one
                        script |= _has(small, _J) != _0
                        # cookie, privacy, terms
                        told = _has(first, _O) & _has(second, _K) & _has(small, _I)
                        told |= _has(first, _I) & _has(second, _V) & _has(small, _A)
                        told |= _has(first, _R) & _has(second, _M) & _has(small, _S)
                        policy |= told != _0
                        for number in range(8):
                            out[write + np.uint64(number)] = np.uint8(eight >> np.uint64(8 * number))
                        write += _8
                        at += _8
                        continue
                byte = data[at]
                kind = bytes_[byte]
                if not kind & (layout.LINE | layout.SEVERAL | layout.TRIGGER):
                    out[write] = byte
                    write += _1
                    at += _1
                    continue
                after = at + _1
                if kind & layout.LINE:
                    ended = by_line
                    if byte == _RETURN and after < end and data[after] == _LINE_FEED and by_line:
                        after += _1
                elif byte == _BRACKET:
                    if uncite:
                        behind = _citation(data, at, end, page_of, pages)
                        if behind > at:
                            at = behind
                            continue
                elif kind & layout.TRIGGER:
                    letter = byte | 32
                    script |= letter == _J
                    if write > begin + _1:
                        middle, earlier = out[write - _1] | 32, out[write - _2] | 32
                        policy |= earlier == _O and middle == _K and letter == _I
                        policy |= earlier == _I and middle == _V and letter == _A
                        policy |= earlier == _R and middle == _M and letter == _S
                elif (byte == 0xC2 and after < end and data[after] == 0x85) or (
                    byte == 0xE2 and end - at >= _3 and data[after] == 0x80 and data[after + _1] & 0xFE == 0xA8
                ):
                    ended = by_line
                    after += _1 if byte == 0xC2 else _2
                if not ended:
                    while at < after:
                        out[write] = data[at]
                        write += _1
                        at += _1
                at = after
            if not by_line:
                to = write
                continue
            # White space around the line.
            left = begin
            while left < write:
                kind, after = kind_of(out, left, write, page_of, pages)
                if not kind & layout.SPACE:
                    break
                left = after
            while write > left:
                back = write - _1
                while back > left and out[back] & 0xC0 == 0x80 and write - back < _4:
                    back -= _1
                kind, _ = kind_of(out, back, write, page_of, pages)
                if not kind & layout.SPACE:
                    break
                write = back
            if left == write:
                blank = blank or to > beginning
                continue
            if (
                (rules & OPEN and _is_open(out, left, write, page_of, pages))
                or (rules & JAVASCRIPT and script and _has_phrase(out, left, write, _JAVASCRIPT, _ONE))
                or (rules & POLICY and policy and _has_phrase(out, left, write, _PHRASES, _PHRASE_ENDS))
                or (rules & FEW_WORDS and _has_few_words(out, left, write, bytes_, page_of, pages))
                or (
                    rules & LONG_WORD
                    and write - left > _LONGEST
                    and _has_long_word(out, left, write, bytes_, page_of, pages)
                )
            ):
                removed[text] += 1
                continue
            while to < begin:
                out[to] = _LINE_FEED
                to += _1
            blank = False
            if left == begin:
                to = write
            else:
                while left < write:
                    out[to] = out[left]
                    to += _1
                    left += _1
        bounds[text + 1] = np.int64(to)
