"""What the model is told about a block: 172 numbers from the tables of the tokenizer. Their names are in `html_feature_names.py`.

They describe the block's own text, its place on the page, its path in the tree, its containers up to five levels, the other
copies of its template (containers with the same tags and classes on their path), its neighbours and the page. Lengths are in
characters, of which a Chinese one counts for two and a half, and enter as logarithms. Rejected: the type of the page, true or
predicted, as a feature (F1 .881 against .882 without).
"""

from __future__ import annotations

from math import log1p
from typing import Any

import numpy as np

from corpusmill.stages.kernels import inner, kernel
from corpusmill.stages.kernels.html_feature_names import (
    AROUND,
    CONTAINERS,
    LEVELS,
    NEIGHBOURS,
    PAGE,
    PATH,
    PLACE,
    SCHEMAS,
    TEMPLATE_LEVELS,
)
from corpusmill.stages.kernels.html_layout import (
    B_BREAKS,
    B_BYTES,
    B_CHARACTERS,
    B_CONTAINER,
    B_DIGITS,
    B_FIRST,
    B_HASH,
    B_LAST,
    B_LINKED,
    B_LINKS,
    B_PUNCTUATION,
    B_TITLE,
    B_UPPER,
    B_WIDE,
    B_WORDS,
    C_BITS,
    C_CATEGORIES,
    C_DEPTH,
    C_ITEMS,
    C_OWN_CATEGORIES,
    C_PARENT,
    C_PATH,
    C_TAG,
    D_OPEN_GRAPH,
    D_SCHEMA,
    D_SCRIPTS,
    D_TIMES,
    W_LEAST,
    W_MOST,
    W_PATH_LEAST,
    W_PATH_MOST,
    W_PATH_SUM,
    W_SUM,
)
from corpusmill.stages.kernels.html_tags import (
    CATEGORIES,
    CLASSES,
    COMMENTS,
    FEATURED,
    HIDDEN,
    TAG_BITS,
    TAG_KINDS,
    TAGS,
)

__all__ = ["describe"]

_CONTAINER_VALUES, _TEMPLATE_VALUES = 6, 3

_H1, _H6, _P = TAGS["h1"], TAGS["h6"], TAGS["p"]
_ARTICLE_TAG = TAGS["article"]
_ARTICLE, _LI, _TABLE, _PRE = (int(TAG_BITS[TAGS[name]]) for name in ("article", "li", "table", "pre"))
_NEGATIVE = sum(1 << number for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 17, 18))
_POSITIVE = 1 << 9 | 1 << 12 | 1 << 14
_FAR = 12
_SHORT_TEXT = 60  # bytes of a text that may have a learned weight
_CATEGORY_COUNT = len(CATEGORIES)
_SPREAD = 2654435761

# Columns of sums over containers and over templates.
_SUM_LENGTH, _SUM_LINKED, _SUM_PARAGRAPHS, _SUM_BLOCKS, _SUM_PUNCTUATION, _SUMS = range(6)
_T_COPIES, _T_LENGTH, _T_LINKED, _T_COLUMNS = range(4)


@kernel
def _group(table: Any, column: int, groups: Any) -> int:
    """Write to *groups* a number for each hash in a column, the same for equal ones, from 0 on; return how many there are."""
    size = 16
    while size < 2 * groups.size:
        size *= 2
    keys, numbers = np.empty(size, np.int64), np.zeros(size, np.int64)  # numbers from 1 on
    count = 0
    for row in range(groups.size):
        key = table[row, column]
        place = (key * _SPREAD >> 7) & (size - 1)
        while numbers[place] and keys[place] != key:
            place = (place + 1) & (size - 1)
        if not numbers[place]:
            count += 1
            keys[place], numbers[place] = key, count
        groups[row] = numbers[place] - 1
    return count


@inner
def _measure(blocks: Any, containers: Any, lengths: Any, linked: Any, sums: Any) -> int:
    """Fill the lengths of blocks, their shares in links, and the sums over containers; return the block of the headline or -1."""
    headline, best = -1, 0.0
    for row in range(blocks.shape[0]):
        block = blocks[row]
        characters = block[B_CHARACTERS]
        length = characters + 1.5 * block[B_WIDE]
        share = block[B_LINKED] / characters
        lengths[row], linked[row] = length, share
        container = block[B_CONTAINER]
        sums[container, _SUM_LENGTH] += length
        sums[container, _SUM_LINKED] += length * share
        sums[container, _SUM_PARAGRAPHS] += length > 80 and share < 0.3
        sums[container, _SUM_BLOCKS] += 1
        sums[container, _SUM_PUNCTUATION] += block[B_PUNCTUATION]
        tag = containers[container, C_TAG]
        score = block[B_TITLE] / 100.0
        if _H1 <= tag <= _H6:
            score += 0.5 if tag == _H1 else 0.2
        if score > best and score >= 0.45 and share < 0.6:
            headline, best = row, score
    for row in range(containers.shape[0] - 1, 0, -1):
        parent = containers[row, C_PARENT]
        for column in range(_SUMS):
            sums[parent, column] += sums[row, column]
    return headline


