"""From the scores of blocks to the ones that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inner, kernel
from corpusmill.stages.kernels.html_layout import (
    B_BYTES,
    B_CHARACTERS,
    B_CONTAINER,
    B_DIGITS,
    B_HASH,
    B_LINKED,
    B_PIECE,
    B_PIECES,
    C_CATEGORIES,
    C_PARENT,
    C_TAG,
    P_BEGIN,
    P_END,
    P_KIND,
    RAW_TEXT,
)
from corpusmill.stages.kernels.html_tags import COMMENTS, TAGS

__all__ = ["complete", "complete_rows", "drop_tail", "select"]

_STEPS = 64
_DOUBTFUL, _CLEAR = 0.65, 0.88  # expected F1
_REPEATED = 40  # bytes of a text that is looked for again
_SCRAPS = 8  # blocks around a long repeat in which short ones go with it
_SPREAD = 2654435761
_FACTOR = 1099511628211  # of 64-bit FNV
_ROW, _CELL, _HEADER, _TABLE = (TAGS[name] for name in ["tr", "td", "th", "table"])
_H1, _H2, _H6 = (TAGS[name] for name in ["h1", "h2", "h6"])
_LONGEST_CELL = 200  # characters of a block: tables and rows of longer ones are layout
_REACH = 8  # levels from a block up to its row
_LIKELY, _SURE = 0.3, 0.7  # scores: what may be kept for what is around it, and what is content in any case
_SEVERAL = 4  # blocks of a table or a template
_MOST_KEPT = 0.7  # of a template
_AROUND = 4  # blocks before a table and behind it, of which one is kept
_PARAGRAPH, _PARAGRAPHS = 80, 2  # characters, and how many make a text that can be over
_HEADLINE_BESIDE, _HEADLINE_ABOVE = 0.15, 0.35  # scores right above the text, and up to so many blocks above it:
_ABOVE = 5
_GAP, _DOUBT = 3, 0.6  # dropped blocks behind a text, and the score below which what comes after them is not of it


@kernel
def _cut(scores: Any, lengths: Any, lowest: float, highest: float) -> float:
    """Return the score from which on blocks are kept: the higher, the better the F1 that can be expected of the page.

    On a clear page nearly everything in doubt is boilerplate; on a doubtful one (lists, product pages) leaving it out costs half
    of the content. Against one cut for all pages at .5: +.004 on WCXB, +.001 on news. Rejected: the cut of the greatest
    expected F1, which never lies above .5 (-.003 over four sets).
    """
    mass, expected = np.zeros(_STEPS + 1), np.zeros(_STEPS + 1)
    total = 0.0
    for row in range(scores.size):
        step = int(scores[row] * _STEPS)
        mass[step] += lengths[row]
        expected[step] += lengths[row] * scores[row]
        total += lengths[row] * scores[row]
    best, kept, found = 0.0, 0.0, 0.0
    for step in range(_STEPS, -1, -1):
        kept += mass[step]
        found += expected[step]
        best = max(best, 2 * found / (kept + total + 1e-9))
    clear = (best - _DOUBTFUL) / (_CLEAR - _DOUBTFUL)
    return lowest + (highest - lowest) * min(max(clear, 0.0), 1.0)


@inner
def _digits(data: Any, blocks: Any, pieces: Any, row: int) -> int:
    """Return a hash of the digits of a block, never 0."""
    hashed = blocks[row, B_DIGITS]
    for piece in range(blocks[row, B_PIECE], blocks[row, B_PIECES]):
        if pieces[piece, P_KIND] <= RAW_TEXT:
            for place in range(pieces[piece, P_BEGIN], pieces[piece, P_END]):
                if 48 <= data[place] <= 57:
                    hashed = (hashed ^ data[place]) * _FACTOR
    return hashed | 1


@inner
def _same_digits(data: Any, blocks: Any, pieces: Any, known: Any, one: int, other: int) -> bool:
    """Return whether two blocks have the same digits, which their hashes leave out; *known* are those of blocks read before.

    No block is read twice: ten thousand short texts may be compared with a long one.
    """
    if blocks[one, B_DIGITS] != blocks[other, B_DIGITS]:
        return False
    if not blocks[one, B_DIGITS]:
        return True
    if not known[one]:
        known[one] = _digits(data, blocks, pieces, one)
    if not known[other]:
        known[other] = _digits(data, blocks, pieces, other)
    return known[one] == known[other]


_LONG, _SHORT = 1, 2  # of a repeat


@kernel
def select(
    data: Any,
    blocks: Any,
    pieces: Any,
    lengths: Any,
    groups: Any,
    scores: Any,
    lowest: float,
    highest: float,
    keep: Any,
) -> float:
    """Say in *keep* which blocks are kept, those above the page's cut, between *lowest* and *highest*; return the cut.

    A text that comes again under another template (a quote, a preview, the copy for telephones) is kept once: forums gain .03
    by it. Under the same template it is kept, for lists repeat themselves honestly. A link gives way to the same text that is
    none: the heading is kept and not its entry in the table of contents (+.0003 on WCXB, 27 of 29 pages better). Texts that
    differ in digits are two. A short text is dropped only near a long one, or prices and names would go: without that half of
    the rule the short lines of a quote stay behind (WCXB -.0006, product pages -.003; 91 of 110 pages are better with it).
    """
    cut = _cut(scores, lengths, lowest, highest)
    size = 16
    while size < 2 * scores.size:
        size *= 2
    texts, firsts, repeats = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(scores.size, np.int8)
    digits = np.zeros(scores.size, np.int64)
    for row in range(scores.size):
        keep[row] = scores[row] >= cut
        if not keep[row]:
            continue
        text = (blocks[row, B_HASH] << 13) + (blocks[row, B_CHARACTERS] & 8191) + 1
        place = (blocks[row, B_HASH] * _SPREAD >> 7) & (size - 1)
        while texts[place] != 0 and texts[place] != text:
            place = (place + 1) & (size - 1)
        if texts[place] == 0:
            texts[place], firsts[place] = text, row
            continue
        first = firsts[place]
        if groups[blocks[first, B_CONTAINER]] == groups[blocks[row, B_CONTAINER]] or not _same_digits(
            data, blocks, pieces, digits, first, row
        ):
            continue
        if blocks[row, B_BYTES] < _REPEATED:
            repeats[row] = _SHORT
            continue
        plain = blocks[row, B_LINKED] < blocks[row, B_CHARACTERS]
        if plain and blocks[first, B_LINKED] >= blocks[first, B_CHARACTERS] and scores[row] >= scores[first]:
            keep[first], repeats[first] = False, _LONG
            firsts[place] = row
        else:
            keep[row], repeats[row] = False, _LONG
    _drop_scraps(repeats, keep)
    return cut


@inner
def _drop_scraps(repeats: Any, keep: Any) -> None:
    """Drop the short repeats near long ones."""
    before, behind = -_SCRAPS - 1, repeats.size + _SCRAPS
    for row in range(repeats.size):
        other = repeats.size - 1 - row
        before = row if repeats[row] == _LONG else before
        behind = other if repeats[other] == _LONG else behind
        if repeats[row] == _SHORT and row - before <= _SCRAPS:
            keep[row] = False
        if repeats[other] == _SHORT and behind - other <= _SCRAPS:
            keep[other] = False


@kernel
def drop_tail(blocks: Any, containers: Any, groups: Any, scores: Any, keep: Any) -> None:
    """Drop what is in doubt behind the end of a text and a gap of dropped blocks, and all that is of its template there.

    These are teasers of other articles, of which some pass the cut of a page in doubt and some do not. The text ends with its
    last sure paragraph. Templates that have a sure block stay, and so does what readers wrote. F1 against none: WCXB +.0012,
    scrapinghub +.0021, news of five languages +.009 (92 of 109 pages better).
    """
    last, paragraphs, template_count = -1, 0, 0
    for group in groups:
        template_count = max(template_count, group + 1)
    sure, over = np.zeros(template_count, np.bool_), np.zeros(template_count, np.bool_)
    for row in range(keep.size):
        if keep[row] and scores[row] > _SURE:
            sure[groups[blocks[row, B_CONTAINER]]] = True
            if blocks[row, B_CHARACTERS] > _PARAGRAPH:
                last, paragraphs = row, paragraphs + 1
    if paragraphs < _PARAGRAPHS:
        return
    before = last
    for row in range(last + 1, keep.size):
        if not keep[row]:
            continue
        container = blocks[row, B_CONTAINER]
        group = groups[container]
        stays = sure[group] or containers[container, C_CATEGORIES] & COMMENTS != 0
        if not stays and (over[group] or (row - before > _GAP and scores[row] < _DOUBT)):
            keep[row], over[group] = False, True
        else:
            before = row


@kernel
def complete(blocks: Any, containers: Any, groups: Any, scores: Any, cut: float, keep: Any) -> None:
    """Keep what belongs to kept text though it is below the *cut*, for the model judges each block for itself.

    Rejected, for F1 stays as it is: code between kept text, and to drop the rest of templates of which little is kept.
    """
    template_count = 0
    for group in groups:
        template_count = max(template_count, group + 1)
    _keep_headline(blocks, containers, scores, keep)
    _complete_templates(blocks, groups, scores, cut, np.zeros((template_count, 3)), keep)
    _complete_tables(blocks, containers, np.empty(containers.shape[0], np.int64), keep)
    for row in range(keep.size - 1):  # headings right above a text: without them WCXB -.0008
        tag, below = containers[blocks[row, B_CONTAINER], C_TAG], containers[blocks[row + 1, B_CONTAINER], C_TAG]
        if keep[row + 1] and scores[row] > _LIKELY and _H2 <= tag <= _H6 and not _H1 <= below <= _H6:
            keep[row] = True


@inner
def _keep_headline(blocks: Any, containers: Any, scores: Any, keep: Any) -> None:
    """Keep the `h1` right above what is kept if it is in doubt and there is no other.

    Half of the pages that the model learned from count it as the title and not as content, so its scores are low; without it
    two copies of an article are no longer equal where one site's headline is kept. F1 against none: news -.001 and -.002 (sets
    without headlines), news of five languages +.002, WCXB -.0005.
    """
    headline = -1
    for row in range(keep.size):
        if containers[blocks[row, B_CONTAINER], C_TAG] != _H1:
            if keep[row]:
                break
            continue
        if keep[row]:
            return
        headline = row
    else:
        return
    if headline < 0:
        return
    for later in range(row, keep.size):
        if keep[later] and containers[blocks[later, B_CONTAINER], C_TAG] == _H1:
            return
    above = row - headline
    if (above <= 1 and scores[headline] > _HEADLINE_BESIDE) or (above <= _ABOVE and scores[headline] > _HEADLINE_ABOVE):
        keep[headline] = True


@inner
def _complete_templates(blocks: Any, groups: Any, scores: Any, cut: float, sums: Any, keep: Any) -> None:
    """Keep the likely rest of the blocks of a template, hardly linked, most of which is kept.

    The scores of replies and products that are alike fall down the page, and the cut divides them. F1 against none: WCXB
    +.0008, forums +.004, scrapinghub +.0011, news of five languages -.0006.
    """
    for row in range(keep.size):
        if 2 * blocks[row, B_LINKED] < blocks[row, B_CHARACTERS]:
            template, root = groups[blocks[row, B_CONTAINER]], blocks[row, B_CHARACTERS] ** 0.5
            sums[template, 0] += 1
            sums[template, 1] += root
            sums[template, 2] += root * keep[row]
    for row in range(keep.size):
        if _LIKELY < scores[row] < cut and 2 * blocks[row, B_LINKED] < blocks[row, B_CHARACTERS]:
            template = groups[blocks[row, B_CONTAINER]]
            if sums[template, 0] >= _SEVERAL and sums[template, 2] >= _MOST_KEPT * sums[template, 1]:
                keep[row] = True


@inner
def _complete_tables(blocks: Any, containers: Any, tables: Any, keep: Any) -> None:
    """Keep tables of short cells, hardly linked, that have kept text near them on both sides.

    F1 against none: WCXB +.0006, service pages +.003, scrapinghub +.0004, other news the same (46 of 61 pages better).
    """
    tables[0] = -1
    for container in range(1, tables.size):
        tables[container] = container
        if containers[container, C_TAG] != _TABLE:
            tables[container] = tables[containers[container, C_PARENT]]
    begin = 0
    while begin < keep.size:
        table = tables[blocks[begin, B_CONTAINER]]
        longest, characters, linked = 0, 0, 0
        end = begin
        while end < keep.size and tables[blocks[end, B_CONTAINER]] == table:
            longest = max(longest, blocks[end, B_CHARACTERS])
            characters += blocks[end, B_CHARACTERS]
            linked += blocks[end, B_LINKED]
            end += 1
        likely = table >= 0 and end - begin >= _SEVERAL and longest <= _LONGEST_CELL and 2 * linked < characters
        if likely and _any(keep, begin - _AROUND, begin) and _any(keep, end, end + _AROUND):
            for row in range(begin, end):
                keep[row] = True
        begin = end


@inner
def _any(keep: Any, begin: int, end: int) -> bool:
    """Return whether any of the blocks from *begin* to *end* is kept; they may lie outside the page."""
    for row in range(max(begin, 0), min(end, keep.size)):  # noqa: SIM110  numba has no any()
        if keep[row]:
            return True
    return False


@inner
def _cell_of(containers: Any, container: int) -> tuple[int, int]:
    """Return the row of a table that *container* is in, and its cell there, or -1 and -1."""
    cell = -1
    for _ in range(_REACH):
        if container <= 0:
            break
        tag = containers[container, C_TAG]
        if tag == _CELL or tag == _HEADER:
            cell = container
        elif tag == _ROW:
            return container, cell
        container = containers[container, C_PARENT]
    return -1, -1


@kernel
def complete_rows(blocks: Any, containers: Any, keep: Any) -> None:
    """Keep the rest of a row of short cells of which half or more is kept: names without their years say nothing.

    The model judges each cell for itself. F1 against none: WCXB +.0006, and +.0002 beside whole tables; news the same. Rejected:
    to drop the rest of the other rows too (-.0006 by words), for layouts are tables as well.
    """
    begin = 0
    while begin < keep.size:
        line, cell = _cell_of(containers, blocks[begin, B_CONTAINER])
        several, longest, total, kept = False, 0, 0, 0
        end = begin
        while end < keep.size:
            other, other_cell = _cell_of(containers, blocks[end, B_CONTAINER])
            if other != line:
                break
            several |= other_cell != cell
            longest = max(longest, blocks[end, B_CHARACTERS])
            total += blocks[end, B_CHARACTERS]
            kept += blocks[end, B_CHARACTERS] * keep[end]
            end += 1
        if line >= 0 and several and longest <= _LONGEST_CELL and kept < total <= 2 * kept:
            for block in range(begin, end):
                keep[block] = True
        begin = end
