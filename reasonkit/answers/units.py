r"""The units that people answer in: what they measure, and how much of it.

A unit that stands here has a dimension and an exact scale, so that 1 km is 1000 m and 90 minutes
are 1.5 hours. Any other (apples, marbles) is compared as a text, singular and plural being one.
"units" and "square units" say nothing and are no unit. Left out: months in days, currencies in one
another, and units that few answers are in.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts.

    Attributes:
        dimension: base units and their exponents, sorted; or, for a unit that isn't known, its
            text.
        scale: how many base units it is.
        offset: what is added to the scaled number, as for degrees Fahrenheit.
    """

    dimension: tuple[tuple[str, int], ...] | str
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)


_PREFIXES = {
    "n": ("nano", "1/1000000000"),
    "μ": ("micro", "1/1000000"),
    "m": ("milli", "1/1000"),
    "c": ("centi", "1/100"),
    "d": ("deci", "1/10"),
    "k": ("kilo", "1000"),
    "M": ("mega", "1000000"),
    "G": ("giga", "1000000000"),
    "T": ("tera", "1000000000000"),
}
_METRIC = (
    ("m", "1", "m meter metre", "nμmcdk"),
    ("g", "1", "g gram gramme", "mk"),
    ("s", "1", "s second", "m"),
    ("A", "1", "A ampere", "m"),
    ("m^3", "1/1000", "L l liter litre", "mc"),
    ("s^-1", "1", "Hz hertz", "kM"),
    ("g m s^-2", "1000", "N newton", "k"),
    ("g m^-1 s^-2", "1000", "Pa pascal", "k"),
    ("g m^2 s^-2", "1000", "J joule", "k"),
    ("g m^2 s^-2", "4184", "cal calorie", "k"),
    ("g m^2 s^-3", "1000", "W watt", "kM"),
    ("g m^2 s^-3 A^-1", "1000", "V volt", "mk"),
    ("g m^2 s^-3 A^-2", "1000", "Ω ohm", "k"),
    ("bit", "8", "B byte", "kMGT"),
)
"""Base units and exponents, scale, names and prefixes of the units that take some."""

_OTHERS: tuple[tuple[str, str], ...] = (
    ("m", "1/1000000 µm um micron, 0.0254 in inch inches, 0.3048 ft foot feet, 0.9144 yd yard"),
    ("m", "1609.344 mi mile"),
    ("g", "1 gm, 1000 kilo kgs, 1000000 t ton tonne"),
    ("g", "453.59237 lb lbs pound, 28.349523125 oz ounce"),
    ("s", "1 sec secs, 60 min minute mins, 3600 h hr hour hrs, 86400 day, 604800 week"),
    ("month", "1 month, 12 year yr yrs, 120 decade, 1200 century centuries"),
    ("A", "1 amp"),
    ("K", "1 K kelvin"),
    ("mol", "1 mol mole"),
    ("°", "1 degree deg"),
    ("rad", "1 rad radian"),
    ("%", "1 % percent pct"),
    ("bit", "1 bit, 8000 KB"),
    ("$", "1 $ dollar usd buck, 1/100 cent ¢"),
    ("€", "1 € euro eur"),
    ("£", "1 £ gbp"),
    ("¥", "1 ¥ yen jpy"),
    ("CN¥", "1 yuan cny rmb"),
    ("₹", "1 ₹ rupee inr rs"),
    ("m^2", "4046.8564224 acre, 10000 ha hectare"),
    ("m^3", "1/1000000 cc, 0.003785411784 gal gallon, 0.000946352946 qt quart"),
    ("m^3", "0.000473176473 pt pint, 0.0002365882365 cup"),
    ("m^3", "0.00001478676478125 tablespoon tbsp, 0.00000492892159375 teaspoon tsp"),
    ("m s^-1", "0.44704 mph, 1/3.6 kmh kph kmph"),
    ("g m^2 s^-2", "3600000000 kWh"),
    ("s A", "1 C coulomb"),
)
"""Base units and exponents, then scale and names, of those that take none."""