@inner
def _describe_page(
    blocks: Any, containers: Any, lengths: Any, linked: Any, copies: Any, facts: Any, page: Any
) -> tuple[float, int]:
    """Fill the features of the page; return (its length, the first block in a container of comments or the number of blocks)."""
    count = blocks.shape[0]
    total = in_links = good = paragraphs = lists = tables = code = hidden = comments = copied = longest = 0.0
    headlines = articles = 0
    first_comment = count
    for row in range(count):
        length, share = lengths[row], linked[row]
        container = blocks[row, B_CONTAINER]
        bits, tag = containers[container, C_BITS], containers[container, C_TAG]
        total += length
        in_links += length * share
        good += length if length > 60 and share < 0.35 else 0.0
        paragraphs += length if tag == _P else 0.0
        lists += length if bits & _LI else 0.0
        tables += length if bits & _TABLE else 0.0
        code += length if bits & _PRE else 0.0
        hidden += length if bits & HIDDEN else 0.0
        copied += length if copies[row] > 1 else 0.0
        longest = max(longest, length if share < 0.3 else 0.0)
        headlines += tag == _H1
        articles |= bits & _ARTICLE
        if containers[container, C_CATEGORIES] & COMMENTS:
            comments += length
            if first_comment == count and row > 3:
                first_comment = row
    total = max(total, 1.0)
    page[0], page[1], page[2], page[3], page[4] = (
        log1p(total),
        in_links / total,
        good / total,
        log1p(count),
        articles > 0,
    )
    page[5], page[6], page[7], page[8] = facts[D_OPEN_GRAPH], headlines, paragraphs / total, lists / total
    page[9], page[10], page[11], page[12] = tables / total, code / total, hidden / total, comments / total
    page[13], page[14] = log1p(longest), copied / total
    page[15], page[16] = log1p(facts[D_SCRIPTS]), log1p(facts[D_TIMES])
    for number in range(SCHEMAS):
        page[18 + number] = facts[D_SCHEMA] >> number & 1
    return total, first_comment


@inner
def _describe_text(block: Any, tag: int, length: float, linked: float, copies: int, short_texts: Any, x: Any) -> None:
    characters, words = block[B_CHARACTERS], max(block[B_WORDS], 1)
    x[0], x[1], x[2], x[3] = log1p(length), linked, log1p(block[B_PUNCTUATION]), block[B_PUNCTUATION] / length
    x[4], x[5] = log1p(block[B_WORDS]), min(characters / words, 40.0)
    x[6], x[7], x[8] = block[B_DIGITS] / characters, block[B_UPPER] / characters, block[B_WIDE] / characters
    last, first = block[B_LAST], block[B_FIRST]
    x[9] = (
        2
        if (last == 46 or last == 33 or last == 63 or last == 34)
        else 1
        if (last == 58 or last == 44 or last == 59)
        else 0
    )
    x[10] = 6 if first >= 128 else CLASSES[first]
    x[11], x[12], x[13], x[14] = log1p(block[B_LINKS]), block[B_BREAKS], block[B_TITLE], copies
    x[15] = tag - _H1 + 1 if _H1 <= tag <= _H6 else 0
    if block[B_BYTES] <= _SHORT_TEXT:
        keys, weights = short_texts
        place = block[B_HASH] & (keys.size - 1)
        while keys[place] != 0:
            if keys[place] == block[B_HASH]:
                x[16] = weights[place]
                break
            place = (place + 1) & (keys.size - 1)


