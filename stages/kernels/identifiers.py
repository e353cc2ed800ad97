"""Where in a text an e-mail or IP address, a phone, card or account number, or a secret may start, in one scan of its bytes.

The exact patterns are Python's (pii_finders.py) and run at 3 MB/s over everything; here a position is passed over only where no
pattern can succeed, so that they are tried at the rest alone. What is looked at around a position has an upper length, so the
scan is linear in the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inner

__all__ = [
    "AT",
    "CARD",
    "COLON",
    "DIGIT",
    "EMAIL",
    "FOREIGN",
    "IBAN",
    "IPV4",
    "IPV6",
    "PHONE",
    "SECRET",
    "SPOKEN_PHONE",
    "TRIGGER",
    "any_candidate",
    "candidates",
]

EMAIL, IPV4, IPV6, IBAN, CARD, PHONE, SPOKEN_PHONE, SECRET = range(8)
"""Kinds of candidates: the position is that of the `@`, of the first digit of a phone number behind a word for phone, or else the
start."""
DIGIT, AT, COLON, TRIGGER, FOREIGN = range(1, 6)
"""What a byte starts: a digit, an `@`, a colon, the telling character of a secret's prefix, a character that may be a digit."""

_DIGITS, _LETTERS, _HEXADECIMAL, _WORD, _LOCAL, _TOKEN, _GAP, _BLANK = (1 << bit for bit in range(8))
_CHARACTERS = (
    (_DIGITS, "0123456789"),
    (_LETTERS, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    (_HEXADECIMAL, "0123456789ABCDEFabcdef"),
    (_WORD, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"),
    (_LOCAL, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-"),
    (_TOKEN, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+/="),
    (_GAP, " .()/-"),  # between the digits of a phone number
    (_BLANK, " \t\n\r\f\v\x1c\x1d\x1e\x1f.:()+"),  # between a word for phone and its number
)
_CLASS = np.zeros(256, np.uint8)
for _bit, _members in _CHARACTERS:
    _CLASS[[ord(_member) for _member in _members]] |= _bit
_LETTER_OR_DIGIT = _DIGITS | _LETTERS

_LABEL = 252  # bytes of the longest label of a domain: 63 characters
_GAPS = 3  # characters between two digits of a phone number
_MANY = 16  # digits: one more than any phone number has
_BEFORE_NUMBER = 8  # ASCII characters between a word for phone and the first digit
_ADDRESS = 90  # bytes that an IPv6 address may take, and the pattern look at
_1, _8 = np.uint64(1), np.uint64(8)


@inner
def _is(data: Any, at: int, start: int, end: int, kind: int) -> bool:
    """Return whether the byte at *at* is of a class; there is none outside of the text."""
    return start <= at < end and (_CLASS[data[at]] & kind) != 0


@inner
def _byte(data: Any, at: int, start: int, end: int) -> int:
    """Return the byte at *at*, or 0 outside of the text."""
    return np.int64(data[at]) if start <= at < end else 0


@inner
def _width(data: Any, at: int, end: int, foreign: Any) -> int:
    """Return how many bytes the decimal digit at *at* takes, 0 if there is none."""
    if at >= end:
        return 0
    first = np.int64(data[at])
    if first < 0x80:
        return 1 if 48 <= first < 58 else 0
    width = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if first < 0xC0 or at + width > end:
        return 0
    code = first & (0xFF >> (width + 1))
    for place in range(1, width):
        code = code << 6 | (np.int64(data[at + place]) & 0x3F)
    return width if code < foreign.size and foreign[code] else 0


@inner
def _group(data: Any, at: int, end: int, foreign: Any) -> tuple[int, int]:
    """Return the number of digits from *at* on, at most 16, and the position after them."""
    count = 0
    while count < _MANY:
        width = _width(data, at, end, foreign)
        if not width:
            break
        at += width
        count += 1
    return count, at


@inner
def _is_behind_digit(data: Any, at: int, start: int, end: int, foreign: Any) -> bool:
    """Return whether the character before *at* is a decimal digit."""
    before = at - 1
    while before > start and at - before < 4 and data[before] & 0xC0 == 0x80:
        before -= 1
    return before >= start and before + _width(data, before, end, foreign) == at


@inner
def _has_digits(data: Any, at: int, end: int, foreign: Any, wanted: int) -> bool:
    """Return whether *wanted* digits follow, with at most three characters between two that a phone number may have there."""
    count = gaps = 0
    while at < end and gaps <= _GAPS:
        width = _width(data, at, end, foreign)
        if width:
            count += 1
            gaps = 0
            if count >= wanted:
                return True
            at += width
        elif _CLASS[data[at]] & _GAP:
            gaps += 1
            at += 1
        else:
            break
    return False


@inner
def _is_email(data: Any, at: int, start: int, end: int) -> bool:
    """Return whether the `@` at *at* has the end of a local part before it, and a label, a dot and another label after it."""
    if not (_is(data, at - 1, start, end, _LOCAL) or _byte(data, at - 1, start, end) >= 0x80):
        return False
    first = at + 1
    place = first
    while place < end and place <= first + _LABEL:
        byte = data[place]
        if byte == 46:
            after = _byte(data, place + 1, start, end)
            return place > first and (after >= 0x80 or (_CLASS[after] & _LETTER_OR_DIGIT) != 0)
        if byte < 0x80 and byte != 45 and not _CLASS[byte] & _LETTER_OR_DIGIT:
            return False
        place += 1
    return False


@inner
def _is_ipv4(data: Any, at: int, start: int, end: int) -> bool:
    """Return whether four numbers of one to three digits follow, with nothing around that makes them a part."""
    if _is(data, at - 1, start, end, _WORD) or _byte(data, at - 1, start, end) == 46:
        return False
    for part in range(4):
        digits = 0
        while digits < 4 and _is(data, at, start, end, _DIGITS):
            digits += 1
            at += 1
        if not 1 <= digits <= 3:
            return False
        if part < 3:
            if _byte(data, at, start, end) != 46:
                return False
            at += 1
    if _is(data, at, start, end, _WORD):
        return False
    return not (_byte(data, at, start, end) == 46 and _is(data, at + 1, start, end, _DIGITS))


@inner
def _ipv6_start(data: Any, at: int, start: int, end: int, private: bool) -> int:
    """Return where the IPv6 address starts whose first colon is at *at*, or -1.

    Shortened ones are global unicast (2000::/3, four hexadecimal digits), others have at least six colons.
    """
    first = at
    while at - first < 5 and _is(data, first - 1, start, end, _HEXADECIMAL):
        first -= 1
    before = _byte(data, first - 1, start, end)
    if not 1 <= at - first <= 4 or before in (46, 58) or _CLASS[before] & _WORD:
        return -1
    colons = 0
    shortened = False
    for place in range(at, min(end, at + _ADDRESS)):
        byte = data[place]
        if byte == 58:
            colons += 1
            shortened |= data[place - 1] == 58
        elif byte != 46 and not _CLASS[byte] & _HEXADECIMAL:
            break
    if private:
        return first if colons >= 2 else -1
    is_global = shortened and at - first == 4 and 50 <= data[first] <= 51
    return first if is_global or colons >= 6 else -1


@inner
def _is_iban(data: Any, at: int, start: int, end: int) -> bool:
    """Return whether two letters stand before the two digits at *at*, and eleven characters or groups of four follow."""
    if not (_is(data, at - 1, start, end, _LETTERS) and _is(data, at - 2, start, end, _LETTERS)):
        return False
    if _is(data, at - 3, start, end, _LETTER_OR_DIGIT) or not _is(data, at + 1, start, end, _DIGITS):
        return False
    at += 2
    blanks = _byte(data, at, start, end) == 32
    for place in range(10 if blanks else 11):
        if blanks and place % 5 == 0:
            if _byte(data, at + place, start, end) != 32:
                return False
        elif not _is(data, at + place, start, end, _LETTER_OR_DIGIT):
            return False
    return True


@inner
def _is_card(data: Any, at: int, start: int, end: int, foreign: Any, digits: int, after: int) -> bool:
    """Return whether 12 digits follow at once, or four, four or six, and more, set off by blanks or hyphens."""
    before = _byte(data, at - 1, start, end)
    if before in (43, 44, 45, 46) or _CLASS[before] & _WORD:
        return False
    if digits >= 12:
        return True
    separator = _byte(data, after, start, end)
    if digits != 4 or separator not in (32, 45):
        return False
    more, then = _group(data, after + 1, end, foreign)
    return more in (4, 6) and _byte(data, then, start, end) == separator and _is(data, then + 1, start, end, _DIGITS)


@inner
def _is_phone(data: Any, at: int, start: int, end: int, foreign: Any, digits: int, after: int) -> bool:
    """Return whether a national form may start at the digit at *at*."""
    before, first, behind = _byte(data, at - 1, start, end), np.int64(data[at]), _byte(data, after, start, end)
    if _CLASS[before] & _WORD or before in (35, 37, 38, 43, 44, 45, 46, 47, 61, 64):  # # % & + , - . / = @
        return False
    if first == 48:
        if before == 32 and _is(data, at - 2, start, end, _DIGITS):
            return False
        if _byte(data, at + 1, start, end) == 48 and _has_digits(data, at, end, foreign, 11):
            return True
        is_set_off = 2 <= digits <= 5 and behind in (32, 45, 47)
        in_pairs = digits == 2 and behind == 46 and _has_digits(data, at, end, foreign, 10)
        return in_pairs or (is_set_off and _has_digits(data, at, end, foreign, 9))
    if first == 49:
        if digits != 1 or behind not in (32, 45, 46) or not _has_digits(data, at, end, foreign, 11):
            return False
        area = _byte(data, after + 1, start, end)
        return area == 40 or 50 <= area <= 57
    if digits != 3 or not 50 <= first <= 57 or behind not in (45, 46):
        return False
    middle, then = _group(data, after + 1, end, foreign)
    return middle == 3 and _byte(data, then, start, end) in (45, 46) and _width(data, then + 1, end, foreign) > 0


@inner
def _is_marked_phone(data: Any, at: int, start: int, end: int, foreign: Any, digits: int, after: int) -> bool:
    """Return whether a phone number may start with the `+` or opening bracket before the digit at *at*."""
    before, first = _byte(data, at - 1, start, end), data[at]
    if before == 43:
        return 49 <= first <= 57 and _has_digits(data, at, end, foreign, 9)
    if before != 40 or _byte(data, after, start, end) != 41:
        return False
    is_area = digits == 2 or (digits == 3 and 50 <= first <= 57) or (2 <= digits <= 5 and first == 48)
    return is_area and _has_digits(data, at, end, foreign, 8)


@inner
def _is_spoken_phone(data: Any, at: int, start: int, end: int, foreign: Any, endings: Any) -> bool:
    """Return whether what may be the end of a word for phone stands before the digit at *at*, and seven digits follow."""
    place = at - 1
    while place >= start and at - 1 - place < _BEFORE_NUMBER and _CLASS[data[place]] & _BLANK:
        place -= 1
    if place < start:
        return False
    letters = 0
    for back in range(3):
        byte = _byte(data, place - back, start, end)
        if byte >= 0x80 or (back == 0 and byte == 35):  # other alphabets: not looked at here; a number sign
            return _has_digits(data, at, end, foreign, 7)
        if not _CLASS[byte] & _LETTERS:
            if back < 2:
                return False
            byte = 0x60
        letters |= ((byte | 0x20) - 0x60) << (5 * back)
    return endings[letters] != 0 and _has_digits(data, at, end, foreign, 7)


@inner
def _kinds(data: Any, at: int, start: int, end: int, foreign: Any, endings: Any, digits: int, after: int) -> int:
    """Return what the digit at *at* may start (an account number two characters before it), one bit for each kind."""
    kinds = 0
    if digits <= 3 and _byte(data, after, start, end) == 46 and _is_ipv4(data, at, start, end):
        kinds |= 1 << IPV4
    if digits >= 2 and _is_iban(data, at, start, end):
        kinds |= 1 << IBAN
    if digits >= 4 and _is_card(data, at, start, end, foreign, digits, after):
        kinds |= 1 << CARD
    if _is_phone(data, at, start, end, foreign, digits, after):
        kinds |= 1 << PHONE
    if _is_spoken_phone(data, at, start, end, foreign, endings):
        kinds |= 1 << SPOKEN_PHONE
    return kinds


@inner
def _secret_start(data: Any, at: int, start: int, end: int, prefixes: Any, rows: Any, first_row: Any) -> int:
    """Return where the secret starts whose prefix has its telling character at *at*, or -1."""
    byte = np.int64(data[at])
    for row in range(first_row[byte], first_row[byte + 1]):
        length, telling, least = rows[row, 0], rows[row, 1], rows[row, 2]
        first = at - telling
        if first < start or first + length + least > end:
            continue
        place = 0
        while place < length and data[first + place] == prefixes[row, place]:
            place += 1
        if place < length:
            continue
        before = _byte(data, first - 1, start, end)
        if prefixes[row, 0] != 45 and (before == 45 or _CLASS[before] & _WORD):
            continue
        place = first + length
        while place < first + length + least and _CLASS[data[place]] & _TOKEN:
            place += 1
        if place == first + length + least:
            return first
    return -1


@bare_kernel
def candidates(
    data: Any,
    start: int,
    end: int,
    actions: Any,
    foreign: Any,
    endings: Any,
    prefixes: Any,
    rows: Any,
    first_row: Any,
    private: bool,
    out: Any,
) -> int:
    """Write the candidates of the text `data[start:end]` to *out*, each `position in characters << 3 | kind`, until it is full.

    Those of a kind are in order. *actions* says what each byte starts, *foreign* which code points are decimal digits, *endings*
    how words for phone end, the others what prefixes secrets have (see pii_candidates.py). Returns how many there are: less than
    three for each byte.
    """
    count, limit = 0, out.size
    at, last = np.uint64(start), np.uint64(end)
    counted, characters = start, 0  # characters before the byte *counted*
    while at < last:
        if at + _8 <= last:
            action = np.uint8(0)
            for place in range(8):
                action |= actions[data[at + np.uint64(place)]]
            if action == 0:
                at += _8
                continue
        action = actions[data[at]]
        while action == 0 and at + _1 < last:
            at += _1
            action = actions[data[at]]
        here = np.int64(at)
        at += _1
        if action == 0:
            break
        first, kind, kinds, marked = here, SECRET, 0, False
        if action == DIGIT or action == FOREIGN:
            if not _width(data, here, end, foreign) or _is_behind_digit(data, here, start, end, foreign):
                continue
            digits, after = _group(data, here, end, foreign)
            marked = _is_marked_phone(data, here, start, end, foreign, digits, after)
            kinds = _kinds(data, here, start, end, foreign, endings, digits, after)
            if not marked and not kinds:
                continue
        elif action == AT:
            kind = EMAIL
            if not _is_email(data, here, start, end):
                continue
        elif action == COLON:
            first, kind = _ipv6_start(data, here, start, end, private), IPV6
        else:
            first = _secret_start(data, here, start, end, prefixes, rows, first_row)
        if first < 0:
            continue
        while counted < first:
            characters += (data[counted] & 0xC0) != 0x80
            counted += 1
        if not marked and not kinds:
            out[count] = (characters - (counted - first)) << 3 | kind
            count += 1
        if marked:
            out[count] = (characters - 1) << 3 | PHONE
            count += 1
        kind = 0
        while kinds and count < limit:
            if kinds & 1:
                out[count] = (characters - 2 if kind == IBAN else characters) << 3 | kind
                count += 1
            kinds >>= 1
            kind += 1
        if count >= limit:
            break
    return count


@bare_kernel
def any_candidate(
    data: Any,
    starts: Any,
    ends: Any,
    actions: Any,
    foreign: Any,
    endings: Any,
    prefixes: Any,
    rows: Any,
    first_row: Any,
    private: bool,
    one: Any,
    out: Any,
) -> None:
    """Write to *out* whether each text has a candidate; *one* is an array of one place to write it to."""
    for text in range(starts.size):
        found = candidates(
            data, starts[text], ends[text], actions, foreign, endings, prefixes, rows, first_row, private, one
        )
        out[text] = found != 0
