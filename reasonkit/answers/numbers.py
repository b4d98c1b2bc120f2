r"""The exact value of an answer that is one plain number, with or without a unit, without sympy.

Integers, decimals, ``a/b``, ``1 1/2``, ``\frac{a}{b}``, thousands separators, scientific notation,
repeating decimals, "5 million", money, numbers in English words. Nothing is rounded: 0.333 is not
1/3. A percent sign is a unit (`reasonkit.answers.units`). Left out: powers other than those of ten.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction

from reasonkit.answers.units import Unit, is_known, unit

LARGEST_EXPONENT = 1000
"""A number with a larger power of ten is treated as having no value."""

_DIGITS = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d{1,3}(?:\ \d{3})+(?![\d/])|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_CURRENCY = r"(?:[$€£¥₹¢]|(?:USD|EUR|GBP|JPY|CNY|RMB|INR|CAD|AUD)(?![A-Za-z])|Rs\.?)"
_SIGN = rf"(?P<money>{_CURRENCY})?\s*(?P<sign>[-+]?)\s*(?P<coin>{_CURRENCY})?\s*"
_DEGREE = r"(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree(?![a-z]))(?:\s*[CF](?![A-Za-z]))?"
_NUMBER = re.compile(
    rf"""{_SIGN}
    (?:(?P<whole>{_DIGITS})\s+(?P<part>\d+/\d+)
      |(?P<top>{_DECIMAL})(?:\s*/\s*(?P<bottom>{_DECIMAL})
        |[eE](?P<e>[-+]?\d+)
        |\s*[*x×·]\s*10\s*(?:\^|\*\*)\s*[{{(]?\s*(?P<power>[-+]?\d+)(?:\s*[)}}])?)?)
    (?:\s*(?P<mark>\\?%|{_CURRENCY}|{_DEGREE}))?
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
_DECIMAL_COMMA = re.compile(
    rf"(?P<ahead>{_SIGN}\d+),(?P<decimals>\d+)(?![\d,]|\s*[,/])(?P<rest>.*)", re.ASCII
)
_GROUPED = re.compile(r"[1-9]\d{0,2},\d{3}(?!\d)", re.ASCII)
_TEXT = re.compile(r"\\(?:text|mbox|textbf|textit|textrm|textnormal|mathrm)\s*\{([^{}]*)\}")
_UNIT_RATIO = re.compile(
    rf"\\[dt]?frac\s*\{{\s*{_TEXT.pattern}\s*\}}\s*\{{\s*{_TEXT.pattern}\s*\}}"
)

SCALES = {"dozen": 12, "hundred": 100} | {
    word: 1000**power
    for power, word in enumerate(("thousand", "million", "billion", "trillion"), 1)
}
_SHORT_UNIT = r"cm|dm|ft|gb|hr|in|kb|kg|km|lb|mb|mg|mi|ml|mm|oz|tb|yd"
_ATTACHED = rf"{_SHORT_UNIT}|hrs|kmh|kph|lbs|min|mph|sec|m(?=\s*\^|/)"
_POWER = r"(?:\s*\^\s*(?:[23]|\{\s*[23]\s*\}))?"
_LETTER = r"(?-i:[mgshLlNJWV])(?![A-Za-z])"
_WORD = rf"(?:{_SHORT_UNIT}|{_LETTER}|[^\W\d_]{{3,}}|by(?![A-Za-z])){_POWER}\.?"
_UNIT = re.compile(
    rf"(?:(?:{_ATTACHED}){_POWER}|\s*\\unit\{{[^{{}}]*\}}{_POWER}"
    rf"|\s+{_WORD}(?:(?:\s*/\s*|\s+){_WORD}){{0,3}})(?:\s*/\s*{_WORD})?",
    re.IGNORECASE,
)
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORD_VALUES = {word: value for value, word in enumerate(_ONES)} | {
    word: 10 * value for value, word in enumerate(_TENS, 2)
}
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "hundredth": 100, "thousandth": 1000}
_ORDINALS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_PARTS |= {word: value for value, word in enumerate(_ORDINALS, 3)}
_NO_UNIT = re.compile(
    r"alpha|and|base|beta|by|choose|cos|cot|cubed|delta|divided|exp|factorial|gamma|infinity|lambda"
    r"|log|minus|mod|modulo|negative|omega|over|phi|plus|point|psi|sigma|sin|sqrt|squared|tan|tau"
    rf"|theta|through|times|versus|(?:{'|'.join(_PARTS)})s?|{'|'.join(SCALES)}"
)