@inner
def _describe_path(containers: Any, weights: Any, container: int, x: Any) -> None:
    row = containers[container]
    parent = max(row[C_PARENT], 0)
    grandparent = max(containers[parent, C_PARENT], 0)
    x[0], x[1], x[2] = (
        TAG_KINDS[row[C_TAG]],
        TAG_KINDS[containers[parent, C_TAG]],
        TAG_KINDS[containers[grandparent, C_TAG]],
    )
    at = 3
    for number in range(FEATURED + 1):
        x[at + number] = row[C_BITS] >> number & 1
    at += FEATURED + 1
    for number in range(_CATEGORY_COUNT):
        x[at + number] = row[C_CATEGORIES] >> number & 1
    at += _CATEGORY_COUNT
    x[at], x[at + 1] = row[C_OWN_CATEGORIES] & _NEGATIVE != 0, row[C_OWN_CATEGORIES] & _POSITIVE != 0
    negative = positive = _FAR
    level, here = 0, container
    while level < _FAR and here > 0 and (negative == _FAR or positive == _FAR):
        categories = containers[here, C_OWN_CATEGORIES]
        if negative == _FAR and categories & _NEGATIVE:
            negative = level
        if positive == _FAR and categories & _POSITIVE:
            positive = level
        here = containers[here, C_PARENT]
        level += 1
    x[at + 2], x[at + 3] = negative, positive
    own = weights[container]
    x[at + 4], x[at + 5], x[at + 6] = own[W_SUM], own[W_LEAST], own[W_MOST]
    x[at + 7], x[at + 8], x[at + 9] = own[W_PATH_SUM], own[W_PATH_LEAST], own[W_PATH_MOST]
    x[at + 10], x[at + 11] = weights[parent, W_SUM], weights[grandparent, W_SUM]


@inner
def _value_containers(sums: Any, total: float, values: Any) -> None:
    """Fill the features of containers that hold any text: once, and not for each of their blocks."""
    for row in range(sums.shape[0]):
        length = sums[row, _SUM_LENGTH]
        if length > 0:
            whole = max(length, 1.0)
            x = values[row]
            x[0], x[1], x[2] = log1p(length), sums[row, _SUM_LINKED] / whole, log1p(sums[row, _SUM_PARAGRAPHS])
            x[3], x[4] = length / total, log1p(length / max(sums[row, _SUM_BLOCKS], 1.0))
            x[5] = sums[row, _SUM_PUNCTUATION] / whole


@inner
def _value_templates(sums: Any, groups: Any, templates: Any, values: Any) -> None:
    """Sum up the copies of each template in *templates*, and fill its features."""
    for row in range(sums.shape[0]):
        template = templates[groups[row]]
        template[_T_COPIES] += 1
        template[_T_LENGTH] += sums[row, _SUM_LENGTH]
        template[_T_LINKED] += sums[row, _SUM_LINKED]
    for group in range(templates.shape[0]):
        template, x = templates[group], values[group]
        x[0], x[1] = log1p(template[_T_COPIES]), log1p(template[_T_LENGTH] / template[_T_COPIES])
        x[2] = template[_T_LINKED] / max(template[_T_LENGTH], 1.0)


@inner
def _describe_containers(
    containers: Any, values: Any, template_values: Any, groups: Any, container: int, x: Any
) -> None:
    here, at = container, 0
    for _ in range(LEVELS):
        for column in range(_CONTAINER_VALUES):
            x[at] = values[here, column]
            at += 1
        here = max(containers[here, C_PARENT], 0)
    here = container
    for _ in range(TEMPLATE_LEVELS):
        for column in range(_TEMPLATE_VALUES):
            x[at] = template_values[groups[here], column]
            at += 1
        here = max(containers[here, C_PARENT], 0)


@inner
def _describe_neighbours(blocks: Any, containers: Any, features: Any, groups: Any, good: Any, row: int, x: Any) -> None:
    count = blocks.shape[0]
    at = 0
    for distance in range(1, NEIGHBOURS + 1):
        for other in (row - distance, row + distance):
            if 0 <= other < count:
                x[at], x[at + 1], x[at + 2] = features[other, 0], features[other, 1], features[other, 3]
            at += 3
    container = blocks[row, B_CONTAINER]
    for side in range(2):
        other = row - 1 + 2 * side
        if 0 <= other < count:
            beside = blocks[other, B_CONTAINER]
            x[at + side] = TAG_KINDS[containers[beside, C_TAG]]
            x[at + 2 + side] = beside == container or containers[beside, C_PARENT] == containers[container, C_PARENT]
            x[at + 4 + side] = groups[beside] == groups[container]
    at += 6
    x[at] = log1p(good[min(count, row + 5)] - good[max(0, row - 4)])
    x[at + 1] = log1p(good[min(count, row + 11)] - good[max(0, row - 10)])
    x[at + 2] = good[row] / max(good[count], 1.0)


@kernel
def _articles_before(containers: Any) -> Any:
    """Return for each container in which of the outermost `<article>` of the page it is, from 1; 0 in none."""
    number = np.zeros(containers.shape[0], np.int64)
    count = 0
    for row in range(1, containers.shape[0]):
        parent = containers[row, C_PARENT]
        number[row] = number[parent]
        if containers[row, C_TAG] == _ARTICLE_TAG and not containers[parent, C_BITS] & _ARTICLE:
            count += 1
            number[row] = count
    return number


