"""Everything that the quality rules need to know of a text, in one pass over its bytes.

A run of ASCII letters costs a table look-up a byte; what depends on the place of a mark (how long a run of dots is, whether a
sentence ends) is answered by looking back from it, so that no state is carried along. A run of non-white space is one word unless
it holds a character of a script without spaces: then it is gone through once more and taken apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inlined, inner, kernel
from corpusmill.stages.kernels import quality_layout as layout
from corpusmill.stages.kernels.hash_table import add_hash, eight_bytes, hash_of, wider
from corpusmill.stages.kernels.machine import lowest_bit
from corpusmill.stages.kernels.quality_repetition import repetition
from corpusmill.stages.kernels.text import decode, mix

__all__ = ["FUNCTION_FACTOR", "kind_of", "next_piece", "scan"]

FUNCTION_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""What the key of a function word is multiplied by: the highest bits of the product are its place in the table."""
_FIRST_PLACES = np.uint64(64)
_0, _1, _2, _3, _4, _5, _6, _7, _8, _12 = (np.uint64(number) for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 12))
_63, _64, _127 = (np.uint64(number) for number in (63, 64, 127))
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_LOWER = np.uint64(0x2020202020202020)
_LOW_BITS, _HIGH_BITS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)
_FROM_A, _BEHIND_Z = (
    np.uint64(0x1F1F1F1F1F1F1F1F),
    np.uint64(0x0505050505050505),
)  # what makes a byte 0x80 from there on
_LOWER_4, _LOWER_5 = _LOWER >> np.uint64(32), _LOWER >> np.uint64(24)
_LORE, _IPSUM = np.uint64(int.from_bytes(b"lore", "little")), np.uint64(int.from_bytes(b"ipsum", "little"))
_DOT, _NUMBER_SIGN, _CURLY_BRACKET, _SPACE_BYTE, _RETURN, _LINE_FEED, _M = (ord(mark) for mark in ".#{ \r\nm")
_ELLIPSIS = np.uint64(0x2026)
_PARAGRAPH = np.uint64(0xA0761D6478BD642F)


@inlined
def kind_of(data: Any, at: Any, end: Any, page_of: Any, pages: Any) -> Any:
    """Return (class of the character at *at*, the position after it)."""
    code, after = decode(data, at, end) if data[at] >= 128 else (np.uint64(data[at]), at + _1)
    return pages[page_of[code >> _7], code & _127], after


@inlined
def _letters(data: Any, at: Any, end: Any) -> Any:
    """Return how many of the next eight bytes are ASCII letters without a break: all at once, where a loop is mispredicted."""
    if at + _8 > np.uint64(data.size):
        return _0
    eight = eight_bytes(data, at, at + _8)
    small = (eight & _LOW_BITS) | _LOWER
    letters = (small + _FROM_A) & ~(small + _BEHIND_Z) & ~eight & _HIGH_BITS
    return min(lowest_bit(~letters & _HIGH_BITS) >> _3, end - at)


@inner
def _ends_sentence(data: Any, begin: Any, end: Any, page_of: Any, pages: Any) -> bool:
    """Return whether the run of non-white space ends with an end mark and at most three closing ones."""
    closers = 0
    while end > begin:
        at = end - _1
        while at > begin and data[at] & 0xC0 == 0x80 and end - at < _4:
            at -= _1
        kind, _ = kind_of(data, at, end, page_of, pages)
        if not kind & layout.CLOSER or closers == 3:
            return (kind & layout.ENDER) != 0
        closers += 1
        end = at
    return False


@inner
def next_piece(data: Any, at: Any, end: Any, extra: Any, page_of: Any, pages: Any) -> Any:
    """Return (begin, end, bytes beyond characters before each, classes) of the next character or word of a mixed run."""
    begin, before, seen = at, extra, 0
    while at < end:
        kind, after = kind_of(data, at, end, page_of, pages)
        unspaced = kind & layout.UNSPACED
        if seen and (unspaced or not kind & layout.ALNUM):
            break
        extra += after - at - _1
        at = after
        if unspaced:
            return begin, at, before, extra, unspaced
        if kind & layout.ALNUM:
            seen |= kind
        else:
            begin, before = at, extra
    return begin, at, before, extra, seen


@inner
def _read_length(data: Any, at: Any, end: Any, characters: Any, page_of: Any, pages: Any) -> int:
    """Return the characters of a word as readers would count them: Hangul blocks twice, joining signs of Indic scripts never."""
    first, _ = decode(data, at, end)
    hangul, indic = 0xAC00 <= first <= 0xD7A3, 0x0900 <= first <= 0x0DFF
    if hangul or indic:
        while at < end:
            kind, at = kind_of(data, at, end, page_of, pages)
            characters += hangul and (kind & layout.HANGUL) != 0
            characters -= indic and (kind & layout.VIRAMA) != 0
    return characters


