"""A page as blocks of text in a tree of containers: one pass over its UTF-8 bytes, no DOM.

Building a DOM (lexbor) and walking it from Python takes as long as all of this with the model that judges the blocks. Text
is not copied and references are not decoded here: a block is a list of pieces of the page, counted once and written only if it is
kept (`html_render.py`).

What never ends must not swallow the page, nor be looked for twice: a skipped element (`<svg>`) that is still open at the end is
read again without skipping its name from there on; from the first comment without an end on, `<!--` ends before the next `<` or
behind the next `>`; from the first tag without an end on, tags end at their first `>`, whatever their quotes. Each happens
once a page, so time stays linear.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import bare_kernel, inner
from corpusmill.stages.kernels.html_attributes import (
    A_BLOCK,
    A_LINK,
    A_META,
    A_NOTHING,
    class_words,
    read_attributes,
    schema_types,
)
from corpusmill.stages.kernels.html_blocks import MOST_BLOCKS, add_piece, add_text, finish_block, title_words
from corpusmill.stages.kernels.html_layout import (
    A_CONTENT,
    A_HREF,
    A_HREF_END,
    A_JSON,
    A_PROPERTY,
    ATTRIBUTE_COLUMNS,
    BODY_MARK,
    BREAK,
    C_PARENT,
    C_TAG,
    CODE,
    CODE_END,
    CONTAINER_COLUMNS,
    D_NOSCRIPT,
    D_OPEN_GRAPH,
    D_SCHEMA,
    D_SCRIPTS,
    D_TIMES,
    HTML_MARK,
    JSON_MARK,
    LINK_END,
    LINK_MARK,
    M_BEGIN,
    M_END,
    M_KIND,
    META_MARK,
    RAW_TEXT,
    S_BLOCKS,
    S_BREAKS,
    S_CHARACTERS,
    S_CONTAINERS,
    S_DEPTH,
    S_ENDLESS_COMMENT,
    S_ENDLESS_TAG,
    S_HASH,
    S_HREF,
    S_HREF_END,
    S_LINK,
    S_LINK_DEPTH,
    S_LINK_NOTED,
    S_LINKS,
    S_MARKS,
    S_PENDING,
    S_TITLE_WORDS,
    S_VERBATIM,
    TEXT,
    TIME_MARK,
    TITLE_MARK,
    VERBATIM,
    WEIGHT_COLUMNS,
)
from corpusmill.stages.kernels.html_scan import (
    comment_end,
    find_byte,
    hash_lower,
    look_up,
    raw_end,
    tag_end,
    tag_number,
)
from corpusmill.stages.kernels.html_tags import (
    BLANK,
    BLOCK,
    CLASSES,
    CUSTOM,
    HASH_FACTOR,
    HASH_MASK,
    HASH_START,
    KEPT_RAW,
    NOTED,
    OPEN_GRAPH_TYPES,
    RAW,
    SKIPPED,
    TAG_FLAGS,
    TAGS,
    hash_name,
)
from corpusmill.stages.kernels.html_tree import close_container, close_implied, open_container

__all__ = ["MOST_CONTAINERS", "count_tags", "tokenize"]

MOST_CONTAINERS = 1 << 18
"""Containers of a page that are told apart: 30 MB of tables. Behind it, blocks belong to the last one that is open."""

_LESS, _MORE, _SLASH = (np.uint8(ord(mark)) for mark in "<>/")
_A, _BR, _HR, _TIME, _META, _LINK, _SCRIPT, _STYLE, _TITLE, _BODY, _HTML, _SVG, _PLAINTEXT = (
    TAGS[name]
    for name in [
        "a",
        "br",
        "hr",
        "time",
        "meta",
        "link",
        "script",
        "style",
        "title",
        "body",
        "html",
        "svg",
        "plaintext",
    ]
)
_NOSCRIPT = TAGS["noscript"]
_CODE, _KBD, _SAMP, _TT = (TAGS[name] for name in ["code", "kbd", "samp", "tt"])
_OG_TYPE = hash_name(b"og:type")
_PERMALINKS = np.array([hash_name(sign.encode()) for sign in ("#", "¶", "§", "🔗", "&para;", "&#182;", "&#xb6;")])
_OG_KEYS, _OG_VALUES = OPEN_GRAPH_TYPES
_LONGEST_TITLE = 2000
_CUT_TAG = (
    1000  # bytes without any `>` at the end of a page: more is text behind a stray `<`, less a tag that was cut off
)


@bare_kernel
def count_tags(page: Any) -> int:
    """Return how many `<` there are: as many pieces, blocks and containers there can be, and a few more."""
    count = 0
    for byte in page:
        count += byte == _LESS
    return count


@inner
def _mark(marks: Any, state: Any, kind: int, begin: int, end: int) -> None:
    """Note a place for metadata. The last eighth is for JSON-LD, which stands behind hundreds of links on some pages."""
    number = state[S_MARKS]
    room = marks.shape[0] if kind == JSON_MARK else marks.shape[0] - (marks.shape[0] >> 3)
    if number < room:
        marks[number, M_KIND], marks[number, M_BEGIN], marks[number, M_END] = kind, begin, end
        state[S_MARKS] = number + 1


@inner
def _declaration_end(page: Any, at: int, end: int, state: Any) -> int:
    """Return where to go on behind `<!…`, `<?…` or `</` that no letter follows."""
    if page[at + 1] == 33 and at + 3 < end and page[at + 2] == 45 and page[at + 3] == 45:
        if at < state[S_ENDLESS_COMMENT]:
            after = comment_end(page, at, end)
            if after >= 0:
                return after
            state[S_ENDLESS_COMMENT] = at
        at += 4
        while at < end and page[at] != _LESS and page[at] != _MORE:
            at += 1
        return at if at < end and page[at] == _LESS else at + 1
    return find_byte(page, at + 2, end, _MORE) + 1


@inner
def _leave_link(pieces: Any, state: Any) -> None:
    """End the part of a link that is in the block that is being read."""
    if state[S_LINK_NOTED]:
        add_piece(pieces, state, 0, 0, LINK_END)
        state[S_LINK_NOTED] = 0


@inner
def _boundary(page: Any, blocks: Any, pieces: Any, state: Any, words: Any) -> None:
    """End the block that is being read, or only its line where there are too many blocks."""
    if state[S_BLOCKS] < MOST_BLOCKS - 1:
        finish_block(page, blocks, pieces, state, words)
    elif state[S_CHARACTERS]:
        _leave_link(pieces, state)
        add_piece(pieces, state, 0, 0, BREAK)
        state[S_PENDING] = 2


@inner
def _inline(
    tag: int,
    closing: bool,
    begin: int,
    end: int,
    pieces: Any,
    marks: Any,
    facts: Any,
    attributes: Any,
    state: Any,
) -> None:
    """Note an inline tag in the block that is being read."""
    if tag == _BR:
        state[S_PENDING] = 2
        state[S_BREAKS] += 1
        add_piece(pieces, state, begin, end, BREAK)
    elif tag == _A:
        _leave_link(pieces, state)
        state[S_LINK] = not closing and attributes[A_HREF] > 0
        if state[S_LINK]:
            state[S_LINK_DEPTH] = state[S_DEPTH]
            state[S_LINKS] += 1
            state[S_HREF], state[S_HREF_END] = attributes[A_HREF], attributes[A_HREF_END]
    elif tag == _CODE or tag == _KBD or tag == _SAMP or tag == _TT:
        add_piece(pieces, state, begin, end, CODE_END if closing else CODE)
    elif not closing:
        if tag == _TIME:
            facts[D_TIMES] += 1
            _mark(marks, state, TIME_MARK, begin, end)
        elif tag == _LINK:
            _mark(marks, state, LINK_MARK, begin, end)
        elif tag == _META:
            _mark(marks, state, META_MARK, begin, end)
            if attributes[A_PROPERTY] == _OG_TYPE and attributes[A_CONTENT] and facts[D_OPEN_GRAPH] == 0:
                known = look_up(_OG_KEYS, _OG_VALUES, attributes[A_CONTENT])
                facts[D_OPEN_GRAPH] = known or 4


@inner
def _is_permalink(page: Any, at: int, finish: int) -> bool:
    """Return whether all the text of a link is a sign (hash, pilcrow, section, chain) by which headings link to themselves.

    Where such a link stands in a text, as the `#` of an index does, it is not missed.
    """
    if finish - at > 6 or finish + 3 >= page.size or page[finish + 1] != _SLASH or page[finish + 2] | 32 != 97:
        return False
    hashed = hash_lower(page, at, finish)
    for sign in range(_PERMALINKS.size):
        if _PERMALINKS[sign] == hashed:
            return page[finish + 3] == _MORE
    return False


@inner
def _raw_element(
    page: Any,
    tag: int,
    at: int,
    end: int,
    marks: Any,
    facts: Any,
    attributes: Any,
    endless: Any,
    state: Any,
    words: Any,
) -> int:
    """Return where the content of a raw element ends, or *at* where it never does and is read as markup."""
    finish = end if at >= endless[tag] else raw_end(page, at, end, tag)
    if tag == _SCRIPT:
        facts[D_SCRIPTS] += 1
        if attributes[A_JSON]:
            facts[D_SCHEMA] |= schema_types(page, at, finish)
            _mark(marks, state, JSON_MARK, at, finish)
    elif tag == _TITLE and not state[S_TITLE_WORDS] and finish < end and finish - at < _LONGEST_TITLE:
        state[S_TITLE_WORDS] = title_words(page, at, finish, words)
        _mark(marks, state, TITLE_MARK, at, finish)
    if finish >= end and tag != _SCRIPT and tag != _STYLE:
        endless[tag] = min(endless[tag], at)
        return at
    return finish


@bare_kernel
def tokenize(
    page: Any,
    known: Any,
    references: Any,
    blocks: Any,
    containers: Any,
    weights: Any,
    pieces: Any,
    marks: Any,
    seen: Any,
    facts: Any,
    unskipped: Any,
    state: Any,
    stack: Any,
    opened: Any,
    endless: Any,
    attributes: Any,
    words: Any,
) -> None:
    """Fill *blocks*, *containers*, *weights*, *pieces*, *marks* and *facts* with what a page holds; see `html_layout.py`.

    *known* are the class words (hashes, weights, categories), *references* the character references. In *seen* every class word
    is listed that has room there. *unskipped* says for each tag from which place of the page on its content is shown although
    the tag is one that is skipped. *state*, all 0 at first, has the numbers of rows at its end. Scratch memory: *stack* (a place
    more than containers), *opened* and *endless* (0 for each tag), *attributes*, and *words* of the title.
    """
    end = page.size
    for number in range(endless.size):
        endless[number] = end + 1
    tables = containers, weights, seen
    state[S_HASH] = HASH_START
    state[S_ENDLESS_COMMENT] = state[S_ENDLESS_TAG] = end
    for column in range(CONTAINER_COLUMNS):
        containers[0, column] = 0
    containers[0, C_PARENT] = -1
    containers[0, C_TAG] = _BODY
    for column in range(WEIGHT_COLUMNS):
        weights[0, column] = 0
    stack[0] = 0
    state[S_CONTAINERS] = 1
    skipped = nested = skipped_from = 0
    raw_until = 0
    at = 0
    while True:
        if at >= end:
            if not skipped:
                break
            unskipped[skipped] = skipped_from  # it never ended
            at, skipped = skipped_from, 0
            continue
        following = page[at + 1] if at + 1 < end else np.uint8(0)
        letter = 97 <= following | 32 <= 122
        if at < raw_until or page[at] != _LESS or not (letter or following == 47 or following == 33 or following == 63):
            finish = raw_until if at < raw_until else find_byte(page, at + 1, end, _LESS)
            if not skipped and not (state[S_LINK] and not state[S_LINK_NOTED] and _is_permalink(page, at, finish)):
                kind = RAW_TEXT if at < raw_until else VERBATIM if state[S_VERBATIM] else TEXT
                add_text(page, at, finish, kind, pieces, state, references)
            elif skipped == _NOSCRIPT:
                for place in range(at, finish):
                    facts[D_NOSCRIPT] += CLASSES[page[place]] != BLANK
            at = finish
            continue
        begin = at
        closing = following == 47
        if closing:
            letter = at + 2 < end and 97 <= page[at + 2] | 32 <= 122
        if not letter:
            at = _declaration_end(page, at, end, state)
            if at > end and end - begin > _CUT_TAG and not skipped:
                add_text(page, begin, end, TEXT, pieces, state, references)
            continue
        # The name.
        at += 2 if closing else 1
        name_begin, name, dashed = at, HASH_START, False
        while at < end:
            byte = np.int64(page[at])
            if byte == 62 or byte == 47 or CLASSES[byte] == BLANK:
                break
            dashed |= byte == 45
            if 65 <= byte <= 90:
                byte |= 32
            name = ((name ^ byte) * HASH_FACTOR) & HASH_MASK
            at += 1
        tag = tag_number(name)
        if tag == 0 and dashed:
            tag = CUSTOM
        flags = TAG_FLAGS[tag]
        shown = begin >= unskipped[tag]
        block = flags & BLOCK != 0
        container = state[S_CONTAINERS]
        opens = (
            block
            and not closing
            and not skipped
            and tag != _BODY
            and tag != _HTML
            and tag != _HR
            and (flags & (RAW | SKIPPED) == 0 or shown or flags & KEPT_RAW != 0)
            and container < containers.shape[0]
        )
        wanted = A_NOTHING
        if opens:
            wanted = A_BLOCK
            for column in range(CONTAINER_COLUMNS):
                containers[container, column] = 0
            for column in range(WEIGHT_COLUMNS):
                weights[container, column] = 0
            for column in range(ATTRIBUTE_COLUMNS):
                attributes[column] = 0
            if tag == CUSTOM:
                class_words(page, name_begin, at, container, tables, known, state)
        elif not closing and not skipped and (tag == _A or tag == _META or tag == _SCRIPT):
            wanted = A_LINK if tag == _A else A_META
            for column in range(ATTRIBUTE_COLUMNS):
                attributes[column] = 0
        name_end = at
        limit = find_byte(page, at, end, _MORE) + 1 if begin >= state[S_ENDLESS_TAG] else end
        limit = min(limit, end)
        if at < end and page[at] == _MORE:
            at += 1
        elif wanted == A_NOTHING:
            at = tag_end(page, at, limit)
        else:
            at = read_attributes(page, at, limit, wanted, container, tables, known, attributes, state)
        closed = at > 1 and page[at - 2] == 47
        if at < 0:
            if begin < state[S_ENDLESS_TAG]:
                state[S_ENDLESS_TAG] = begin
                at = begin  # once more, without its quotes
                continue
            # No `>` at all any more, so no tag: the rest is text or was cut off.
            if end - begin > _CUT_TAG and not skipped:
                add_text(page, name_end if closing else begin, end, TEXT, pieces, state, references)
            at = end
            continue
        if skipped:
            if tag == skipped:
                if closing:
                    nested -= 1
                    if nested == 0:
                        skipped = 0
                elif not closed:
                    nested += 1
            if not closing and flags & RAW and tag != _TITLE and at < endless[tag]:
                finish = raw_end(page, at, end, tag)
                if finish < end:
                    at = finish
                else:
                    endless[tag] = at
            continue
        if block or (tag == _BR and not closing and state[S_PENDING] == 2 and state[S_CHARACTERS]):
            _boundary(page, blocks, pieces, state, words)
        if closing and tag != _BR and tag != _A and block:
            close_container(tag, containers, stack, opened, state)
        elif flags & RAW and not closing:
            finish = _raw_element(page, tag, at, end, marks, facts, attributes, endless, state, words)
            if flags & KEPT_RAW:
                raw_until = finish
            else:
                at = finish
        elif flags & SKIPPED and not shown:
            if not closing and not (closed and tag == _SVG):
                skipped, nested, skipped_from = tag, 1, at
        elif opens:
            close_implied(tag, containers, stack, opened, state)
            open_container(tag, name, containers, weights, stack, opened, attributes, state)
            if tag == _PLAINTEXT:
                raw_until = end
        elif tag == _HTML or tag == _BODY:
            if not closing:
                _mark(marks, state, HTML_MARK if tag == _HTML else BODY_MARK, begin, at)
        elif flags & NOTED:
            _inline(tag, closing, begin, at, pieces, marks, facts, attributes, state)
    finish_block(page, blocks, pieces, state, words)
