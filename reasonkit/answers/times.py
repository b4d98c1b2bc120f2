"""The canonical value of a clock time or a date. Left out: time zones, seconds, dates in digits."""

from __future__ import annotations

import re

_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:\s*:\s*(?P<minute>[0-5]\d))?\s*(?:(?P<half>[ap])\.?\s?m\.?|o'?clock)?",
    re.IGNORECASE | re.ASCII,
)
_HALF_DAY = 720
_NAMED = {"noon": 720, "midnight": 0, "12 noon": 720, "12 midnight": 0}
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
MONTH = "|".join(rf"{month[:3]}(?:{month[3:]})?" for month in _MONTHS)
"""Matches the name of a month, whole or its first three letters, where case is ignored."""
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DATES = tuple(
    re.compile(pattern + r"(?:,?\s+(?P<year>\d{4}))?", re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(?P<month>{MONTH})\.?\s+{_DAY}",
        rf"(?:the\s+)?{_DAY}\s+(?:of\s+)?(?P<month>{MONTH})\.?",
    )
)


def clock(text: str) -> tuple[object, ...] | None:
    """``("clock", minutes since midnight)``; None for what is no time of a day.

    A time that leaves open whether it is before or after noon, ``3:30``, has minutes below 720 and
    ``"either"`` behind them.
    """
    if (named := _NAMED.get(text.casefold())) is not None:
        return ("clock", named)
    match = _CLOCK.fullmatch(text)
    sure = match and (match["minute"] or match["half"])
    if match is None or not (sure or "clock" in text.casefold()):
        return None
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        return ("clock", hour % 12 * 60 + minute + _HALF_DAY * (match["half"] in "pP"))
    if hour > 23 or (not match["minute"] and hour > 12):
        return None
    if hour > 12 or hour == 0 or match["hour"].startswith("0"):
        return ("clock", hour * 60 + minute)
    return ("clock", hour % 12 * 60 + minute, "either")


def date(text: str) -> tuple[object, ...] | None:
    """``("date", month, day, year or None)``; None for others."""
    for pattern in _DATES:
        if match := pattern.fullmatch(text):
            month = next(
                i for i, m in enumerate(_MONTHS, 1) if m.startswith(match["month"][:3].lower())
            )
            return ("date", month, int(match["day"]), match["year"] and int(match["year"]))
    return None