@inner
def _lowered_key(data: Any, at: Any, end: Any, page_of: Any, pages: Any) -> Any:
    """Return the bytes of a word in lower case, the first one lowest; 0 where they are more than eight."""
    packed, shift = _0, _0
    while at < end:
        code, after = decode(data, at, end) if data[at] >= 128 else (np.uint64(data[at]), at + _1)
        code = np.uint64(np.int64(code) + (pages[page_of[code >> _7], code & _127] >> 32))
        if code < 0x80:
            coded, bits = code, _8
        elif code < 0x800:
            coded, bits = np.uint64(0x80C0) | (code >> _6) | ((code & _63) << _8), np.uint64(16)
        else:  # no function word has a character of four bytes
            coded = np.uint64(0x8080E0) | (code >> _12) | (((code >> _6) & _63) << _8) | ((code & _63) << np.uint64(16))
            bits = np.uint64(24)
        if shift + bits > _64 or code > 0xFFFF or code == _0:
            return _0
        packed |= coded << shift
        shift += bits
        at = after
    return packed


@inlined
def _function_word(
    data: Any, at: Any, end: Any, characters: int, page_of: Any, pages: Any, keys: Any, shift: Any
) -> Any:
    """Return the place of a word in the table of function words, -1 where it is none."""
    if characters > 8:
        return -1
    if end - at == np.uint64(characters):
        key = (eight_bytes(data, at, end) | _LOWER) & (_ALL >> (_64 - ((end - at) << _3)))
    else:
        key = _lowered_key(data, at, end, page_of, pages)
    place = (key * FUNCTION_FACTOR) >> shift
    while keys[place] != key:
        if keys[place] == _0:
            return -1
        place += _1
    return np.int64(place) if key else -1


@inner
def _is_lorem_ipsum(data: Any, at: Any, start: Any, end: Any) -> bool:
    """Return whether "lorem ipsum" has its space at *at*; case does not matter."""
    if at < start + _5 or at + _5 >= end:
        return False
    before = eight_bytes(data, at - _5, at - _1) | _LOWER_4
    behind = eight_bytes(data, at + _1, at + np.uint64(6)) | _LOWER_5
    return before == _LORE and behind == _IPSUM


