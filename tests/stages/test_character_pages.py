"""Tables of two levels say of every code point what the flat table says."""

from __future__ import annotations

import numpy as np
import pytest

from corpusmill.stages.character_pages import CODE_POINTS, every_character, paged


@pytest.mark.parametrize("length", [128, 0x20000, CODE_POINTS])
@pytest.mark.parametrize("columns", [(), (2,)])
def test_every_code_point_has_its_entry(length: int, columns: tuple[int, ...]) -> None:
    draw = np.random.default_rng(length)
    entries = np.zeros((length, *columns), np.int32)
    entries[draw.integers(0, length, 50)] = draw.integers(-9, 9, (50, *columns))
    page_of, pages = paged(entries)
    codes = np.arange(CODE_POINTS)
    found = pages[page_of[codes >> 7], codes & 127]
    assert np.array_equal(found[:length], entries)
    assert not found[length:].any()
    assert len({page.tobytes() for page in pages}) == len(pages) <= 51
    assert not page_of.flags.writeable
    assert not pages.flags.writeable


def test_every_character_is_at_its_code_point() -> None:
    assert list(map(ord, every_character())) == list(range(CODE_POINTS))
