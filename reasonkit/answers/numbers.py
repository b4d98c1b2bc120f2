r"""The exact value of an answer that is one plain number, without sympy.

Integers, decimals, ``a/b``, ``1 1/2``, ``\frac{a}{b}``, thousands separators, scientific notation,
"5 million", money. Nothing is rounded: 0.333 is not 1/3. A unit (``cm``, ``dollars``, ``^\circ``)
is dropped, and a percent sign is a unit: ``10%`` is 10 and never 0.1. Left out: conversion between
units, decimal commas (``1,5`` is a list of two), numbers in words.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

LARGEST_EXPONENT = 1000
"""A number with a larger power of ten is treated as having no value."""

_DECIMAL = r"(?:(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?:\ \d{3})+(?![\d/])|\d+)(?:\.\d*)?|\.\d+)"
_CURRENCY = r"(?:[$€£¥]|[A-Z]{0,2}\$)"
_NUMBER = re.compile(
    rf"""{_CURRENCY}?\s*(?P<sign>[-+]?)\s*{_CURRENCY}?\s*
    (?:(?P<whole>\d+)\s+(?P<part>\d+/\d+)
      |(?P<top>{_DECIMAL})(?:\s*/\s*(?P<bottom>{_DECIMAL})
        |[eE](?P<e>[-+]?\d+)
        |\s*(?:\\times|\\cdot|[*x×·])\s*10\s*(?:\^|\*\*)\s*[{{(]?(?P<power>[-+]?\d+)[)}}]?)?)
    (?:\s*(?:\\?%|°|\^\s*\{{?\s*\\circ\s*\}}?|{_CURRENCY}))?
    (?:\s*(?P<unit>[^\W\d_]{{1,2}})(?:²|³|\^\s*\{{?[23]\}}?)
      |\s*\\unit\{{[^{{}}]*\}}
      |\s+(?P<words>[^\W\d_]{{2,}}(?:[/ ][^\W\d_]+){{0,3}}))?\s*(?:\^\s*\{{?[23]\}}?|²|³)?""",
    re.VERBOSE | re.ASCII,
)
_PART = r"\d[\d,]*(?:\.\d+)?"
_FRAC = re.compile(
    rf"\\[cdt]?frac\s*(?:\{{\s*([-+]?{_PART})\s*\}}|(\d))\s*(?:\{{\s*({_PART})\s*\}}|(\d))"
)
_SUPERSCRIPTED = re.compile(r"cm|dm|km|mm|mi|ft|in|yd|m")
_TEXT = re.compile(r"\\(?:text|mbox|textbf|textit|textrm|textnormal|mathrm)\s*\{([^{}]*)\}")
_LETTER_UNIT = re.compile(r"[A-Za-z](?:/[A-Za-z]+)?")

_SCALES = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_UNIT = re.compile(r"\w{3,}|am|cm|ft|gb|hr|in|kb|kg|km|lb|mb|mg|mi|ml|mm|oz|pm|tb|yd")
_NO_UNIT = re.compile(
    r"alpha|and|base|beta|choose|cos|cot|cubed|delta|divided|exp|factorial|gamma|hal(f|ves)|"
    r"infinity|lambda|log|minus|mod|modulo|negative|omega|over|phi|plus|point|psi|sigma|sin|sqrt|"
    r"squared|tan|tau|theta|through|times|versus|"
    r"(third|quarter|(four|fif|six|seven|eigh|nin|ten|hundred|thousand)th)s?|" + "|".join(_SCALES)
)


def plain_text(text: str) -> str:
    r"""The text with ``\text{…}`` and its kin replaced by what is inside."""
    return " ".join(_TEXT.sub(r" \1 ", text).split())


def number(text: str) -> Fraction | float | None:
    """The number that the text is, nan where it has no value or one too large, None for others."""
    text = _FRAC.sub(r" \1\2/\3\4 ", text.replace("\\$", "$"))
    text = _TEXT.sub(_unit_or_words, text)
    match = _NUMBER.fullmatch(" ".join(text.split()))
    if match is None or (match["unit"] and not _SUPERSCRIPTED.fullmatch(match["unit"])):
        return None
    scale, *rest = re.split("[/ ]", (match["words"] or "").lower())
    units = rest if scale in _SCALES else [scale, *rest]
    if units and units[0] and not _UNIT.fullmatch(units[0]):
        return None
    if any(_NO_UNIT.fullmatch(word) or word in ("by", "or", "to") for word in units):
        return None
    exponent = match["e"] or match["power"] or "0"
    if len(exponent) > 6 or abs(int(exponent)) > LARGEST_EXPONENT:
        return math.nan
    try:
        if match["whole"]:
            value = int(match["whole"]) + Fraction(match["part"])
        else:
            top, bottom = (_fraction(match[name] or "1") for name in ("top", "bottom"))
            value = top / bottom * Fraction(10) ** int(exponent)
    except ZeroDivisionError:
        return math.nan
    return value * _SCALES.get(scale, 1) * (-1 if match["sign"] == "-" else 1)


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").replace(" ", ""))


def _unit_or_words(match: re.Match[str]) -> str:
    inside = match[1].strip()
    return f" \\unit{{{inside}}} " if _LETTER_UNIT.fullmatch(inside) else f" {inside} "
