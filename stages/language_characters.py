"""What the characters of this Python are, as kernels/language_sample.py reads it.

These are Python's own `isupper`, `islower`, `isalpha`, `isspace` and `lower`, and the normal form of its `unicodedata`,
because py3langid normalizes with that and a kernel must give the same; what is newer than the interpreter's Unicode is
unassigned to both. Made once per process, in a third of the time that a loop over all code points took; a file of them could
be used by no other Python.
"""

from __future__ import annotations

import functools
import unicodedata
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.character_pages import CODE_POINTS, paged
from corpusmill.stages.kernels.language_normal_form import CLASS, COMPOSED, COMPOSES, UNSTABLE
from corpusmill.stages.kernels.language_sample import ALPHABETIC, IRREGULAR, LOWER, SPACE, UPPER

__all__ = ["Characters", "characters"]

_ASSIGNED = 0x40000  # beyond are variation selectors and private use, which are none of what is asked here
_JAMO = slice(0x1161, 0x11C3)  # vowels and finals, which compose by arithmetic
_NOTHING, _LETTER, _ANY = 0, 1, 2
_KINDS = {"Cn": _NOTHING, "Co": _NOTHING, "Cs": _NOTHING, "Lo": _LETTER}
"""By category, what may be true of a character: of most nothing, and of most others that they are letters without case."""
_EXCEPTIONS = 0x100  # of which ª and º are such letters, and in lower case


class Characters(NamedTuple):
    """Two tables of the same pages, `table[page_of[code >> 7], code & 127]`, and what characters are composed of."""

    page_of: npt.NDArray[np.uint16]
    pages: npt.NDArray[np.uint32]
    """What a character is; its bits are named in kernels/language_sample.py and kernels/language_normal_form.py."""
    lower: npt.NDArray[np.int32]
    """How far its lower case is."""
    pairs: npt.NDArray[np.uint64]
    """Those that compose, as `first << 21 | second`, sorted."""
    compounds: npt.NDArray[np.uint32]
    """What each pair composes."""
    wholes: npt.NDArray[np.uint32]
    """Characters that are taken apart (NFD), sorted; without syllables of Hangul."""
    part_bounds: npt.NDArray[np.uint32]
    """Where the parts of each begin in *parts*, and where the last ones end."""
    parts: npt.NDArray[np.uint32]


@functools.cache
def characters() -> Characters:
    """Return the tables, made once per process."""
    traits, lower = np.zeros(CODE_POINTS, np.uint32), np.zeros(CODE_POINTS, np.int32)
    every = list(map(chr, range(_ASSIGNED)))
    kinds = np.fromiter(map(_KINDS.get, map(unicodedata.category, every), repeat(_ANY)), np.uint8, _ASSIGNED)
    kinds[:_EXCEPTIONS] = _ANY
    traits[np.flatnonzero(kinds == _LETTER)] = ALPHABETIC
    codes = np.flatnonzero(kinds == _ANY)
    signs = [every[code] for code in codes]
    count = len(signs)
    for bit, ask in ((UPPER, str.isupper), (LOWER, str.islower), (ALPHABETIC, str.isalpha), (SPACE, str.isspace)):
        traits[codes] |= np.where(np.fromiter(map(ask, signs), np.bool_, count), np.uint32(bit), np.uint32(0))
    traits[codes] |= np.fromiter(map(unicodedata.combining, signs), np.uint32, count) << np.uint32(CLASS)
    for code, sign, small in zip(codes.tolist(), signs, map(str.lower, signs), strict=True):
        if small != sign:
            regular = len(small) == 1
            lower[code] = ord(small) - code if regular else 0
            traits[code] |= 0 if regular and sign != "Σ" else IRREGULAR
    traits[_JAMO] |= UNSTABLE
    known = np.flatnonzero(kinds != _NOTHING)
    compositions = _compositions([every[code] for code in known], traits)
    page_of, pages = paged(np.stack([traits.view(np.int32), lower], axis=1))
    return Characters(
        page_of,
        np.ascontiguousarray(pages[:, :, 0]).view(np.uint32),
        np.ascontiguousarray(pages[:, :, 1]),
        *compositions,
    )


def _compositions(signs: list[str], traits: npt.NDArray[np.uint32]) -> list[npt.NDArray[Any]]:
    """Return the last five of `Characters`, and write to *traits* what takes part in them."""
    wholes: list[int] = []
    parts: list[str] = []
    composing: dict[int, int] = {}
    for sign, apart in zip(signs, map(unicodedata.decomposition, signs), strict=True):
        if not apart or apart.startswith("<"):
            continue
        wholes.append(ord(sign))
        parts.append(unicodedata.normalize("NFD", sign))
        traits[ord(sign)] |= COMPOSED
        if unicodedata.normalize("NFC", sign) != sign:
            traits[ord(sign)] |= UNSTABLE
        else:
            first, second = (int(part, 16) for part in apart.split())
            traits[second] |= COMPOSES
            composing[first << 21 | second] = ord(sign)
    pairs = sorted(composing)
    return [
        np.array(pairs, np.uint64),
        np.array([composing[pair] for pair in pairs], np.uint32),
        np.array(wholes, np.uint32),
        np.cumsum([0, *map(len, parts)], dtype=np.uint32),
        np.array(list(map(ord, "".join(parts))), np.uint32),
    ]
