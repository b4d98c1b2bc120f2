r"""The exact value of an answer that is one plain number, without sympy.

Integers, decimals, ``a/b``, ``1 1/2``, ``\frac{a}{b}``, thousands separators, scientific notation,
repeating decimals, "5 million", money. Nothing is rounded: 0.333 is not 1/3. A unit (``cm``,
``dollars``, ``^\circ``) is dropped, and a percent sign is a unit: ``10%`` is 10 and never 0.1. Left
out: conversion between units, numbers in words, powers other than those of ten.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

LARGEST_EXPONENT = 1000
"""A number with a larger power of ten is treated as having no value."""

_DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d{1,3}(?:\ \d{3})+(?![\d/])|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_CURRENCY = r"(?:[$€£¥₹]|(?:USD|EUR|GBP|JPY|CNY|RMB|INR|CAD|AUD)(?![A-Za-z])|Rs\.?)"
_SIGN = rf"{_CURRENCY}?\s*(?P<sign>[-+]?)\s*{_CURRENCY}?\s*"
_NUMBER = re.compile(
    rf"""{_SIGN}
    (?:(?P<whole>{_DIGITS})\s+(?P<part>\d+/\d+)
      |(?P<top>{_DECIMAL})(?:\s*/\s*(?P<bottom>{_DECIMAL})
        |[eE](?P<e>[-+]?\d+)
        |\s*(?:\\times|\\cdot|[*x×·])\s*10\s*(?:\^|\*\*)\s*[{{(]?\s*(?P<power>[-+]?\d+)\s*[)}}]?)?)
    (?:\s*(?:\\?%|{_CURRENCY}|(?:\^\s*\{{?\s*\\circ\s*\}}?|°|\\degree)(?:\s*[CF](?![A-Za-z]))?))?
    (?P<unit>.*)""",
    re.VERBOSE | re.ASCII,
)
_PART = r"\d[\d,]*(?:\.\d+)?"
_FRAC = re.compile(
    rf"\\(?:[cdt]|nice|s)?frac\s*(?:\{{\s*([-+]?{_PART})\s*\}}|(\d))"
    rf"\s*(?:\{{\s*({_PART})\s*\}}|(\d))",
    re.ASCII,
)
_REPEATING = re.compile(
    r"(?<![\d,])(\d*)\.(\d*)\\overline\s*(?:\{\s*(\d{1,50})\s*\}|(\d))", re.ASCII
)
_DECIMAL_COMMA = re.compile(rf"({_SIGN}\d+),(\d+)(?![\d,]|\s*[,/])(.*)", re.ASCII)
_GROUPED = re.compile(r"[1-9]\d{0,2},\d{3}(?!\d)", re.ASCII)
_TEXT = re.compile(r"\\(?:text|mbox|textbf|textit|textrm|textnormal|mathrm)\s*\{([^{}]*)\}")
_UNIT_RATIO = re.compile(
    rf"\\[dt]?frac\s*\{{\s*{_TEXT.pattern}\s*\}}\s*\{{\s*{_TEXT.pattern}\s*\}}"
)

_SCALES = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_SHORT_UNIT = r"am|cm|dm|ft|gb|hr|in|kb|kg|km|lb|mb|mg|mi|ml|mm|oz|pm|tb|yd"
_ATTACHED = rf"{_SHORT_UNIT}|hrs|kmh|kph|lbs|min|mph|sec|m(?=\s*\^|/)"
_POWER = r"(?:\s*\^\s*(?:[23]|\{\s*[23]\s*\}))?"
_LETTER = r"(?-i:[mgshLlNJWV])(?![A-Za-z])"
_WORD = rf"(?:{_SHORT_UNIT}|{_LETTER}|[^\W\d_]{{3,}}|by(?![A-Za-z])){_POWER}\.?"
_UNIT = re.compile(
    rf"(?:(?:{_ATTACHED}){_POWER}|\s*\\unit\{{[^{{}}]*\}}{_POWER}"
    rf"|\s+{_WORD}(?:(?:\s*/\s*|\s+){_WORD}){{0,3}})(?:\s*/\s*{_WORD})?",
    re.IGNORECASE,
)
_NO_UNIT = re.compile(
    r"alpha|and|base|beta|by|choose|cos|cot|cubed|delta|divided|exp|factorial|gamma|hal(f|ves)|"
    r"infinity|lambda|log|minus|mod|modulo|negative|omega|over|phi|plus|point|psi|sigma|sin|sqrt|"
    r"squared|tan|tau|theta|through|times|versus|"
    r"(third|quarter|(four|fif|six|seven|eigh|nin|ten|hundred|thousand)th)s?|" + "|".join(_SCALES)
)


def plain_text(text: str) -> str:
    r"""The text with ``\text{…}`` and its kin replaced by what is inside."""
    return " ".join(_TEXT.sub(r" \1 ", text).split())


def number(text: str) -> Fraction | float | None:
    """The number that the text is, nan where it has no value or one too large, None for others."""
    text = _REPEATING.sub(_repeating, _FRAC.sub(r" \1\2/\3\4 ", text.replace("\\$", "$")))
    text = _TEXT.sub(_unit_or_words, _UNIT_RATIO.sub(r" \\unit{\1/\2} ", text))
    match = _NUMBER.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    scale = unit_scale(match["unit"])
    if scale is None:
        return None
    exponent = match["e"] or match["power"] or "0"
    if len(exponent) > 6 or abs(int(exponent)) > LARGEST_EXPONENT:
        return math.nan
    try:
        if match["whole"]:
            value = Fraction(match["part"])
            if value >= 1:
                return math.nan
            value += _fraction(match["whole"])
        else:
            value = _fraction(match["top"])
        if match["bottom"]:
            value /= _fraction(match["bottom"])
    except ZeroDivisionError:
        return math.nan
    if exponent != "0":
        value *= Fraction(10) ** int(exponent)
    return value * (-scale if match["sign"] == "-" else scale)


def with_decimal_comma(text: str) -> Fraction | None:
    """The number that ``1,5`` is where a comma stands before the decimals, None for others.

    ``1,500`` is never read so: that comma groups thousands.
    """
    match = _DECIMAL_COMMA.fullmatch(text)
    if match is None or _GROUPED.search(text):
        return None
    value = number(f"{match[1]}.{match[3]}{match[4]}")
    return value if isinstance(value, Fraction) else None


def unit_scale(unit: str) -> int | None:
    """What a number is multiplied by for the sake of what follows it; None if that is no unit.

    It is 1 for a unit such as ``" cm"`` and for nothing, 1000000 for ``" million dollars"``.
    """
    words = re.findall(r"[^\W\d_]+", unit.lower())
    scale = _SCALES.get(words[0], 1) if unit[:1] == " " and words else 1
    if scale != 1:
        unit = unit.lstrip()[len(words.pop(0)) :]
    if unit and unit != "." and not _UNIT.fullmatch(unit):
        return None
    return None if any(_NO_UNIT.fullmatch(word) for word in words) else scale


def _fraction(digits: str) -> Fraction:
    digits = digits.replace(",", "").replace(" ", "")
    return Fraction(int(digits)) if digits.isdecimal() else Fraction(digits)


def _repeating(decimal: re.Match[str]) -> str:
    whole, first, over, one = decimal.groups()
    period = over or one
    nines = (10 ** len(period) - 1) * 10 ** len(first)
    return f" {int(whole + first + period) - int((whole + first) or 0)}/{nines} "


def _unit_or_words(match: re.Match[str]) -> str:
    inside = match[1].strip()
    short = re.fullmatch(r"[A-Za-z](?:/[A-Za-z]+)?", inside)
    return f" \\unit{{{inside}}} " if short else f" {inside} "