_TEMPERATURES = {
    "c": Unit((("K", 1),), Fraction(1), Fraction("273.15")),
    "f": Unit((("K", 1),), Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}
_NAMES = {"c": "c", "f": "f", "celsius": "c", "fahrenheit": "f"}

_GENERIC = frozenset(
    {"", "unit", "square unit", "cubic unit", "sq unit", "cu unit", "unit^2", "unit^3"}
)
_POWER_WORDS = re.compile(
    r"(?P<ahead>square|sq|cubic|cu)\.?\s+(?P<of>[^\W\d_]+)"
    r"|(?P<base>[^\W\d_]+)\s+(?P<behind>squared|cubed)",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?P<per>/|(?<![^\W\d_])per(?![^\W\d_]))|(?P<times>[·*⋅.×-])"
    r"|(?P<word>[^\W\d_]+|[%$€£¥₹¢°Ω])(?:(?:\s*\^\s*\{?\s*)?(?P<power>[-+]?\d)\s*\}?)?"
)
_POWER_SIGNS = str.maketrans({"²": "^2", "³": "^3", "⁻": "^-", "¹": "1"})
_IRREGULAR = {
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "feet": "foot",
    "halves": "half",
    "mice": "mouse",
    "geese": "goose",
    "knives": "knife",
    "loaves": "loaf",
}


def _named() -> dict[str, Unit]:
    rows = [(dimension, scaled.split()) for dimension, all in _OTHERS for scaled in all.split(", ")]
    for dimension, scale, names, prefixes in _METRIC:
        rows.append((dimension, [scale, *names.split()]))
        for short in prefixes:
            long, times = _PREFIXES[short]
            prefixed = [(short if len(name) < 4 else long) + name for name in names.split()]
            rows.append((dimension, [f"{_number(times) * _number(scale)}", *prefixed]))
    known: dict[str, Unit] = {}
    for dimension, (scale, *named) in rows:
        parts = [part.partition("^") for part in dimension.split()]
        exponents = sorted((base, int(power or 1)) for base, _, power in parts)
        known |= dict.fromkeys(named, Unit(tuple(exponents), _number(scale)))
    return known


def _number(text: str) -> Fraction:
    top, _, bottom = text.partition("/")
    return Fraction(top) / Fraction(bottom or "1")


_KNOWN = _named()
_FOLDED = {name.casefold(): unit for name, unit in _KNOWN.items() if len(name) > 2}


@functools.lru_cache(maxsize=4096)
def unit(text: str) -> Unit | None:
    """The unit that a text names, ``km/h`` or ``square feet``; None where it says nothing.

    One that isn't known has its own text for a dimension.
    """
    words = " ".join(text.replace("\\", " ").translate(_POWER_SIGNS).split()).strip(". ")
    plain = _singular_words(words)
    if plain in _GENERIC:
        return None
    if (scale := _temperature(words)) is not None:
        return scale
    return _product(words) or Unit(plain)


def is_known(text: str) -> bool:
    """Whether every part of the text is a unit that stands in the table."""
    found = unit(text)
    return found is not None and not isinstance(found.dimension, str)


def one_of(word: str) -> str:
    """A word in the singular, as far as English spelling tells: ``berries`` is ``berry``."""
    word = word.casefold()
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 3 and word.endswith(("ie", "ies")):
        return word.removesuffix("s")[:-2] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses", "oes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _singular_words(text: str) -> str:
    return " ".join(one_of(word) for word in text.split())


def _temperature(words: str) -> Unit | None:
    bare = words.casefold().removeprefix("degrees").removeprefix("degree").removeprefix("°").strip()
    marked = bare != words.casefold() or len(bare) > 1
    return _TEMPERATURES.get(_NAMES.get(bare, "")) if marked else None


def _known(word: str) -> Unit | None:
    if word in _KNOWN:
        return _KNOWN[word]
    if word == "°":
        return _KNOWN["degree"]
    return _FOLDED.get(word.casefold()) or _FOLDED.get(one_of(word)) or _KNOWN.get(one_of(word))


def _product(words: str) -> Unit | None:
    words = _POWER_WORDS.sub(_as_power, words)
    exponents: Counter[str] = Counter()
    scale, sign, end = Fraction(1), 1, 0
    for part in _PART.finditer(words):
        if words[end : part.start()].strip():
            return None
        end = part.end()
        if part["per"]:
            sign = -1
        if not part["word"]:
            continue
        found, power = _known(part["word"]), sign * int(part["power"] or 1)
        if found is None or isinstance(found.dimension, str):
            return None
        scale *= found.scale**power
        for base, exponent in found.dimension:
            exponents[base] += power * exponent
    if end < len(words) or not exponents:
        return None
    return Unit(tuple(sorted((b, e) for b, e in exponents.items() if e)), scale)


def _as_power(said: re.Match[str]) -> str:
    power = 2 if (said["ahead"] or said["behind"])[0] in "sS" else 3
    return f"{said['of'] or said['base']}^{power}"
