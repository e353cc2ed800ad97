"""Sizes as people write them."""

from __future__ import annotations

import re

from corpusmill.schemas.errors import RecipeError

__all__ = ["parse_size"]

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def parse_size(size: str) -> int:
    """Return a size in bytes. KB, MB, GB and TB are powers of 1,000; KiB, MiB, GiB and TiB of 1,024.

    Raises:
        RecipeError: it is no size, or is zero.

    >>> parse_size("64MB"), parse_size("1.5 KiB"), parse_size("100")
    (64000000, 1536, 100)
    """
    match = _SIZE.fullmatch(size)
    factor = _UNITS.get(match[2].upper()) if match else None
    if match is None or factor is None or float(match[1]) * factor < 1:
        raise RecipeError(f"{size!r} is no size; write a number and a unit, for example 64MB or 1.5GiB")
    return int(float(match[1]) * factor)
