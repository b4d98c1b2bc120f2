r"""Whether an answer equals the reference answer.

Three ways, the first that applies decides:

1. *Numbers*, without sympy and exactly: integers, decimals, ``a/b``, ``1 1/2``, ``\frac{a}{b}``,
   thousands separators, a leading ``$``, scientific notation, "5 million". 0.333 is not 1/3.
2. *Words* and multiple-choice letters: the same letters, whatever the case and spacing.
3. *Everything else* by math-verify, in a process of its own (`reasonkit.answers.worker`).

A unit (``cm``, ``dollars``, ``^\circ``) is dropped, and a percent sign is a unit: ``10%`` equals
``10`` and never ``0.1``. math-verify alone would take it for both, and equality would not be
transitive. Left out: conversion between units.
"""

from __future__ import annotations

import functools
import math
import re
from fractions import Fraction

from reasonkit.answers.extraction import last_boxed
from reasonkit.answers.worker import Checker
from reasonkit.errors import DataError

LONGEST = 1000
"""Answers of more characters are compared as text only."""

LARGEST_EXPONENT = 1000
"""A number with a larger power of ten is treated as having no value."""

_DECIMAL = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(
    rf"""\$?\s*(?P<sign>[-+]?)\s*\$?\s*
    (?:(?P<whole>\d+)\s+(?P<part>\d+/\d+)
      |(?P<top>{_DECIMAL})(?:\s*/\s*(?P<bottom>{_DECIMAL})
        |[eE](?P<e>[-+]?\d+)
        |\s*(?:\\times|\\cdot|[*x×])\s*10\s*(?:\^|\*\*)\s*\{{?(?P<power>[-+]?\d+)\}}?)?)
    (?:\s*(?:\\?%|°|\^\s*\{{?\s*\\circ\s*\}}?))?
    (?:\s+(?P<words>[^\W\d_]{{2,}}(?:[/ ][^\W\d_]+){{0,3}})\s*(?:\^\s*\{{?[23]\}}?)?)?""",
    re.VERBOSE | re.ASCII,
)
_FRAC = re.compile(r"\\[dt]?frac\s*(?:\{\s*(-?\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_TEXT = re.compile(r"\\(?:text|mbox|textbf|textrm|mathrm)\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[^\W\d_][^\W\d_ '’-]*(?:[ '’-]+[^\W\d_]+)*")
_WRAPPED = re.compile(r"\$\$(.*)\$\$|\$([^$]*)\$|\\\((.*)\\\)|\\\[(.*)\\\]|\*\*(.*)\*\*")
_DELIMITERS = ("$", "\\(", "\\[", "\\boxed")

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

_checker = Checker()


def equal(candidate: str, reference: str) -> bool | None:
    """Whether ``candidate`` is the same answer as ``reference``.

    A candidate that can't be read, or takes too long to compare, is not equal.

    Returns:
        None, no verdict, where the reference itself has no value (`check_reference`).
    """
    given, wanted = _tidy(candidate), _tidy(reference)
    if not wanted:
        return None
    wanted_value = _value(wanted)
    if isinstance(wanted_value, float):
        return None
    if given == wanted:
        return True
    if not given or max(len(given), len(wanted)) > LONGEST:
        return False
    given_value = _value(given)
    if given_value is not None and wanted_value is not None:
        return given_value == wanted_value
    given_words, wanted_words = _words(given), _words(wanted)
    if given_words is not None and wanted_words is not None:
        return given_words == wanted_words
    if isinstance(given_value, float) or any(len(w or "") > 1 for w in (given_words, wanted_words)):
        return False
    return _symbolically(_formula(given), _formula(wanted))


def check_reference(reference: str) -> None:
    """Makes sure that answers can be compared with ``reference``.

    Raises:
        DataError: it is empty or has no value.
    """
    text = _tidy(reference)
    if not text or text.lower() in ("nan", "null"):
        raise DataError(f"the reference answer is empty: {reference!r}")
    value = _value(text)
    readable = not isinstance(value, float) and (
        value is not None
        or _words(text) is not None
        or (len(text) <= LONGEST and _checker.readable(_formula(text)))
    )
    if not readable:
        raise DataError(f"the reference answer can't be read: {_short(reference)}")


def _tidy(text: str) -> str:
    """The answer without what only lays it out."""
    text = " ".join(text.split())
    while True:
        bare = text.removesuffix(".").strip()
        if bare.startswith("\\boxed{") and bare.endswith("}") and last_boxed(bare) == bare[7:-1]:
            bare = bare[7:-1].strip()
        elif wrapped := _WRAPPED.fullmatch(bare):
            bare = next(inside for inside in wrapped.groups() if inside is not None).strip()
        if bare == text:
            return text
        text = bare


def _value(text: str) -> Fraction | float | None:
    """The number that the text is, nan where it has no value or one too large, None for others."""
    if len(text) > LONGEST:
        return None
    text = re.sub(r",\s*\\!\s*|\{,\}", ",", text).replace("−", "-").replace("\\$", "$")
    text = _FRAC.sub(lambda m: f" {m[1] or m[2]}/{m[3] or m[4]} ", text)
    text = _TEXT.sub(r" \1 ", text).strip()
    match = _NUMBER.fullmatch(" ".join(text.split()))
    if match is None:
        return None
    scale, *rest = re.split("[/ ]", (match["words"] or "").lower())
    units = rest if scale in _SCALES else [scale, *rest]
    if units and units[0] and not _UNIT.fullmatch(units[0]):
        return None
    if any(_NO_UNIT.fullmatch(word) or word in ("by", "or", "to") for word in units):
        return None
    exponent = int(match["e"] or match["power"] or 0)
    if abs(exponent) > LARGEST_EXPONENT:
        return math.nan
    try:
        if match["whole"]:
            value = int(match["whole"]) + Fraction(match["part"])
        else:
            top, bottom = (Fraction((match[n] or "1").replace(",", "")) for n in ("top", "bottom"))
            value = top / bottom * Fraction(10) ** exponent
    except ZeroDivisionError:
        return math.nan
    return value * _SCALES.get(scale, 1) * (-1 if match["sign"] == "-" else 1)


def _words(text: str) -> str | None:
    """The text in lower case if it is words or a choice such as ``(C)``, else None."""
    text = " ".join(_TEXT.sub(r" \1 ", text).split())
    choice = re.fullmatch(r"\(?([A-Za-z])\)?", text)
    if choice:
        return choice[1].lower()
    text = text.casefold()
    return text if _WORDS.fullmatch(text) else None


def _formula(text: str) -> str:
    return text.replace("\\$", "").replace("\\%", "").replace("%", "").replace("−", "-")


@functools.lru_cache(maxsize=1 << 16)
def _symbolically(candidate: str, reference: str) -> bool | None:
    # A delimiter inside would make several answers of one, of which math-verify takes any.
    if any(mark in candidate for mark in _DELIMITERS):
        return False
    return _checker.equal(candidate, reference)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
