"""Whether a text says a long line again, without making strings of it: most texts do not, and are done with.

Lines are compared by a hash of their characters without case and with single blanks. Where two may be equal the text is gone
through in Python, so a character whose folded case has several characters, ß aside, need not be known here: it makes a text one
of those.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel
from corpusmill.stages.kernels.hash_table import add_hash, wider
from corpusmill.stages.kernels.text import decode, mix

__all__ = ["BLANK", "DOUBLE_S", "SEVERAL", "may_repeat"]

BLANK, DOUBLE_S, SEVERAL = 1, 2, 3
"""Kinds of characters, the lowest three bits of an entry; the others are the distance to the folded case."""

_FIRST_PLACES = np.uint64(64)
_FACTOR = np.uint64(0xF1357AEA2E62A9C5)
_LINE_FEED = 10
_SPACE, _S = np.uint64(32), np.uint64(ord("s"))
_0, _1, _2, _7, _29, _127 = (np.uint64(number) for number in (0, 1, 2, 7, 29, 127))


@kernel
def may_repeat(
    data: Any, starts: Any, ends: Any, of_ascii: Any, page_of: Any, pages: Any, minimum: int, out: Any
) -> None:
    """Say in *out* of each text whether a line of at least *minimum* characters may be there twice.

    *of_ascii* and *pages* have the entries of characters, of all ASCII ones and of page *page_of*[code >> 7].
    """
    seen, spare = np.zeros(np.int64(_FIRST_PLACES), np.uint64), np.zeros(np.int64(_FIRST_PLACES), np.uint64)
    for text in range(starts.size):
        at, end = np.uint64(starts[text]), np.uint64(ends[text])
        mask = _FIRST_PLACES - _1
        for place in range(np.int64(_FIRST_PLACES)):
            seen[place] = _0
        entries = _0
        repeats = False
        while at < end and not repeats:
            hashed, characters = _0, 0
            blank = False
            while at < end:
                byte = data[at]
                if byte < 128:
                    if byte == _LINE_FEED:
                        at += _1
                        break
                    code, at, entry = np.uint64(byte), at + _1, of_ascii[byte]
                else:
                    code, at = decode(data, at, end)
                    entry = pages[page_of[code >> _7], code & _127]
                kind = entry & 7
                if kind == BLANK:
                    blank = True
                    continue
                if kind == SEVERAL:
                    repeats = True
                    break
                if blank and characters:
                    hashed = (hashed ^ _SPACE) * _FACTOR
                    hashed ^= hashed >> _29
                    characters += 1
                blank = False
                code = np.uint64(np.int64(code) + (entry >> 3))
                if kind == DOUBLE_S:
                    hashed = (hashed ^ _S) * _FACTOR
                    hashed ^= hashed >> _29
                    characters += 1
                    code = _S
                hashed = (hashed ^ code) * _FACTOR
                hashed ^= hashed >> _29
                characters += 1
            if characters >= minimum and not repeats:
                if (entries + _2) << _1 > mask:
                    seen, spare = wider(seen, mask, spare), seen
                    mask = (mask << _1) | _1
                repeats = not add_hash(seen, mask, mix(hashed) | _1)
                entries += _1
        out[text] = repeats
