"""What of a document is looked at to tell its language: a sample, without addresses, in lower case where it shouts, normalized.

`sample` and `prepared` say it in Python; `samples` does the same to all texts of a batch with a kernel, which tests hold to it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.text_buffers import TextBuffers
from corpusmill.stages.text_cleaning import cut_stacks

__all__ = ["Samples", "prepared", "sample", "samples", "text_at"]

# Looked for in a sample only, and bounded, so that no text makes it slow.
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[^\s@]{1,64}@[^\s@]{1,255}")
_ROOM = 1 << 26  # bytes for the samples of so many texts at a time


class Samples(NamedTuple):
    """Samples of the texts *first* and following, sample *i* at `data[bounds[i] : bounds[i + 1]]` in UTF-8."""

    first: int
    data: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int64]
    states: npt.NDArray[np.uint8]
    """READY, NO_LETTERS or BY_PYTHON (see kernels/language_sample.py); only of the first kind is there a sample."""


def sample(text: str, maximum_characters: int) -> str:
    """Return *text*, or where it is longer two thirds of that length from its middle, and a sixth from each of its ends.

    A page often begins and ends with menus in another language than its article; a prefix alone would judge the menu. With
    thirds, CLD2 took one of three articles of 900 characters between English menus for English, now 1 of 60.

    >>> sample("head" + "text" * 9 + "foot", 24)
    'head xttexttexttextte foot'
    """
    if len(text) <= maximum_characters:
        return text
    edge = maximum_characters // 6
    piece = maximum_characters - 2 * edge
    middle = (len(text) - piece) // 2
    return " ".join((text[:edge], text[middle : middle + piece], text[len(text) - edge :]))


def prepared(text: str) -> str:
    """Return *text* without web and mail addresses, in lower case where it shouts, and normalized (NFC).

    Of a run of combining marks that are out of order 30 are kept (UAX #15).
    Models learn from ordinary text; py3langid normalizes of itself, and the other engines lose nothing by it.

    >>> prepared("BITTE HIER KLICKEN: https://example.org/x")
    'bitte hier klicken:  '
    """
    text = _ADDRESS.sub(" ", text)
    text = text.lower() if sum(map(str.isupper, text)) > sum(map(str.islower, text)) else text
    # Marks that are in order, however many, are a normal form, found out in one pass; others are put in order in time that is
    # quadratic in their run.
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", cut_stacks(text))


def text_at(texts: TextBuffers, row: int) -> str:
    """Return one text; bytes that are not UTF-8 become U+FFFD."""
    return texts.data[texts.starts[row] : texts.ends[row]].tobytes().decode("utf-8", "replace")


def samples(texts: TextBuffers, maximum_characters: int) -> Iterator[Samples]:
    """Yield what `prepared(sample(text))` is for all *texts*, some thousands at a time."""
    from corpusmill.stages.kernels.language_sample import prepare
    from corpusmill.stages.language_characters import characters

    known = characters()
    codes = np.empty(maximum_characters + 4, np.uint32)  # two blanks, and room for two where bytes are not UTF-8
    apart = np.empty(4 * len(codes), np.uint32)
    rooms = (
        np.minimum(3 * (texts.ends - texts.starts), 12 * len(codes)) + 4
    )  # a normal form is three times as long at most
    before = np.append(0, np.cumsum(rooms))
    first, count = 0, len(rooms)
    while first < count:
        last = max(int(np.searchsorted(before, before[first] + _ROOM, "right")) - 1, first + 1)
        data, bounds = np.empty(before[last] - before[first], np.uint8), np.empty(last - first + 1, np.int64)
        states = np.empty(last - first, np.uint8)
        part = np.s_[first:last]
        prepare(
            texts.data,
            texts.starts[part],
            texts.ends[part],
            maximum_characters,
            *known,
            codes,
            apart,
            data,
            bounds,
            states,
        )
        yield Samples(first, data, bounds, states)
        first = last
