"""Which blocks of a page are its content, told from the text that people marked: what the model learns from.

A block is content if its runs of words are in the marked text, or if the page and the marked text, both read in order, meet in
half of its words. The first says nothing of a short text such as a cell of a table or a price, and the marked text writes a row
of them as one line. Before, a short text was content if it was a line of the marked text: by that, mean F1 of the pages was .005
lower on WCXB (product pages .027, lists .012) and .006 on newspaper4k, and .002 and .005 higher on scrapinghub and daniel_a.

Rejected: the second alone, which misses what the marked text has in another order; short texts that are lines of it and not
matched as content and not as unknown (scrapinghub +.003, WCXB the same), for then dates and names of posts are kept or not by
chance.
"""

from __future__ import annotations

import bisect
import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from html_pages import Page, fold_of, host_of, words

from corpusmill.stages.html_page import HtmlPage, block_texts, no_class_words, read_page
from corpusmill.stages.kernels import html_layout as layout

__all__ = ["CONTENT", "OTHER", "UNKNOWN", "LabelledPage", "label_page"]

CONTENT, OTHER, UNKNOWN = 1, 0, -1
"""Labels of blocks; unknown is a block without words."""

_RUN = 4
_LISTED = 24  # letters of a class word
_ANCHOR = 5  # words of a run that page and marked text are held together by: then 3, then 1
_SMALL = 40_000  # pairs of words that are compared without anchors


@dataclass(frozen=True)
class LabelledPage:
    """A page with what training needs of it."""

    name: str
    dataset: str
    page_type: str | None
    fold: int
    source: bytes
    labels: npt.NDArray[np.int8]
    """One a block."""
    lengths: npt.NDArray[np.float64]
    """Of the blocks, as the model counts them."""
    hashes: npt.NDArray[np.int64]
    """Of the texts of the blocks; 0 where they are too long to have a weight of their own."""
    containers: npt.NDArray[np.int64]
    """Of the blocks."""
    parents: npt.NDArray[np.int64]
    """Of the containers."""
    class_words: list[tuple[int, str]]
    """Container and word, each as often as it occurs."""


def label_page(page: Page, folds: int, most_blocks: int) -> LabelledPage | None:
    """Return *page* with labels, or None where nothing can be learned: no marked content, no blocks, too many of them."""
    if page.gold is None:
        return None
    source = page.html.encode()
    read = read_page(source, no_class_words(), list_class_words=True)
    if not 0 < len(read.blocks) <= most_blocks:
        return None
    blocks = read.blocks
    short = blocks[:, layout.B_BYTES] <= 60
    return LabelledPage(
        name=page.name,
        dataset=page.dataset,
        page_type=page.page_type,
        fold=fold_of(host_of(page), folds),
        source=source,
        labels=_labels(block_texts(read), page.gold),
        lengths=blocks[:, layout.B_CHARACTERS] + 1.5 * blocks[:, layout.B_WIDE],
        hashes=np.where(short, blocks[:, layout.B_HASH], 0),
        containers=blocks[:, layout.B_CONTAINER].copy(),
        parents=read.containers[:, layout.C_PARENT].copy(),
        class_words=_class_words(read),
    )


def _class_words(page: HtmlPage) -> list[tuple[int, str]]:
    data = page.data.tobytes()
    found = ((container, data[begin:end].decode().lower()) for container, begin, end in page.class_words.tolist())
    return [(container, word) for container, word in found if len(word) <= _LISTED]


def _labels(texts: list[str], gold: str) -> npt.NDArray[np.int8]:
    """Label each text: content if at least half of its words are matched, or more than half of its runs of four are marked.

    A text of fewer words that is not matched but is a line of the marked content is unknown: a copy of it, or out of order.
    """
    split, marked = [words(text) for text in texts], words(gold)
    flags = _matched([word for found in split for word in found], marked)
    runs, lines = set(_runs(marked)), {tuple(words(line)) for line in gold.split("\n")}
    labels = np.full(len(texts), UNKNOWN, np.int8)
    end = 0
    for number, found in enumerate(split):
        begin, end = end, end + len(found)
        inside = [run in runs for run in _runs(found)]
        if found and 2 * sum(flags[begin:end]) >= len(found):
            labels[number] = CONTENT
        elif inside:
            labels[number] = 2 * sum(inside) > len(inside)
        elif found and tuple(found) not in lines:
            labels[number] = OTHER
    return labels


def _runs(text: list[str], size: int = _RUN) -> list[tuple[str, ...]]:
    return [tuple(text[at : at + size]) for at in range(len(text) - size + 1)]


def _matched(page: list[str], marked: list[str]) -> bytearray:
    """Flag the words of *page* that are in *marked* where both are read in order, each word once.

    Runs that both have once hold the two together, as in patience diff; what is left between them is compared by difflib, which
    is quadratic.
    """
    flags = bytearray(len(page))
    waiting = [(0, len(page), 0, len(marked), _ANCHOR)]
    while waiting:
        first, last, other_first, other_last, size = waiting.pop()
        while first < last and other_first < other_last and page[first] == marked[other_first]:
            flags[first] = 1
            first, other_first = first + 1, other_first + 1
        while first < last and other_first < other_last and page[last - 1] == marked[other_last - 1]:
            flags[last - 1] = 1
            last, other_last = last - 1, other_last - 1
        if first == last or other_first == other_last:
            continue
        if size < 1 or (last - first) * (other_last - other_first) < _SMALL:
            pairs = difflib.SequenceMatcher(None, page[first:last], marked[other_first:other_last], autojunk=False)
            for place, _, count in pairs.get_matching_blocks():
                flags[first + place : first + place + count] = b"\1" * count
            continue
        anchors = _anchors(page[first:last], marked[other_first:other_last], size)
        if not anchors:
            waiting.append((first, last, other_first, other_last, size - 2))
            continue
        here, there = first, other_first
        for place, other_place in anchors:
            begin, other_begin = first + place, other_first + other_place
            if begin >= here and other_begin >= there:
                waiting.append((here, begin, there, other_begin, size))
                flags[begin : begin + size] = b"\1" * size
                here, there = begin + size, other_begin + size
        waiting.append((here, last, there, other_last, size))
    return flags


def _anchors(page: list[str], marked: list[str], size: int) -> list[tuple[int, int]]:
    """Return the places in both texts of the runs of *size* words that each has once: the most of them that are in order."""
    once, marked_once = _once(_runs(page, size)), _once(_runs(marked, size))
    return _rising((place, marked_once[run]) for run, place in once.items() if run in marked_once)


def _once(runs: list[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    counts = Counter(runs)
    return {run: place for place, run in enumerate(runs) if counts[run] == 1}


def _rising(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest selection of *pairs*, sorted by their first numbers, whose second ones rise too."""
    ends: list[int] = []
    last: list[tuple[tuple[int, int], int]] = []  # pair, and number of the one before it
    numbers: list[int] = []
    for number, pair in enumerate(pairs):
        length = bisect.bisect_left(ends, pair[1])
        last.append((pair, numbers[length - 1] if length else -1))
        ends[length : length + 1], numbers[length : length + 1] = [pair[1]], [number]
    chosen = []
    number = numbers[-1] if numbers else -1
    while number >= 0:
        pair, number = last[number]
        chosen.append(pair)
    return chosen[::-1]
