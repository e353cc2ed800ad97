"""One page as the tables of the tokenizer, and the text of its blocks."""

from __future__ import annotations

import functools
from html.entities import html5
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.structured_data import StructuredData, structured_data

__all__ = [
    "ClassWords",
    "HtmlPage",
    "block_texts",
    "declared_shares",
    "no_class_words",
    "read_page",
    "references",
    "with_structured_data",
]

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_MOST_MARKS = 512
_CONTROLS = dict.fromkeys([*range(9), 11, *range(14, 32), *range(127, 160)])
_LISTED = 1 << 16
_REFERENCES = 1 << 13
_TITLE_WORDS = 40


class ClassWords(NamedTuple):
    """Words of class names as the tokenizer looks for them: a hash table (0 is a free place) and what is known of each."""

    hashes: Integers
    weights: Floats
    categories: Integers


class HtmlPage(NamedTuple):
    """What the tokenizer found; columns as in `kernels/html_layout.py`."""

    data: npt.NDArray[np.uint8]
    """The page, UTF-8."""
    blocks: Integers
    containers: Integers
    weights: Floats
    """Of the class words of each container."""
    pieces: Integers
    marks: Integers
    """Places of metadata."""
    facts: Integers
    """Of the page."""
    class_words: Integers
    """Container, begin and end of each class word, if they were asked for."""
    source: bytes
    """The same page as `data`."""
    structured: StructuredData | None = None
    """Its JSON-LD, once it was read (`with_structured_data`)."""


def no_class_words() -> ClassWords:
    """Return the table that knows no word."""
    return ClassWords(np.zeros(16, np.int64), np.zeros(16, np.float32), np.zeros(16, np.int64))


@functools.cache
def references() -> Integers:
    """Return the named character references of the HTML Standard as a hash table; columns: kernels/html_characters.py."""
    from corpusmill.stages.kernels.html_characters import R_FIRST, R_HASH, R_OPEN, R_SECOND, REFERENCE_COLUMNS
    from corpusmill.stages.kernels.html_tags import hash_table

    names = sorted({name.rstrip(";") for name in html5})
    table = np.zeros((_REFERENCES, REFERENCE_COLUMNS), np.int64)
    table[:, R_HASH], rows = hash_table(((name.encode(), row) for row, name in enumerate(names)), _REFERENCES)
    for place in np.flatnonzero(table[:, R_HASH]):
        name = names[rows[place]]
        characters = html5.get(f"{name};") or html5[name]
        table[place, R_FIRST], table[place, R_OPEN] = ord(characters[0]), name in html5
        table[place, R_SECOND] = ord(characters[1]) if len(characters) > 1 else 0
    return table


def read_page(
    page: bytes, words: ClassWords, *, show: tuple[str, ...] = (), list_class_words: bool = False
) -> HtmlPage:
    """Return the blocks of a page (UTF-8; anything else becomes U+FFFD). Time and memory are linear in its size.

    The content of the tags in *show* (`noscript`, `template` …) is read although browsers do not show it. That of `noscript` is
    also read where it holds most of the text: forums of the Discourse kind show nothing else to who runs no scripts.
    """
    from corpusmill.stages.kernels.html_layout import B_CHARACTERS, D_NOSCRIPT

    found = _read(page, words, show, list_class_words)
    characters = found.blocks[:, B_CHARACTERS].sum()
    if found.facts[D_NOSCRIPT] > characters and "noscript" not in show:
        more = _read(page, words, (*show, "noscript"), list_class_words)
        if more.blocks[:, B_CHARACTERS].sum() > 2 * characters:
            return more
    return found


def _read(page: bytes, words: ClassWords, show: tuple[str, ...], list_class_words: bool) -> HtmlPage:
    from corpusmill.stages.kernels import html_layout as layout
    from corpusmill.stages.kernels.html_blocks import MOST_BLOCKS
    from corpusmill.stages.kernels.html_tags import CUSTOM, TAGS
    from corpusmill.stages.kernels.html_tokens import MOST_CONTAINERS, count_tags, tokenize

    data = np.frombuffer(page or b" ", np.uint8)
    tags = count_tags(data) + 4
    blocks = np.empty((min(tags, MOST_BLOCKS), layout.BLOCK_COLUMNS), np.int64)
    containers = np.empty((min(tags, MOST_CONTAINERS), layout.CONTAINER_COLUMNS), np.int64)
    weights = np.empty((len(containers), layout.WEIGHT_COLUMNS), np.float32)
    pieces = np.empty((5 * tags, layout.PIECE_COLUMNS), np.int64)
    marks = np.empty((_MOST_MARKS, layout.MARK_COLUMNS), np.int64)
    listed = np.empty((_LISTED if list_class_words else 0, 3), np.int64)
    facts = np.zeros(layout.PAGE_COLUMNS, np.int64)
    unskipped = np.full(CUSTOM + 1, len(data), np.int64)
    unskipped[[TAGS[name] for name in show]] = 0
    state = np.zeros(layout.STATE_COLUMNS, np.int64)
    scratch = (
        np.empty(len(containers) + 1, np.int64),
        *np.zeros((2, CUSTOM + 1), np.int64),
        np.empty(layout.ATTRIBUTE_COLUMNS, np.int64),
        np.empty(_TITLE_WORDS, np.int64),
    )
    tables = (blocks, containers, weights, pieces, marks, listed, facts, unskipped, state)
    tokenize(data, tuple(words), references(), *tables, *scratch)
    return HtmlPage(
        data,
        blocks[: state[layout.S_BLOCKS]],
        containers[: state[layout.S_CONTAINERS]],
        weights[: state[layout.S_CONTAINERS]],
        pieces[: state[layout.S_PIECES]],
        marks[: state[layout.S_MARKS]],
        facts,
        listed[: state[layout.S_CLASS_WORDS]],
        page or b" ",
    )


def with_structured_data(page: HtmlPage) -> HtmlPage:
    """Return the page with its JSON-LD, for what else wants to know of it: reading it takes 2 % of the time of a page."""
    return page._replace(structured=structured_data(page.source, page.marks))


def declared_shares(page: HtmlPage) -> Floats:
    """Return for each block how much of it (0 to 1) the page also gives as structured data; -1 throughout where it gives none.

    Only texts of which at least half the runs of three words are on the page count: some sites declare another page's text.
    """
    from corpusmill.stages.kernels import html_declared

    shares = np.full(len(page.blocks), -1, np.float32)
    found = page.structured or structured_data(page.source, page.marks)
    text = "\n".join((*found.article_bodies, *(post.text for post in found.posts)))
    if not text:
        return shares
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    runs = np.zeros(1 << (len(data) // 2).bit_length(), np.int64)
    count = html_declared.collect_runs(data, runs)
    if 2 * html_declared.declared_shares(page.data, page.blocks, page.pieces, runs, shares) < count:
        shares[:] = -1
    return shares


def block_texts(page: HtmlPage) -> list[str]:
    """Return the text of each block with single spaces, slowly: for training and for tests."""
    import html

    from corpusmill.stages.kernels import html_layout as layout

    data: Any = page.source
    texts = []
    for block in page.blocks:
        parts = []
        for begin, end, kind in page.pieces[block[layout.B_PIECE] : block[layout.B_PIECES]].tolist():
            if kind == layout.BREAK:
                parts.append(" ")
            elif kind <= layout.RAW_TEXT:
                text = data[begin:end].decode("utf-8", "replace")
                parts.append(text if kind == layout.RAW_TEXT else html.unescape(text))
        texts.append(" ".join("".join(parts).translate(_CONTROLS).split()))
    return texts
