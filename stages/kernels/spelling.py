"""Words of texts that no table has, found without making strings: nearly all words are listed, and cost one look-up each.

What a word is, and which lines are code, is what the patterns of `correct_spelling` say; `unlisted_words` makes the tables of
characters from them. Words are known by 61 bits of their hash, with what is known of them in the lowest three.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inlined
from corpusmill.stages.kernels.hash_table import hash_of
from corpusmill.stages.kernels.text import decode

__all__ = [
    "CODE", "COMMON", "DERIVED", "LETTER", "LISTED", "NOT_AFTER", "NOT_BEFORE", "RIGHT", "UNKNOWN", "WORD",
    "add_words", "copy_words", "find_unlisted", "is_near_common",
    "mark_words", "may_be_derived",
]  # fmt: skip

LETTER, NOT_BEFORE, NOT_AFTER, WORD, CODE = 1, 2, 4, 8, 16
"""Classes of a character: of the words that are looked at; not right before one; not right after one; `\\w`; only in code."""
COMMON, LISTED, DERIVED, UNKNOWN = 1, 2, 3, 4
"""What is known of a word; all but the last are right."""
RIGHT = np.uint64(DERIVED)

_0, _1, _2, _3, _7, _32, _38, _63, _127 = (np.uint64(number) for number in (0, 1, 2, 3, 7, 32, 38, 63, 127))
_KIND = _7
_LINE_FEED, _BLANK, _STOP, _SLASH, _COLON = (np.uint8(ord(sign)) for sign in "\n ./:")
_ROUND, _SQUARE, _S, _I, _C = (np.uint8(ord(sign)) for sign in "([sic")


@inlined
def _class_at(data: Any, at: Any, end: Any, of_ascii: Any, page_of: Any, pages: Any) -> Any:
    """Return the classes of the character at *at*, and the position after it."""
    byte = data[at]
    if byte < 128:
        return of_ascii[byte], at + _1
    code, after = decode(data, at, end)
    return pages[page_of[code >> _7], code & _127], after


@inlined
def _kind_of(table: Any, hashed: Any) -> Any:
    """Return what *table* knows of the word with that hash; 0 if nothing."""
    mask = np.uint64(table.size) - _1
    place = (hashed >> _3) & mask
    while table[place] != _0:
        if (table[place] ^ hashed) <= _KIND:
            return table[place] & _KIND
        place = (place + _1) & mask
    return _0


@inlined
def _word_hash(data: Any, at: Any, end: Any) -> Any:
    """Return the hash of a word, with zeros where the table says what is known of it."""
    return hash_of(data, at, end) & ~_KIND


@inlined
def _put(table: Any, entry: Any) -> None:
    mask = np.uint64(table.size) - _1
    place = (entry >> _3) & mask
    while table[place] != _0:
        place = (place + _1) & mask
    table[place] = entry


@bare_kernel
def copy_words(table: Any, entries: Any) -> None:
    """Add the entries of another table, those that are not 0."""
    for at in range(entries.size):
        if entries[at] != _0:
            _put(table, entries[at])


@bare_kernel
def add_words(table: Any, data: Any, starts: Any, ends: Any, kinds: Any) -> None:
    """Add words, that *table* has not, with what is known of each. At least one place in two has to stay free."""
    for word in range(starts.size):
        _put(table, _word_hash(data, np.uint64(starts[word]), np.uint64(ends[word])) | np.uint64(kinds[word]))


@inlined
def _may_end(data: Any, at: Any, end: Any, of_ascii: Any, page_of: Any, pages: Any) -> Any:
    """Return whether a word may end before *at*."""
    if at == end:
        return True
    classes, after = _class_at(data, at, end, of_ascii, page_of, pages)
    if classes & NOT_AFTER:
        return False
    byte = data[at]
    if after == end:
        return True
    if byte == _STOP or byte == _COLON:
        classes, _ = _class_at(data, after, end, of_ascii, page_of, pages)
        return classes & WORD == 0 and data[after] != _SLASH
    if byte != _BLANK or (data[after] != _ROUND and data[after] != _SQUARE) or after + _3 >= end:
        return True
    if data[after + _1] != _S or data[after + _2] != _I or data[after + _3] != _C:
        return True
    after += _3 + _1
    if after == end:
        return False
    classes, _ = _class_at(data, after, end, of_ascii, page_of, pages)
    return classes & WORD != 0


@bare_kernel
def find_unlisted(
    data: Any,
    starts: Any,
    ends: Any,
    of_ascii: Any,
    page_of: Any,
    pages: Any,
    table: Any,
    lengths: Any,
    totals: Any,
    rows: Any,
    begins: Any,
    stops: Any,
    hashes: Any,
    counted: Any,
) -> int:
    """Find the words of texts that *table* does not know to be right, and return how many.

    *lengths* are the fewest and most letters of a word that is looked at, and the fewest of one that counts. *totals* takes the
    words that count, by text. Of each word that was found, *rows* takes its text, *begins* and *stops* its bounds, *hashes* its
    hash with what is known of it (0 or UNKNOWN), *counted* whether it counts; they need a place for every two bytes.
    """
    fewest, most, counts = lengths[0], lengths[1], lengths[2]
    found = _0
    for text in range(starts.size):
        at, end = np.uint64(starts[text]), np.uint64(ends[text])
        total = total_before = 0
        found_before = found
        before = np.uint8(0)
        last = np.uint8(0)
        while at < end:
            byte = data[at]
            classes, after = _class_at(data, at, end, of_ascii, page_of, pages)
            if classes & LETTER and not before & NOT_BEFORE:
                begin, letters = at, 0
                while classes & LETTER:
                    letters += 1
                    at = after
                    if at == end:
                        break
                    classes, after = _class_at(data, at, end, of_ascii, page_of, pages)
                last, before = np.uint8(0), np.uint8(LETTER | NOT_BEFORE)
                if fewest <= letters <= most and _may_end(data, at, end, of_ascii, page_of, pages):
                    total += letters >= counts
                    hashed = _word_hash(data, begin, at)
                    kind = _kind_of(table, hashed)
                    if kind == _0 or kind > RIGHT:
                        rows[found], begins[found], stops[found] = text, begin, at
                        hashes[found], counted[found] = hashed | kind, letters >= counts
                        found += _1
                continue
            if byte == _LINE_FEED:
                total_before, found_before = total, found
            elif classes & CODE or (byte == last and (byte == _SLASH or byte == _COLON)):
                total, found = total_before, found_before
                while at < end and data[at] != _LINE_FEED:
                    at += _1
                last, before = np.uint8(0), np.uint8(0)
                continue
            last, before, at = byte, classes, after
        totals[text] = total
    return np.int64(found)


@inlined
def _is_right(table: Any, data: Any, at: Any, end: Any, rarest: Any) -> Any:
    kind = _kind_of(table, _word_hash(data, at, end))
    return kind != _0 and kind <= rarest


@bare_kernel
def may_be_derived(
    table: Any, data: Any, starts: Any, ends: Any, affixes: Any, shortest: int, room: Any, derived: Any
) -> None:
    """Say in *derived* of each word whether affixes, another spelling of e, or two common words may make a right word of it.

    Words are ASCII, and of 32 letters at most. A row of *affixes* is the number of letters, 1 for a prefix, the letter that
    comes in place of a suffix or 0, and the letters. Behind a prefix, and on both sides of a compound, there are more than
    *shortest* letters. *room* is for 40 bytes.
    """
    for word in range(starts.size):
        at, end = np.uint64(starts[word]), np.uint64(ends[word])
        size = end - at
        found = False
        for affix in range(affixes.shape[0]):
            length, instead = np.uint64(affixes[affix, 0]), affixes[affix, 2]
            if length > size or found:
                continue
            is_prefix = affixes[affix, 1] == 1
            if is_prefix and size - length <= np.uint64(shortest):
                continue
            place = at if is_prefix else end - length
            fits = True
            for letter in range(np.int64(length)):
                fits &= data[place + np.uint64(letter)] == affixes[affix, np.uint64(3 + letter)]
            if not fits:
                continue
            if is_prefix:
                found = _is_right(table, data, at + length, end, RIGHT)
            elif instead == 0:
                found = _is_right(table, data, at, place, RIGHT)
            else:
                for letter in range(np.int64(size - length)):
                    room[letter] = data[at + np.uint64(letter)]
                room[size - length] = instead
                found = _is_right(table, room, _0, size - length + _1, RIGHT)
        for cut in range(1 + shortest, np.int64(size) - shortest):
            if found:
                break
            middle = at + np.uint64(cut)
            found = _is_right(table, data, at, middle, np.uint64(COMMON)) and _is_right(
                table, data, middle, end, np.uint64(COMMON)
            )
        for letter in range(np.int64(size)):
            if found or data[at + np.uint64(letter)] != 101:
                continue
            for first in (97, 111):
                for other in range(letter):
                    room[other] = data[at + np.uint64(other)]
                room[letter] = first
                for other in range(letter, np.int64(size)):
                    room[other + 1] = data[at + np.uint64(other)]
                found = found or _is_right(table, room, _0, size + _1, RIGHT)
        derived[word] = found


@bare_kernel
def mark_words(bits: Any, data: Any, starts: Any, ends: Any) -> None:
    """Set a bit in *bits* for each word: a table that stays in the nearest cache, to ask before a larger one."""
    mask = np.uint64(bits.size) - _1
    for word in range(starts.size):
        hashed = _word_hash(data, np.uint64(starts[word]), np.uint64(ends[word]))
        bits[(hashed >> _38) & mask] |= _1 << (hashed >> _32 & _63)


@inlined
def _is_marked(table: Any, bits: Any, room: Any, size: Any) -> Any:
    """Return whether the first bytes of *room* are a word that is marked in *bits*, and common by *table*."""
    hashed = _word_hash(room, _0, size)
    mark = bits[(hashed >> _38) & (np.uint64(bits.size) - _1)] >> (hashed >> _32 & _63)
    return mark & _1 != _0 and _kind_of(table, hashed) == np.uint64(COMMON)


@bare_kernel
def is_near_common(table: Any, bits: Any, word: Any, letters: Any, room: Any) -> bool:
    """Return whether a common word is one insertion, deletion, substitution or swap of neighbours from the bytes of *word*.

    Common words are marked in *bits* and made of *letters*; these and *word* are ASCII. *room* is for nine letters more than
    *word* has.
    """
    size = np.uint64(word.size)
    for at in range(word.size + 1):
        place = np.uint64(at)
        for other in range(word.size):
            room[other + (other >= at)] = word[other]
        for letter in letters:
            room[place] = letter
            if _is_marked(table, bits, room, size + _1):
                return True
        if place == size:
            return False
        for other in range(word.size):
            room[other] = word[other]
        for letter in letters:
            room[place] = letter
            if letter != word[at] and _is_marked(table, bits, room, size):
                return True
        room[place] = word[at]
        if place + _1 < size:
            room[place], room[place + _1] = word[place + _1], word[place]
            if _is_marked(table, bits, room, size):
                return True
            room[place + _1] = word[place + _1]
        for other in range(at + 1, word.size):
            room[other - 1] = word[other]
        if _is_marked(table, bits, room, size - _1):
            return True
    return False