@kernel
def scan(
    data: Any,
    starts: Any,
    ends: Any,
    bytes_: Any,
    page_of: Any,
    pages: Any,
    function_keys: Any,
    function_languages: Any,
    languages: Any,
    function_shift: int,
    of_lines: bool,
    of_ngrams: bool,
    out: Any,
) -> None:
    """Write what is counted of each text to its row of *out*; columns are those of `quality_layout`.

    *bytes_* has the class of each byte, *pages* that of each character. *function_keys* is the table of function words,
    *function_languages* where the languages of each begin in *languages* (the place after has their end). Repeated
    lines and paragraphs are counted if *of_lines*, repeated n-grams if *of_ngrams*.
    """
    most = np.uint64(0)
    for text in range(starts.size):
        most = max(most, np.uint64(ends[text] - starts[text]))
    room = min(layout.UNITS_MEASURED, np.int64(most) // 2 + 1) if of_ngrams else 0
    hashes, reached = np.empty(room + 1, np.uint64), np.zeros(room + 2, np.int64)
    keys, places, classes = np.empty(room + 1, np.uint64), np.empty(room + 1, np.int32), np.empty(room + 1, np.int32)
    counts, ngrams_seen = np.empty(room + 1, np.int32), np.empty(room + 1, np.bool_)
    table, numbers = np.empty(4 * room + 4, np.uint64), np.empty(4 * room + 4, np.int32)
    once, again = np.empty(room // 2 + 2, np.uint64), np.empty(room // 2 + 2, np.uint64)
    lines_seen, spare = np.zeros(np.int64(_FIRST_PLACES), np.uint64), np.zeros(np.int64(_FIRST_PLACES), np.uint64)
    function_seen = np.full(function_keys.size, -1, np.int64)
    found = np.zeros(256, np.int64)
    by_function = np.uint64(function_shift)
    for text in range(starts.size):
        start, end = np.uint64(starts[text]), np.uint64(ends[text])
        at, extra = start, _0
        units = spaced = spaced_characters = alphabetic = symbols = latin = eastern = south_eastern = 0
        hash_signs = ellipses = brackets = lorem = sentences = 0
        lines = bullets = ellipsis_lines = punctuated = short = line_characters = 0
        distinct_lines = distinct_line_characters = 0
        paragraphs = paragraph_characters = distinct_paragraphs = distinct_paragraph_characters = 0
        group = group_characters = 0
        group_hash = _0
        function_words = 0
        for language in range(found.size):
            found[language] = 0
        mask = _FIRST_PLACES - _1
        for place in range(np.int64(_FIRST_PLACES)):
            lines_seen[place] = _0
        entries = _0
        line_open = False
        line_begin = line_extra = last_end = last_extra = at

        while True:
            # White space, line ends, and the end of the text, which is one.
            ends_line = True
            if at < end:
                byte = data[at]
                kind = bytes_[byte]
                after = at + _1
                if kind & layout.SEVERAL:
                    wide, after = kind_of(data, at, end, page_of, pages)
                    kind = np.uint32(wide & 0xFFFF)
                if kind & layout.SPACE:
                    extra += after - at - _1
                    ends_line = (kind & layout.LINE) != 0
                    if byte == _SPACE_BYTE:
                        if at > start and data[at - _1] | 32 == _M:
                            lorem += _is_lorem_ipsum(data, at, start, end)
                    elif byte == _RETURN and after < end and data[after] == _LINE_FEED:
                        after += _1
                    at = after
                    if not ends_line:
                        continue
                else:
                    ends_line = False
            if ends_line:
                finished = at >= end
                was_open = line_open
                if line_open:
                    line_open = False
                    length = np.int64((last_end - line_begin) - (last_extra - line_extra))
                    lines += 1
                    line_characters += length
                    short += length <= layout.SHORT_LINE
                    first, _ = kind_of(data, line_begin, last_end, page_of, pages)
                    bullets += (first & layout.BULLET) != 0
                    back = last_end - _1
                    while back > line_begin and data[back] & 0xC0 == 0x80 and last_end - back < _4:
                        back -= _1
                    final, _ = kind_of(data, back, last_end, page_of, pages)
                    closed = (final & layout.TERMINAL) != 0
                    punctuated += closed
                    sentences += not closed
                    if last_end - line_begin >= _3:
                        third = last_end - _3
                        dots = data[third] == _DOT and data[third + _1] == _DOT and data[third + _2] == _DOT
                        one = data[third] == 0xE2 and data[third + _1] == 0x80 and data[third + _2] == 0xA6
                        ellipsis_lines += dots or one
                    if of_lines:
                        if (entries + _2) << _1 > mask:
                            lines_seen, spare = wider(lines_seen, mask, spare), lines_seen
                            mask = (mask << _1) | _1
                        hashed = hash_of(data, line_begin, last_end)
                        if add_hash(lines_seen, mask, hashed):
                            entries += _1
                            distinct_lines += 1
                            distinct_line_characters += length
                        group_hash = mix(group_hash + hashed * _PARAGRAPH)
                        group_characters += length + (group > 0)
                        group += 1
                if group and (finished or not was_open):
                    paragraphs += 1
                    paragraph_characters += group_characters
                    if add_hash(lines_seen, mask, group_hash | _1):
                        entries += _1
                        distinct_paragraphs += 1
                        distinct_paragraph_characters += group_characters
                    group = group_characters = 0
                    group_hash = _0
                if finished:
                    break
                continue

            # A run of non-white space.
            if not line_open:
                line_open = True
                line_begin, line_extra = at, extra
            begin, begin_extra = at, extra
            left = right = at
            left_extra = right_extra = extra
            solid = False
            seen = np.uint32(0)
            while at < end:
                kind = bytes_[data[at]]
                if kind & layout.ALNUM:
                    if not solid:
                        solid = True
                        left, left_extra = at, extra
                    seen |= kind
                    at += max(_1, _letters(data, at, end))
                    right, right_extra = at, extra
                    continue
                if kind & layout.SPACE:
                    break
                if kind & layout.SEVERAL:
                    code, after = decode(data, at, end)
                    entry = pages[page_of[code >> _7], code & _127]
                    kind = np.uint32(entry & 0xFFFF)
                    if kind & layout.SPACE:
                        break
                    seen |= kind
                    before = extra
                    extra += after - at - _1
                    if not kind & layout.EDGE:
                        if not solid:
                            solid = True
                            left, left_extra = at, before
                        right, right_extra = after, extra
                    elif code == _ELLIPSIS:
                        one_more = at >= start + _3 and data[at - _3] == 0xE2 and data[at - _2] == 0x80
                        ellipses += not (one_more and data[at - _1] == 0xA6)
                    sentences += (kind & layout.STOP) != 0
                    at = after
                    continue
                byte = data[at]
                if byte == _DOT:
                    if at >= start + _2 and data[at - _1] == _DOT and data[at - _2] == _DOT:
                        ellipses += not (at >= start + _3 and data[at - _3] == _DOT)
                elif byte == _NUMBER_SIGN:
                    hash_signs += 1
                elif byte == _CURLY_BRACKET:
                    brackets += 1
                at += _1
                if not kind & layout.EDGE:
                    if not solid:
                        solid = True
                        left, left_extra = at - _1, extra
                    right, right_extra = at, extra
            last_end, last_extra = at, extra
            if right != at or not solid:
                kind = bytes_[data[at - _1]]
                if kind & (layout.ENDER | layout.CLOSER | layout.SEVERAL):
                    sentences += _ends_sentence(data, begin, at, page_of, pages)

            mixed = (seen & layout.UNSPACED) != 0
            if not mixed and not seen & layout.ALNUM:
                symbols += 1
                continue
            cursor, cursor_extra = begin, begin_extra
            while True:
                if mixed:
                    left, right, left_extra, right_extra, wide = next_piece(
                        data, cursor, at, cursor_extra, page_of, pages
                    )
                    cursor, cursor_extra = right, right_extra
                    seen = np.uint32(wide & 0xFFFF)
                    if not seen:
                        break
                length = np.int64((right - left) - (right_extra - left_extra))
                if seen & layout.EAST:
                    eastern += 1
                elif seen & layout.SOUTH_EAST:
                    south_eastern += 1
                else:
                    spaced += 1
                    byte = data[left]
                    initial = bytes_[byte]
                    if byte < 128:
                        spaced_characters += length
                    else:
                        spaced_characters += _read_length(data, left, right, length, page_of, pages)
                        wide, _ = kind_of(data, left, right, page_of, pages)
                        initial = np.uint32(wide & 0xFFFF)
                    if seen & layout.ALPHA:
                        alphabetic += 1
                        if initial & layout.LATIN:
                            latin += 1
                            word = _function_word(data, left, right, length, page_of, pages, function_keys, by_function)
                            if word >= 0 and function_seen[word] != text:
                                function_seen[word] = text
                                for number in range(function_languages[word], function_languages[word + 1]):
                                    language = languages[number]
                                    found[language] += 1
                                    function_words = max(function_words, found[language])
                if units < room:
                    hashes[units] = hash_of(data, left, right)
                    reached[units + 1] = reached[units] + length
                units += 1
                if not mixed:
                    break

        row = out[text]
        row[layout.CHARACTERS] = np.int64(end - start - extra)
        row[layout.UNITS], row[layout.SPACED], row[layout.SPACED_CHARACTERS] = units, spaced, spaced_characters
        row[layout.ALPHABETIC], row[layout.SYMBOLS], row[layout.LATIN_WORDS] = alphabetic, symbols, latin
        row[layout.FUNCTION_WORDS] = function_words
        row[layout.EASTERN], row[layout.SOUTH_EASTERN] = eastern, south_eastern
        row[layout.HASHES], row[layout.ELLIPSES], row[layout.CURLY_BRACKETS] = hash_signs, ellipses, brackets
        row[layout.LOREM_IPSUM], row[layout.SENTENCES] = lorem, sentences
        row[layout.LINES], row[layout.BULLET_LINES], row[layout.ELLIPSIS_LINES] = lines, bullets, ellipsis_lines
        row[layout.PUNCTUATED_LINES], row[layout.SHORT_LINES], row[layout.LINE_CHARACTERS] = (
            punctuated,
            short,
            line_characters,
        )
        row[layout.DISTINCT_LINES], row[layout.DISTINCT_LINE_CHARACTERS] = distinct_lines, distinct_line_characters
        row[layout.PARAGRAPHS], row[layout.PARAGRAPH_CHARACTERS] = paragraphs, paragraph_characters
        row[layout.DISTINCT_PARAGRAPHS] = distinct_paragraphs
        row[layout.DISTINCT_PARAGRAPH_CHARACTERS] = distinct_paragraph_characters
        if of_ngrams:
            per_word = 1
            if eastern + south_eastern > spaced:
                per_word = 2 if eastern > south_eastern else 5
            repetition(
                hashes,
                reached,
                min(units, layout.UNITS_MEASURED),
                per_word,
                keys,
                places,
                classes,
                counts,
                ngrams_seen,
                table,
                numbers,
                once,
                again,
                row[layout.NGRAMS :],
            )
