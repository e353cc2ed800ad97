"""What the characters of this Python are, as kernels/language_sample.py reads it.

These are Python's own `isupper`, `islower`, `isalpha`, `isspace` and `lower`, and the normal form of its `unicodedata`,
because py3langid normalizes with that and a kernel must give the same; what is newer than the interpreter's Unicode is
unassigned to both. Made in 0.2 s once per process: as long as reading it from a file would take that no other Python could
use.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.character_pages import CODE_POINTS, paged
from corpusmill.stages.kernels.language_sample import (
    ALPHABETIC,
    COMPOSED,
    COMPOSES,
    IRREGULAR,
    LOWER,
    SPACE,
    UNSTABLE,
    UPPER,
)

__all__ = ["Characters", "characters"]

_ASSIGNED = 0x40000  # beyond are variation selectors and private use, which are none of what is asked here
_JAMO = range(0x1161, 0x11C3)  # vowels and finals, which compose by arithmetic


class Characters(NamedTuple):
    """Two tables of the same pages: `table[page_of[code >> 7], code & 127]`."""

    page_of: npt.NDArray[np.uint16]
    pages: npt.NDArray[np.uint32]
    """What a character is; its bits are named in kernels/language_sample.py."""
    lower: npt.NDArray[np.int32]
    """How far its lower case is."""
    pairs: npt.NDArray[np.uint64]
    """Those that compose, as `first << 21 | second`, sorted."""


@functools.cache
def characters() -> Characters:
    """Return the tables, made once per process."""
    traits, lower = np.zeros(CODE_POINTS, np.uint32), np.zeros(CODE_POINTS, np.int32)
    composing: dict[int, list[int]] = {}
    for code in range(_ASSIGNED):
        sign = chr(code)
        bits = UPPER * sign.isupper() + LOWER * sign.islower() + ALPHABETIC * sign.isalpha() + SPACE * sign.isspace()
        small = sign.lower()
        if small != sign:
            lower[code] = ord(small) - code if len(small) == 1 else 0
            bits |= IRREGULAR if len(small) > 1 or sign == "Σ" else 0
        if unicodedata.normalize("NFC", sign) != sign or code in _JAMO:
            bits |= UNSTABLE
        parts = unicodedata.decomposition(sign)
        if parts and not parts.startswith("<"):
            bits |= COMPOSED
            if not bits & UNSTABLE:
                first, second = (int(part, 16) for part in parts.split())
                composing.setdefault(second, []).append(first)
        traits[code] = bits | unicodedata.combining(sign) << 8
    traits[list(composing)] |= COMPOSES
    pairs = sorted(first << 21 | second for second, firsts in composing.items() for first in firsts)
    page_of, pages = paged(np.stack([traits.view(np.int32), lower], axis=1))
    return Characters(
        page_of,
        np.ascontiguousarray(pages[:, :, 0]).view(np.uint32),
        np.ascontiguousarray(pages[:, :, 1]),
        np.array(pairs, np.uint64),
    )