def plain_text(text: str) -> str:
    r"""The text with ``\text{…}`` and its kin replaced by what is inside."""
    return " ".join(_TEXT.sub(r" \1 ", text).split())


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a unit: two are equal if they are the same amount of the same thing.

    Attributes:
        amount: in base units.
        dimension: as of `reasonkit.answers.units.Unit`.
        shown: the number as it was written.
    """

    amount: Fraction
    dimension: tuple[tuple[str, int], ...] | str
    shown: Fraction = field(compare=False)

    @property
    def is_share(self) -> bool:
        """Whether it is a percentage."""
        return self.dimension == (("%", 1),)


def number(text: str) -> Fraction | float | None:
    """The number that the text is, nan where it has no value or one too large, None for others."""
    value = quantity(text)
    return value.shown if isinstance(value, Quantity) else value


def quantity(text: str) -> Quantity | Fraction | float | None:
    """The same with its unit, where one is said."""
    text = _REPEATING.sub(
        _repeating, _FRAC.sub(r" \1\2/\3\4 ", text.replace("\\$", "$").replace("\\Omega", "Ω"))
    )
    text = " ".join(_TEXT.sub(_unit_or_words, _UNIT_RATIO.sub(r" \\unit{\1/\2} ", text)).split())
    match = _NUMBER.fullmatch(text)
    if match is None:
        return in_words(text)
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
    return counted(value * (-scale if match["sign"] == "-" else scale), _said_unit(match))


def counted(value: Fraction, said: Unit | None) -> Quantity | Fraction:
    """A number of a unit, the number alone where there is none."""
    if said is None:
        return value
    return Quantity(value * said.scale + said.offset, said.dimension, value)


def _said_unit(match: re.Match[str]) -> Unit | None:
    money, mark = match["money"] or match["coin"], match["mark"] or ""
    words = re.sub(r"\\unit\s*\{([^{}]*)\}", r" \1 ", match["unit"]).strip()
    if words and (scaled := words.split()[0].lower()) in SCALES:
        words = words[len(scaled) :].strip()
    mark = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|\\degree", "°", mark).removeprefix("\\")
    if not money:
        return unit(f"{mark} {words}".strip())
    rate = words.startswith(("/", "per "))
    return unit(f"{money.rstrip('.')} {words}" if rate else money.rstrip("."))


def in_words(text: str) -> Quantity | Fraction | None:
    """``twenty-one``, ``three quarters``, ``two hundred and five apples``; None for others."""
    words = text.casefold().replace("-", " ").strip(" .").split()
    sign = -1 if words[:1] in (["minus"], ["negative"]) else 1
    rest = words[sign < 0 :]
    whole = group = Fraction(0)
    used = 0
    for place, word in enumerate(rest):
        if word in _WORD_VALUES:
            group += _WORD_VALUES[word]
        elif word == "hundred" and used:
            group = (group or Fraction(1)) * 100
        elif word in SCALES and used and word != "dozen":
            whole, group = whole + (group or Fraction(1)) * SCALES[word], Fraction(0)
        elif word != "and" or not used:
            break
        used = place + 1
    if not used:
        return None
    value, said = whole + group, rest[used:]
    while said[:1] == ["and"]:
        said = said[1:]
    part = _PARTS.get(said[0]) or _PARTS.get(said[0].removesuffix("s")) if said else None
    if part:
        value, said = value / part, said[1:]
    if said and not (is_known(" ".join(said)) or unit_scale(" " + " ".join(said)) == 1):
        return None
    return counted(sign * value, unit(" ".join(said)))


def with_decimal_comma(text: str) -> Fraction | None:
    """The number that ``1,5`` is where a comma stands before the decimals, None for others.

    ``1,500`` is never read so: that comma groups thousands.
    """
    match = _DECIMAL_COMMA.fullmatch(text)
    if match is None or _GROUPED.search(text):
        return None
    value = number(f"{match['ahead']}.{match['decimals']}{match['rest']}")
    return value if isinstance(value, Fraction) else None


def unit_scale(said: str) -> int | None:
    """What a number is multiplied by for the sake of what follows it; None if that is no unit.

    It is 1 for a unit such as ``" cm"`` and for nothing, 1000000 for ``" million dollars"``.
    """
    words = re.findall(r"[^\W\d_]+", said.lower())
    scale = SCALES.get(words[0], 1) if said[:1] == " " and words else 1
    if scale != 1:
        said = said.lstrip()[len(words.pop(0)) :]
    if said and said != "." and not _UNIT.fullmatch(said):
        spaced = said[:1] == " " and is_known(said)
        return scale if spaced and not _NO_UNIT.fullmatch(said.strip()) else None
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
