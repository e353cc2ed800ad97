"""Which texts of a batch have a line that may be there twice: all that `RemoveRepeatedLines` has anything to do with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.character_pages import paged
from corpusmill.stages.text_buffers import TextBuffers

__all__ = ["repeated_line_guard"]

_CASED = 0x20000  # no character behind has a case


class _Folds(NamedTuple):
    of_ascii: npt.NDArray[np.int64]
    page_of: npt.NDArray[np.uint16]
    pages: npt.NDArray[np.int64]


def repeated_line_guard(minimum_characters: int) -> Callable[[TextBuffers], npt.NDArray[np.bool_]]:
    """Return the guard: whether a line of so many characters, without case and with single blanks, may be there twice."""
    from corpusmill.stages.kernels.repeated_lines import may_repeat

    folds = _folds()

    def guard(texts: TextBuffers) -> npt.NDArray[np.bool_]:
        busy = np.zeros(len(texts.starts), np.bool_)
        may_repeat(*texts, *folds, minimum_characters, busy)
        return busy

    return guard


@functools.cache
def _folds() -> _Folds:
    """Return the entries of all characters, from what `str.casefold` and `str.isspace` of this Python say."""
    from corpusmill.stages.kernels.repeated_lines import BLANK, DOUBLE_S, SEVERAL

    entries = np.zeros(_CASED, np.int64)
    for code in range(_CASED):
        character = chr(code)
        folded = character.casefold()
        if folded == "ss":
            entries[code] = DOUBLE_S
        elif len(folded) > 1:
            entries[code] = SEVERAL
        elif character.isspace():
            entries[code] = BLANK
        elif folded != character:
            entries[code] = (ord(folded) - code) * 8
    of_ascii = entries[:128].copy()
    of_ascii.flags.writeable = False
    return _Folds(of_ascii, *paged(entries))
