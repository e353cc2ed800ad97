"""Attributes of a tag: the words of its class and id with their learned weights, whether it is hidden, where it leads."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inner
from corpusmill.stages.kernels.html_layout import (
    A_CONTENT,
    A_HIDDEN,
    A_HREF,
    A_HREF_END,
    A_JSON,
    A_PROPERTY,
    A_SIGNATURE,
    C_OWN_CATEGORIES,
    S_CLASS_WORDS,
    W_LEAST,
    W_MOST,
    W_SUM,
)
from corpusmill.stages.kernels.html_scan import find_byte, hash_lower, look_up, next_attribute
from corpusmill.stages.kernels.html_tags import HASH_FACTOR, HASH_MASK, HASH_START, SCHEMA_TYPES, hash_name

__all__ = ["A_BLOCK", "A_LINK", "A_META", "A_NOTHING", "class_words", "read_attributes", "schema_types"]

A_NOTHING, A_BLOCK, A_LINK, A_META = range(4)
"""What is wanted of a tag's attributes."""

_CLASS, _ID, _ROLE, _PART, _HIDDEN, _ARIA_HIDDEN, _STYLE, _TYPE, _PROPERTY, _NAME, _CONTENT, _HREF = (
    hash_name(name.encode())
    for name in [
        "class",
        "id",
        "role",
        "itemprop",
        "hidden",
        "aria-hidden",
        "style",
        "type",
        "property",
        "name",
        "content",
        "href",
    ]
)
_LENGTHS = np.array(
    [
        0,
        sum(
            1 << length
            for length in {len(name) for name in ["class", "id", "role", "itemprop", "hidden", "aria-hidden"]}
        ),
        1 << len("href"),
        sum(1 << length for length in {len(name) for name in ["type", "property", "name", "content"]}),
    ],
    np.int64,
)
"""The lengths of the names that are wanted, as bits."""
_DISPLAY, _VISIBILITY, _NONE, _IS_HIDDEN, _TRUE = (
    hash_name(name) for name in (b"display", b"visibility", b"none", b"hidden", b"true")
)
_AT, _QUOTE = np.uint8(ord("@")), np.uint8(ord('"'))
_LONGEST_CLASS = 400  # bytes of an attribute in which words are looked for
_LONGEST_WORD, _SHORTEST_WORD = 24, 2
_SCHEMA_KEYS, _SCHEMA_VALUES = SCHEMA_TYPES


@inner
def _weigh(container: int, word: int, begin: int, end: int, tables: Any, known: Any, state: Any) -> None:
    """Add a class word to its container, and to the list of those seen if that has room."""
    containers, weights, seen = tables
    keys, word_weights, categories = known
    place = word & (keys.size - 1)
    while keys[place] != 0:
        if keys[place] == word:
            weight = word_weights[place]
            weights[container, W_SUM] += weight
            weights[container, W_LEAST] = min(weights[container, W_LEAST], weight)
            weights[container, W_MOST] = max(weights[container, W_MOST], weight)
            containers[container, C_OWN_CATEGORIES] |= categories[place]
            break
        place = (place + 1) & (keys.size - 1)
    number = state[S_CLASS_WORDS]
    if number < seen.shape[0]:
        seen[number, 0], seen[number, 1], seen[number, 2] = container, begin, end
        state[S_CLASS_WORDS] = number + 1


@inner
def class_words(page: Any, begin: int, end: int, container: int, tables: Any, known: Any, state: Any) -> None:
    """Add the words of a value to a container: runs of ASCII letters, cut where a capital follows a small letter."""
    hashed, first = HASH_START, begin
    for at in range(begin, end + 1):
        byte = page[at] | 32 if at < end else 0
        letter = 97 <= byte <= 122
        capital = letter and page[at] < 97
        if at > first and (not letter or (capital and page[at - 1] >= 97)):
            if _SHORTEST_WORD <= at - first <= _LONGEST_WORD:
                _weigh(container, hashed, first, at, tables, known, state)
            hashed, first = HASH_START, at
        if letter:
            hashed = ((hashed ^ byte) * HASH_FACTOR) & HASH_MASK
        else:
            first = at + 1


