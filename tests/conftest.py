"""Test ids that are the same in every process.

pytest writes the bytes of a parameter into the id of its test, and compressed bytes hold the second in which they were made.
Worker processes of pytest-xdist that collect in different seconds then refuse to run, because their tests have other names.
"""

from __future__ import annotations

import pytest


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes that are not printable by their argument; pytest numbers names that come again."""
    if isinstance(val, bytes) and not (val.isascii() and val.decode("ascii").isprintable()):
        return argname
    return None
