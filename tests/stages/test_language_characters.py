"""The characters of this Python as kernels look them up, against asking for each of them."""

from __future__ import annotations

import unicodedata

import numpy as np

from corpusmill.stages.character_pages import CODE_POINTS
from corpusmill.stages.kernels.language_normal_form import CLASS, COMPOSED, COMPOSES, UNSTABLE
from corpusmill.stages.kernels.language_sample import ALPHABETIC, IRREGULAR, LOWER, SPACE, UPPER
from corpusmill.stages.language_characters import characters


def test_characters_are_those_of_plain_python() -> None:
    table = characters()
    codes = np.arange(CODE_POINTS)
    traits = table.pages[table.page_of[codes >> 7], codes & 127].tolist()
    lower = table.lower[table.page_of[codes >> 7], codes & 127].tolist()
    whole = dict(zip(table.wholes.tolist(), np.split(table.parts, table.part_bounds[1:-1]), strict=True))
    composes = dict(zip(table.pairs.tolist(), table.compounds.tolist(), strict=True))
    seconds = {pair & (1 << 21) - 1 for pair in composes}
    assert table.pairs.tolist() == sorted(composes)
    assert table.wholes.tolist() == sorted(whole)
    for code in range(0x40000):
        sign = chr(code)
        bits = UPPER * sign.isupper() + LOWER * sign.islower() + ALPHABETIC * sign.isalpha() + SPACE * sign.isspace()
        small = sign.lower()
        bits |= IRREGULAR if len(small) > 1 or sign == "Σ" else 0
        assert lower[code] == (ord(small) - code if len(small) == 1 else 0), hex(code)
        stays = unicodedata.normalize("NFC", sign) == sign
        bits |= UNSTABLE if not stays or code in range(0x1161, 0x11C3) else 0
        apart = unicodedata.decomposition(sign)
        canonical = bool(apart) and not apart.startswith("<")
        assert (code in whole) == canonical, hex(code)
        if canonical:
            assert "".join(map(chr, whole[code].tolist())) == unicodedata.normalize("NFD", sign)
            bits |= COMPOSED
            if stays:
                first, second = (int(part, 16) for part in apart.split())
                assert composes.pop(first << 21 | second) == code
        bits |= COMPOSES if code in seconds else 0
        assert traits[code] == bits | unicodedata.combining(sign) << CLASS, hex(code)
    assert not composes
    assert not any(traits[0x40000:])
    assert not any(lower[0x40000:])


def test_nothing_is_true_of_what_is_left_out() -> None:
    signs = list(map(chr, range(0x40000, CODE_POINTS)))
    for ask in (str.isupper, str.islower, str.isalpha, str.isspace, unicodedata.combining, unicodedata.decomposition):
        assert not any(map(ask, signs))
    assert list(map(str.lower, signs)) == signs