@inner
def _hides(page: Any, begin: int, end: int) -> bool:
    """Return whether a style says `display: none` or `visibility: hidden`."""
    at = begin
    while at < end:
        while at < end and not 97 <= page[at] | 32 <= 122:
            at += 1
        name = at
        while at < end and page[at] != 58 and page[at] != 59 and page[at] != 32:
            at += 1
        name_end = at
        while at < end and (page[at] == 32 or page[at] == 58):
            at += 1
        value = at
        while at < end and (97 <= page[at] | 32 <= 122):
            at += 1
        if name_end - name == 7 and at - value == 4:
            if hash_lower(page, name, name_end) == _DISPLAY and hash_lower(page, value, at) == _NONE:
                return True
        elif (
            name_end - name == 10
            and at - value == 6
            and hash_lower(page, name, name_end) == _VISIBILITY
            and hash_lower(page, value, at) == _IS_HIDDEN
        ):
            return True
        while at < end and page[at] != 59:
            at += 1
    return False


@inner
def _class_signature(page: Any, begin: int, end: int) -> int:
    """Return the hash of a class without its digits, which number the copies of a template."""
    hashed = HASH_START
    for at in range(begin, end):
        byte = page[at]
        if not 48 <= byte <= 57:
            hashed = ((hashed ^ byte) * HASH_FACTOR) & HASH_MASK
    return hashed


@inner
def read_attributes(
    page: Any, at: int, end: int, wanted: int, container: int, tables: Any, known: Any, attributes: Any, state: Any
) -> int:
    """Read the attributes of a tag from *at* on and note in *attributes* what is *wanted*; return where to go on, or -1."""
    while True:
        at, name, name_end, begin, finish = next_attribute(page, at, end)
        if name == name_end:
            return at
        if not _LENGTHS[wanted] >> min(name_end - name, 31) & 1:
            continue  # most are of another length: `href`, `target`, `data-…`
        what = hash_lower(page, name, name_end)
        if wanted == A_BLOCK:
            if what == _CLASS or what == _ID or what == _ROLE or what == _PART:
                if what == _CLASS:
                    attributes[A_SIGNATURE] = _class_signature(page, begin, finish)
                class_words(page, begin, min(finish, begin + _LONGEST_CLASS), container, tables, known, state)
            elif what == _HIDDEN:
                attributes[A_HIDDEN] = 1
            elif what == _ARIA_HIDDEN:
                attributes[A_HIDDEN] |= hash_lower(page, begin, min(finish, begin + 5)) == _TRUE
            elif what == _STYLE and _hides(page, begin, min(finish, begin + _LONGEST_CLASS)):
                attributes[A_HIDDEN] = 1
        elif wanted == A_LINK:
            if what == _HREF and not attributes[A_HREF]:  # the first of two counts
                attributes[A_HREF], attributes[A_HREF_END] = begin, finish
        elif finish - begin < 60:
            if what == _TYPE:
                for place in range(begin, finish):
                    attributes[A_JSON] |= page[place] == 43  # application/ld+json
            elif what == _PROPERTY or what == _NAME:
                attributes[A_PROPERTY] = hash_lower(page, begin, finish)
            elif what == _CONTENT:
                attributes[A_CONTENT] = hash_lower(page, begin, finish)


@inner
def schema_types(page: Any, at: int, end: int) -> int:
    """Return the bits of the types in the `"@type"` values of a JSON-LD script."""
    found = 0
    while True:
        at = find_byte(page, at, end, _AT)
        if at + 7 >= end:
            return found
        at += 1
        if page[at] != 116 or page[at + 1] != 121 or page[at + 2] != 112 or page[at + 3] != 101 or page[at + 4] != 34:
            continue
        at += 5
        limit, several = min(end, at + 200), False
        while at < limit:
            byte = page[at]
            if byte == 34:
                begin = at + 1
                at = find_byte(page, begin, limit, _QUOTE)
                found |= look_up(_SCHEMA_KEYS, _SCHEMA_VALUES, hash_lower(page, begin, at))
                if not several:
                    break
            elif byte == 91:
                several = True
            elif byte != 58 and byte != 44 and byte > 32:
                break
            at += 1
