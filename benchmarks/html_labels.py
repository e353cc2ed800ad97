"""Which blocks of a page are its content, told from the text that people marked: what the model learns from."""

from __future__ import annotations

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
    """Label each text: content if more than half of its runs of four words are in the marked content.

    A text of fewer words has to be a line of it; where it only occurs in the middle of lines, its neighbours decide.
    """
    marked = words(gold)
    runs = {
        size: {tuple(marked[at : at + size]) for at in range(len(marked) - size + 1)} for size in range(1, _RUN + 1)
    }
    lines = {tuple(words(line)) for line in gold.split("\n")}
    labels = np.full(len(texts), UNKNOWN, np.int8)
    doubtful: list[int] = []
    for number, text in enumerate(texts):
        found = words(text)
        if not found:
            continue
        if len(found) < _RUN:
            labels[number] = tuple(found) in lines
            if tuple(found) not in lines and tuple(found) in runs[len(found)]:
                doubtful.append(number)
        else:
            inside = [tuple(found[at : at + _RUN]) in runs[_RUN] for at in range(len(found) - _RUN + 1)]
            labels[number] = 2 * sum(inside) > len(inside)
    decided = labels.copy()
    decided[doubtful] = UNKNOWN
    for number in doubtful:
        before = [label for label in decided[max(0, number - 3) : number] if label != UNKNOWN]
        behind = [label for label in decided[number + 1 : number + 4] if label != UNKNOWN]
        labels[number] = bool(before and behind and before[-1] == behind[0] == CONTENT)
    return labels
