"""Open containers while a page is read: what a start tag closes, what an end tag closes, what a new one inherits.

Not the tree construction of the HTML Standard, which moves text about (misnested formatting, foster parents) and takes quadratic
time on pages that are built for it; only the rules that decide where a block belongs. Searches are bounded, so time is linear.
"""

from __future__ import annotations

from typing import Any

from corpusmill.stages.kernels import inner
from corpusmill.stages.kernels.html_layout import (
    A_HIDDEN,
    A_SIGNATURE,
    C_BITS,
    C_CATEGORIES,
    C_DEPTH,
    C_ITEMS,
    C_OWN_CATEGORIES,
    C_PARENT,
    C_PATH,
    C_SIGNATURE,
    C_TAG,
    S_CONTAINERS,
    S_CURRENT,
    S_DEPTH,
    S_LINK,
    S_LINK_DEPTH,
    S_VERBATIM,
    W_LEAST,
    W_MOST,
    W_PATH_LEAST,
    W_PATH_MOST,
    W_PATH_SUM,
    W_SUM,
)
from corpusmill.stages.kernels.html_tags import (
    CELL,
    CLOSES_P,
    CUSTOM,
    HASH_MASK,
    HIDDEN,
    SPECIAL,
    TAG_BITS,
    TAG_FLAGS,
    TAGS,
)

__all__ = ["close_container", "close_implied", "open_container"]

(
    _P,
    _LI,
    _DT,
    _DD,
    _TR,
    _TD,
    _TH,
    _TABLE,
    _TBODY,
    _THEAD,
    _TFOOT,
    _OPTION,
    _BUTTON,
    _BODY,
    _HTML,
    _PRE,
    _LISTING,
    _H1,
    _H6,
) = (
    TAGS[name]
    for name in [
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "table",
        "tbody",
        "thead",
        "tfoot",
        "option",
        "button",
        "body",
        "html",
        "pre",
        "listing",
        "h1",
        "h6",
    ]
)
assert _H6 - _H1 == 5

_REACH = 300  # levels that an end tag looks for its start
_IMPLIED_REACH = 100


@inner
def _close_to(containers: Any, stack: Any, opened: Any, state: Any, place: int) -> None:
    """Close the open containers from *place* of the stack on."""
    depth = state[S_DEPTH]
    while depth >= place:
        tag = containers[stack[depth], C_TAG]
        opened[tag] -= 1
        if tag == _PRE or tag == _LISTING:
            state[S_VERBATIM] -= 1
        depth -= 1
    state[S_DEPTH] = depth
    state[S_CURRENT] = stack[depth]
    if depth < state[S_LINK_DEPTH]:
        state[S_LINK] = 0


@inner
def close_container(tag: int, containers: Any, stack: Any, opened: Any, state: Any) -> None:
    """Obey an end tag: close to the nearest open container of its name. Table cells are a wall for what is not of a table."""
    heading = _H1 <= tag <= _H6
    if (tag == _BODY or tag == _HTML) or (opened[tag] == 0 and not heading):
        return
    depth = state[S_DEPTH]
    of_table = (
        tag == _TD or tag == _TH or tag == _TR or tag == _TABLE or tag == _TBODY or tag == _THEAD or tag == _TFOOT
    )
    for place in range(depth, max(0, depth - _REACH), -1):
        other = containers[stack[place], C_TAG]
        if other == tag or (heading and _H1 <= other <= _H6):
            _close_to(containers, stack, opened, state, place)
            return
        if (of_table and other == _TABLE) or (not of_table and TAG_FLAGS[other] & CELL):
            return


@inner
def close_implied(tag: int, containers: Any, stack: Any, opened: Any, state: Any) -> None:
    """Close what the start of a container closes: an open paragraph, list item, cell, row, option, heading."""
    depth = state[S_DEPTH]
    if depth == 0:
        return
    close = -1
    top = containers[stack[depth], C_TAG]
    if TAG_FLAGS[tag] & CLOSES_P:
        if top == _P:
            close = depth
        elif depth > 1 and containers[stack[depth - 1], C_TAG] == _P and top != _BUTTON:
            close = depth - 1
        elif _H1 <= tag <= _H6 and _H1 <= top <= _H6:
            close = depth
    lowest = max(0, depth - _IMPLIED_REACH)
    if tag == _LI or tag == _DT or tag == _DD:
        for place in range(depth if close < 0 else close - 1, lowest, -1):
            other = containers[stack[place], C_TAG]
            if other == tag or (tag != _LI and (other == _DT or other == _DD)):
                close = place
                break
            if TAG_FLAGS[other] & SPECIAL:
                break
    elif tag == _TR or tag == _TD or tag == _TH or tag == _TBODY or tag == _THEAD or tag == _TFOOT:
        cell = tag == _TD or tag == _TH
        for place in range(depth, lowest, -1):
            other = containers[stack[place], C_TAG]
            if other == _TABLE or (cell and other == _TR):
                break
            if cell:
                found = other == _TD or other == _TH
            elif tag == _TR:
                found = other == _TR
            else:
                found = other == _TBODY or other == _THEAD or other == _TFOOT
            if found:
                close = place
                break
    elif tag == _OPTION and top == _OPTION:
        close = depth
    if close > 0:
        _close_to(containers, stack, opened, state, close)


@inner
def open_container(
    tag: int, name: int, containers: Any, weights: Any, stack: Any, opened: Any, attributes: Any, state: Any
) -> None:
    """Open the container whose row was begun for its attributes; *name* is the hash of its tag."""
    number, parent = state[S_CONTAINERS], state[S_CURRENT]
    row, above = containers[number], containers[parent]
    row[C_PARENT], row[C_TAG], row[C_DEPTH] = parent, tag, above[C_DEPTH] + 1
    row[C_BITS] = above[C_BITS] | TAG_BITS[tag] | (HIDDEN if attributes[A_HIDDEN] else 0)
    row[C_CATEGORIES] = above[C_CATEGORIES] | row[C_OWN_CATEGORIES]
    row[C_SIGNATURE] = (((name if tag == CUSTOM else 0) + attributes[A_SIGNATURE]) * 31 + tag) & HASH_MASK
    row[C_PATH] = (above[C_PATH] * 1000003 + row[C_SIGNATURE] + 12345) & HASH_MASK
    row[C_ITEMS] = above[C_ITEMS] + (tag == _LI)
    own, inherited = weights[number], weights[parent]
    own[W_PATH_SUM] = inherited[W_PATH_SUM] + own[W_SUM]
    own[W_PATH_LEAST] = min(inherited[W_PATH_LEAST], own[W_LEAST])
    own[W_PATH_MOST] = max(inherited[W_PATH_MOST], own[W_MOST])
    state[S_CONTAINERS] = number + 1
    state[S_DEPTH] += 1
    stack[state[S_DEPTH]] = number
    state[S_CURRENT] = number
    opened[tag] += 1
    if tag == _PRE or tag == _LISTING:
        state[S_VERBATIM] += 1