@inner
def _describe_texts(
    blocks: Any,
    containers: Any,
    lengths: Any,
    linked: Any,
    copies: Any,
    short_texts: Any,
    declared: Any,
    good: Any,
    features: Any,
) -> None:
    """Describe the text of each block, and sum up in *good* the lengths of those that look like running text."""
    for row in range(blocks.shape[0]):
        good[row + 1] = good[row] + (lengths[row] if linked[row] < 0.35 and lengths[row] > 60 else 0.0)
        tag = containers[blocks[row, B_CONTAINER], C_TAG]
        _describe_text(blocks[row], tag, lengths[row], linked[row], copies[row], short_texts, features[row])
        features[row, 17] = declared[row]


@inner
def _describe_place(
    row: int, count: int, containers: Any, container: int, headline: int, articles: Any, good: Any, x: Any
) -> None:
    x[1], x[2], x[3] = row / count, log1p(row), log1p(count - 1 - row)
    x[4], x[5] = containers[container, C_DEPTH], containers[container, C_ITEMS]
    x[7] = -1
    if headline >= 0:
        distance = row - headline
        x[6] = log1p(distance) if distance >= 0 else -log1p(-distance)
        x[7] = 1 if distance > 0 else 0 if distance < 0 else 2
        x[8] = (good[row] - good[headline]) / max(good[count], 1.0)
    x[10] = articles[container]


@inner
def _describe_surroundings(
    blocks: Any,
    containers: Any,
    weights: Any,
    lengths: Any,
    container_values: Any,
    template_values: Any,
    groups: Any,
    articles: Any,
    good: Any,
    headline: int,
    first_comment: int,
    total: float,
    page: Any,
    features: Any,
) -> None:
    """Describe what is around the text of each block."""
    before = 0.0
    count = blocks.shape[0]
    for row in range(count):
        container = blocks[row, B_CONTAINER]
        x = features[row]
        _describe_place(row, count, containers, container, headline, articles, good, x[PLACE:])
        x[PLACE], x[PLACE + 9] = (before + lengths[row] / 2) / total, row >= first_comment
        before += lengths[row]
        _describe_path(containers, weights, container, x[PATH:])
        _describe_containers(containers, container_values, template_values, groups, container, x[CONTAINERS:])
        _describe_neighbours(blocks, containers, features, groups, good, row, x[AROUND:])
        for column in range(page.size):
            x[PAGE + column] = page[column]


@kernel
def describe(
    blocks: Any,
    containers: Any,
    weights: Any,
    facts: Any,
    short_texts: Any,
    declared: Any,
    features: Any,
    lengths: Any,
    groups: Any,
) -> None:
    """Fill the first `FEATURES` columns of *features* (zeros), the *lengths* of the blocks, and the *groups* of containers.

    *short_texts* are the hashes of short texts and their learned weights; *declared* is for each block how much of it is in the
    page's structured data, or -1 where it has no text there; a group is one template.
    """
    count = blocks.shape[0]
    linked = np.empty(count)
    sums = np.zeros((containers.shape[0], _SUMS))
    headline = _measure(blocks, containers, lengths, linked, sums)
    group_count = _group(containers, C_PATH, groups)
    templates = np.zeros((group_count, _T_COLUMNS))
    template_values = np.empty((group_count, _TEMPLATE_VALUES), np.float32)
    _value_templates(sums, groups, templates, template_values)
    copies = np.empty(count, np.int64)
    numbers = np.zeros(_group(blocks, B_HASH, copies), np.int64)
    for row in range(count):
        numbers[copies[row]] += 1
    for row in range(count):
        copies[row] = numbers[copies[row]]
    page = np.zeros(18 + SCHEMAS, np.float32)
    total, first_comment = _describe_page(blocks, containers, lengths, linked, copies, facts, page)
    for row in range(count):
        page[17] += max(declared[row], 0) * lengths[row] / total
    good = np.zeros(count + 1)
    _describe_texts(blocks, containers, lengths, linked, copies, short_texts, declared, good, features)
    articles = _articles_before(containers)
    container_values = np.empty((containers.shape[0], _CONTAINER_VALUES), np.float32)
    _value_containers(sums, total, container_values)
    _describe_surroundings(
        blocks,
        containers,
        weights,
        lengths,
        container_values,
        template_values,
        groups,
        articles,
        good,
        headline,
        first_comment,
        total,
        page,
        features,
    )
