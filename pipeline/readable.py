"""Numbers as people say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["aligned", "duration", "rate", "rounded", "shown", "size", "spoken"]


def duration(seconds: float) -> str:
    """Return a duration.

    >>> duration(6.25), duration(45), duration(754), duration(3725), duration(200_000)
    ('6s', '45s', '12m34s', '1h02m', '2d07h')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    for large, small, units in ((days, hour, "dh"), (hours, minute, "hm"), (minutes, second, "ms")):
        if large:
            return f"{large}{units[0]}{small:02d}{units[1]}"
    return f"{second}s"


def size(number: int) -> str:
    """Return a number of bytes, in powers of 1,000.

    >>> size(999), size(612_000_000), size(1_130_000_000)
    ('999 B', '612 MB', '1.13 GB')
    """
    for limit, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= limit:
            return f"{rate(number / limit)} {unit}"
    return f"{number} B"


def rate(number: float) -> str:
    """Return a measured value with three figures, and large ones in full.

    >>> rate(0.00327), rate(29612.0), rate(0.0)
    ('0.00327', '29,612', '0')
    """
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def rounded(number: float) -> str:
    """Return a number with two figures and its unit.

    >>> rounded(64_700), rounded(1.24e9)
    ('65 thousand', '1.2 billion')
    """
    for limit, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= limit:
            return f"{float(f'{number / limit:.2g}'):g} {name}"
    return f"{number:.0f}"


def spoken(name: str) -> str:
    """Return the name of a value as people say it.

    >>> spoken("lines_removed")
    'lines removed'
    """
    return name.replace("_", " ")


def shown(value: Any) -> str:
    """Return any value as people read it.

    >>> shown(12345), shown(0.12345), shown("example.org"), shown(None), shown(True)
    ('12,345', '0.123', 'example.org', '', 'yes')
    """
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return rate(value) if isinstance(value, float) else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines: the first column to the left, the others, numbers, to the right.

    >>> aligned([["stage", "in"], ["pack", "1,234"]])
    ['stage     in', 'pack   1,234']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([f"{row[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
