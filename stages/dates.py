"""Dates as pages and transports write them, in ISO 8601.

dateutil was rejected: it reads 5/3/2024 as the third of May, "May" as the fifth month of this year, and needs the clock for
both. What is read here has one meaning, or is None.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

__all__ = ["iso_date"]

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_MONTH: Final = r"(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]{0,6}"
_YEAR: Final = r"((?:1[4-9]|20)\d\d)"
_DATE_FORMS: Final = (
    (re.compile(rf"{_YEAR}([-/.]?)(\d\d?)\2(\d\d?)(?!\d)", re.ASCII), (1, 3, 4)),
    (
        re.compile(rf"(?:[a-z]{{3,9}},?\s)?\s?(\d\d?)(?:st|nd|rd|th)?[\s-]{_MONTH}\.?,?[\s-]{_YEAR}(?!\d)", re.ASCII),
        (3, 2, 1),
    ),
    (re.compile(rf"(?:[a-z]{{3,9}},?\s)?{_MONTH}\.?\s(\d\d?)(?:st|nd|rd|th)?,?\s{_YEAR}(?!\d)", re.ASCII), (3, 1, 2)),
)
_CLOCK: Final = re.compile(
    r"(?:t|,?\s)\s?(\d\d?):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?\s?(z|(?:gmt|utc)?[+-]\d\d(?::?\d\d)?|gmt|utc)?(?![\d:])",
    re.ASCII,
)
_UNIX_EPOCH: Final = (1970, 1, 1)


def iso_date(text: str | None) -> str | None:
    """Return a date or date-time in ISO 8601, or None for what is none, or cannot be.

    Read are ISO 8601 in its usual spellings and, for dates of mail and English ones, those that name the month: 5/3/2024 is two
    dates. The time is kept as given, without a zone if none was given; a zone that is only a name is left out with the
    time. Years before 1400 and the first of January 1970 are what content systems write for nothing.

    >>> iso_date("2024-03-05 10:00:00 +0100"), iso_date("Tue, 05 Mar 2024 10:00:00 GMT"), iso_date("2023-02-29")
    ('2024-03-05T10:00:00+01:00', '2024-03-05T10:00:00Z', None)
    """
    if not text:
        return None
    text = " ".join(text[:100].lower().split())
    for form, (year, month, day) in _DATE_FORMS:
        found = form.match(text)
        if found:
            name = found[month][:3]
            number = _MONTHS.get(name) or int(name)
            try:
                date = dt.date(int(found[year]), number, int(found[day]))
            except ValueError:
                return None
            if (date.year, date.month, date.day) == _UNIX_EPOCH:
                return None
            return _with_clock(date.isoformat(), text[found.end() :])
    return None


def _with_clock(date: str, rest: str) -> str | None:
    """Return *date* with the time of day that *rest* begins with, if it is one; None if it is impossible."""
    clock = _CLOCK.match(rest)
    if not clock:
        return date
    hour, minute, second, fraction, zone = clock.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 59:
        return None
    after = rest[clock.end() :].lstrip()
    if not zone and after[:1].isalpha():
        return date  # 10:00 pm, or a zone by name
    time = f"{int(hour):02}:{minute}" + (f":{second}" if second else "") + (f".{fraction}" if fraction else "")
    shift = (zone or "").removeprefix("gmt").removeprefix("utc").replace(":", "")
    if shift and shift != "z":
        if int(shift[1:3]) > 14 or int(shift[3:] or 0) > 59:
            return None
        return f"{date}T{time}{shift[:3]}:{shift[3:] or '00'}"
    return f"{date}T{time}" + ("Z" if zone else "")
