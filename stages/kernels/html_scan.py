"""Where things end in HTML: bytes, names, attributes, comments, scripts. After the tokenizer of the HTML Standard (WHATWG).

Two endings differ from it on purpose, because a corpus wants the text of a broken page and a browser need not show it: a quoted
value and a comment that never end, end at the next `>` or tag. Everything takes linear time in all: a search that fails once is
never made again (see `html_tokens.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inner
from corpusmill.stages.kernels.html_tags import (
    BLANK,
    CLASSES,
    HASH_FACTOR,
    HASH_MASK,
    HASH_START,
    RAW_NAMES,
    TAG_KEYS,
    TAG_VALUES,
    TAGS,
)
from corpusmill.stages.kernels.machine import equal_bytes, lowest_bit

__all__ = ["comment_end", "find_byte", "hash_lower", "look_up", "next_attribute", "raw_end", "tag_end", "tag_number"]

_LESS, _MORE, _SLASH, _DASH, _EQUALS = (np.uint8(ord(mark)) for mark in "<>/-=")
_QUOTE, _APOSTROPHE, _EXCLAMATION = (np.uint8(ord(mark)) for mark in "\"'!")
_SCRIPT = TAGS["script"]


@inner
def find_byte(page: Any, at: int, end: int, byte: Any) -> int:
    """Return the first place from *at* on that holds *byte*, or *end*."""
    while at + 32 <= end:
        found = equal_bytes(page, at, byte)
        if found:
            return at + np.int64(lowest_bit(found))
        at += 32
    while at < end and page[at] != byte:
        at += 1
    return at


@inner
def hash_lower(page: Any, begin: int, end: int) -> int:
    """Return the hash of a stretch of the page in lower case."""
    hashed = HASH_START
    for at in range(begin, end):
        byte = np.int64(page[at])
        if 65 <= byte <= 90:
            byte |= 32
        hashed = ((hashed ^ byte) * HASH_FACTOR) & HASH_MASK
    return hashed


@inner
def look_up(keys: Any, values: Any, hashed: int) -> int:
    """Return the value of a hash in a table of `html_tags.hash_table`, or 0."""
    place = hashed & (keys.size - 1)
    while keys[place] != 0:
        if keys[place] == hashed:
            return values[place]
        place = (place + 1) & (keys.size - 1)
    return 0


@inner
def tag_number(hashed: int) -> int:
    """Return the number of a tag by the hash of its name; 0 is any that does not matter."""
    return look_up(TAG_KEYS, TAG_VALUES, hashed)


@inner
def next_attribute(page: Any, at: int, end: int) -> tuple[int, int, int, int, int]:
    """Read an attribute: (where to go on, begin and end of its name, begin and end of its value).

    An empty name says that the tag ends: go on behind its `>`, or -1 where the page ends first.
    """
    while at < end and (CLASSES[page[at]] == BLANK or page[at] == _SLASH):
        at += 1
    if at >= end:
        return -1, at, at, at, at
    if page[at] == _MORE:
        return at + 1, at, at, at, at
    name = at
    while at < end:
        byte = page[at]
        if (byte == _MORE or byte == _SLASH) or CLASSES[byte] == BLANK or (byte == _EQUALS and at > name):
            break
        at += 1
    name_end = at
    while at < end and CLASSES[page[at]] == BLANK:
        at += 1
    value = value_end = at
    if at < end and page[at] == _EQUALS:
        at += 1
        while at < end and CLASSES[page[at]] == BLANK:
            at += 1
        if at >= end:
            return -1, name, name, at, at
        quote = page[at]
        if quote == _QUOTE or quote == _APOSTROPHE:
            value = at + 1
            value_end = find_byte(page, value, end, quote)
            at = value_end + 1
            if value_end >= end:  # fails at most once for each kind of quote: there is none behind
                value_end = at = find_byte(page, value, end, _MORE)
                if at >= end:
                    return -1, name, name, at, at
        else:
            value = at
            while at < end and page[at] != _MORE and CLASSES[page[at]] != BLANK:
                at += 1
            value_end = at
    return at, name, name_end, value, value_end


@inner
def tag_end(page: Any, at: int, end: int) -> int:
    """Return where to go on behind the `>` of a tag whose attributes nobody wants, or -1 where the page ends first."""
    while True:
        at, name, name_end, _, _ = next_attribute(page, at, end)
        if name == name_end:
            return at


@inner
def comment_end(page: Any, at: int, end: int) -> int:
    """Return where to go on behind the comment whose `<!--` is at *at*, or -1 if it never ends."""
    at += 4
    if at < end and page[at] == _MORE:
        return at + 1
    if at + 1 < end and page[at] == _DASH and page[at + 1] == _MORE:
        return at + 2
    while True:
        at = find_byte(page, at, end, _DASH)
        if at + 2 >= end:
            return -1
        if page[at + 1] == _DASH:
            if page[at + 2] == _MORE:
                return at + 3
            if page[at + 2] == _EXCLAMATION and at + 3 < end and page[at + 3] == _MORE:
                return at + 4
        at += 1


@inner
def _behind_name(page: Any, at: int, end: int, name: Any) -> int:
    """Return where a tag's name that must be *name* ends, or -1 if it is another."""
    place = 0
    while name[place] != 0:
        if at >= end or page[at] | 32 != name[place]:
            return -1
        at += 1
        place += 1
    if at < end and page[at] != _MORE and page[at] != _SLASH and CLASSES[page[at]] != BLANK:
        return -1
    return at


@inner
def raw_end(page: Any, at: int, end: int, tag: int) -> int:
    """Return the place of the `<` of the end tag of a raw element whose content begins at *at*, or *end* if there is none.

    A script within `<!--` may hold `<script>…</script>` (the "script data double escaped" states of the standard).
    """
    name = RAW_NAMES[tag]
    escaped = doubled = False
    while at < end:
        if not escaped:
            at = find_byte(page, at, end, _LESS)
            if at >= end:
                return end
        if page[at] != _LESS:
            if page[at] == _DASH and at + 2 < end and page[at + 1] == _DASH and page[at + 2] == _MORE:
                escaped = doubled = False
        elif at + 1 < end and page[at + 1] == _SLASH:
            if _behind_name(page, at + 2, end, name) >= 0:
                if not doubled:
                    return at
                doubled = False
        elif tag == _SCRIPT:
            if at + 3 < end and page[at + 1] == _EXCLAMATION and page[at + 2] == _DASH and page[at + 3] == _DASH:
                escaped = True
                at += 1  # `<!-->` opens and closes
            elif escaped and _behind_name(page, at + 1, end, name) >= 0:
                doubled = True
        at += 1
    return end
