r"""The canonical value of an answer that needs no algebra, and whether two of them agree.

Numbers and quantities (`reasonkit.answers.numbers`), clock times and dates, words and
multiple-choice letters whatever their case, spacing and article, ratios, remainders, and lists of
these: ``\{1, 2\}``, ``1 and 2`` and ``2; 1`` are one set, ``(1, 2)`` and ``[1, 2)`` keep their
order and brackets, ``x > 2`` is an interval, a matrix is its rows, ``x = 5`` is 5.

Two values that are equal are one answer, for votes too. Left out: what agrees with a reference
although it leaves out a unit or a name (`reasonkit.answers.agreement`), and everything with an
unknown, a root or an operation in it.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from fractions import Fraction
from typing import TypeAlias

from reasonkit.answers.layout import LONGEST
from reasonkit.answers.numbers import Quantity, plain_text, quantity
from reasonkit.answers.times import clock, date

Plain: TypeAlias = "Fraction | Quantity | str | tuple[object, ...] | frozenset[object]"

NO_VALUE: Plain = ("no value",)
"""What a number without a value, such as 5/0, is read as."""

_WORDS = re.compile(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*")
_FORMULA_WORD = re.compile(
    r"(?<![^\W\d_])(?:pi|infinity|oo|(?:arc)?(?:sin|cos|tan|cot|sec|csc)|ln|log|exp|sqrt)"
    r"(?![^\W\d_])"
)
_ARTICLE = re.compile(r"(?:the|an?)\s+(?=[^\W\d_]{2})", re.IGNORECASE)
_CHOICE = re.compile(
    r"(?:(?i:option|choice)\s+)?(?:\(?([A-Za-z])\)?|\[([A-J])\]|\(?([A-J])[).:]\s+(?=[\w\\(-]).*)"
)
_REVERSED = re.compile(r"([\[\]])([^\[\](),;]+[,;][^\[\](),;]+)([\[\]])")
_ROWS = re.compile(r"\[\s*([^\[\](),;&]+(?:;[^\[\](),;&]+)+)\]")
_ALONG = re.compile(
    r"\s*(?P<sign>[-+]?)\s*(?P<size>\d*(?:\.\d+)?(?:/\d+)?)\s*\\(?:mathbf|hat|vec|boldsymbol|bm|bold)"
    r"\s*\{?\s*\\?(?P<axis>[ijk])(?:math)?\s*\}?\s*",
    re.ASCII,
)
_IN_BASE = re.compile(
    r"\(?([\dA-F]+)\)?\s*(?:_\s*|\(?base[ -])(?:(\d{1,2})|\{\s*(\d{1,2})\s*\})\)?", re.ASCII
)
_NAME = r"\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?"
_ASSIGNED = re.compile(
    rf"(?P<name>{_NAME}(?:\([a-z]\))?|\({_NAME}(?:\s*,\s*{_NAME})+\))\s*(?:=|\\in(?![a-z])|∈)\s*"
    r"(?P<value>[^=<>]+)"
)
_SEPARATOR = re.compile(
    r",(?:\s*(?:\\(?:text|mbox)\s*\{\s*)?(?:and|or)(?![A-Za-z])\s*\}?)?"
    r"|\\(?:text|mbox)\s*\{\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])"
    r"|\\(?:lor|vee)(?![a-z])|∨"
)
_UNION = re.compile(r"\\cup(?![a-z])|∪")
_SEMICOLON = re.compile(r";\s*(?:(?:and|or)(?![A-Za-z]))?")
_GROUPS = re.compile(r"(?<![\d,.])([1-9]\d{0,2}(?:,\d{3})+)(?![\d,]*\d)", re.ASCII)
_SPACED = re.compile(r",\s|;|(?<![A-Za-z])(?:and|or)(?![A-Za-z])")
_OPENS, _CLOSES = "([{", ")]}"
_OPERATOR = r"(?:[-+*×÷·]|\\times(?![a-z])|\\cdot(?![a-z])|\\div(?![a-z]))"
_CALCULATION = re.compile(rf"\d[\s)}}]*{_OPERATOR}[\s({{\\a-z]*\d")
_NO_CALCULATION = re.compile(r"\\(?:[dtc]?frac|times|cdot|div)(?![a-z])|[\d\s.,+*/^×÷·(){}-]")
_DEEPEST = 8

_INFINITY = re.compile(r"([-+]?)\s*(?:\\infty|∞|oo|(?:positive )?infinity|inf)", re.IGNORECASE)
_RELATIONS = {"<": "<", ">": ">", "≤": "<=", "≥": ">=", "<=": "<=", ">=": ">="} | {
    rf"\{name}": sign
    for sign, names in {
        "<": "lt",
        ">": "gt",
        "<=": "le leq leqslant",
        ">=": "ge geq geqslant",
    }.items()
    for name in names.split()
}
_RELATION = re.compile(r"<=|>=|[<>≤≥]|\\(?:leqslant|geqslant|leq|geq|le|ge|lt|gt)(?![A-Za-z])")
_UNKNOWN = re.compile(r"\\?[A-Za-z]+|[α-ω]")
_BUILDER = re.compile(
    r"\\?\{\s*(\w)\s*(?:(?:\\in(?![a-z])|∈)\s*(?:\\mathbb\s*\{?\s*R\s*\}?|ℝ)\s*)?(?:\||:|\\mid(?![a-z]))\s*(?P<said>.*?)\s*\\?\}"
)
_TO = re.compile(r"\s*(?:\{\s*:\s*\}|:|\\colon(?![a-z])|(?<=\s)to(?=\s))\s*")
_MODULO = re.compile(
    r"(?P<value>.+?)[\s,]*\(?\s*(?:\\pmod|\\bmod|\\mod|(?<![A-Za-z])mod(?:ulo)?(?![A-Za-z]))"
    r"\s*\{?\s*(?P<modulus>\d+)\s*\}?\s*\)?"
)
_MATRIX = re.compile(
    r"[(\[]?\s*\\begin\s*\{([pbB]?(?:small)?matrix|array)\}\s*(?:\{[lcr|\s]*\})?(?P<rows>.*?)"
    r"\\end\s*\{\1\}\s*[)\]]?",
    re.DOTALL,
)
_ROW = re.compile(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-z])")
_TRANSPOSED = re.compile(r"\s*\^\s*\{?\s*(?:T|\\top|\\mathsf\s*\{?T\}?|\\intercal)\s*\}?$")
_SAID = {
    **dict.fromkeys(
        ("all real numbers", "all reals", "all real number", "the real numbers", "real numbers"),
        ("(", ("∞", -1), ("∞", 1), ")"),
    ),
    **dict.fromkeys(
        (
            "no solution",
            "no solutions",
            "none",
            "empty set",
            "no real solution",
            "no real solutions",
            "empty",
        ),
        ("∅",),
    ),
    **dict.fromkeys(("undefined", "does not exist", "dne"), ("undefined",)),
}
_SIGNS = {
    r"\mathbb{R}": ("(", ("∞", -1), ("∞", 1), ")"),
    "ℝ": ("(", ("∞", -1), ("∞", 1), ")"),
    **dict.fromkeys(("∅", r"\emptyset", r"\varnothing", r"\{\}", "{}"), ("∅",)),
}


def plain(text: str) -> Plain | None:
    """The canonical value of a tidied answer (`reasonkit.answers.layout.tidy`).

    Returns:
        `NO_VALUE` where it is a number without a value, None where it takes algebra to tell or is
        longer than `reasonkit.answers.layout.LONGEST`.
    """
    return _plain(text) if len(text) <= LONGEST else None


@functools.lru_cache(maxsize=1 << 14)
def _plain(text: str) -> Plain | None:
    return _read(text, _DEEPEST)


def is_word(value: object) -> bool:
    """Whether it is words, which no formula equals, rather than a letter, which may be one."""
    return isinstance(value, str) and len(value) > 1


def is_number(value: object) -> bool:
    """Whether it is a number, with a unit or without."""
    return isinstance(value, Fraction | Quantity)


def is_calculation(text: str) -> bool:
    """Whether a tidied answer is arithmetic on plain numbers that was left undone: ``2+2*6``."""
    text = text.rpartition("=")[2]
    return (
        _CALCULATION.search(text) is not None
        and not _NO_CALCULATION.sub("", text)
        and plain(text) is None
    )


def is_flat(value: Plain | None) -> bool:
    """Whether it is a number or words, or a list of these only, with names or without."""
    members = value if isinstance(value, tuple | frozenset) else ()
    return value is not None and (
        bool(without_names(value)) or not any(isinstance(m, tuple | frozenset) for m in members)
    )


def members(text: str) -> list[str]:
    """The parts of a tidied answer that has separators between them; else the answer alone."""
    parts = _listed(_GROUPS.sub(lambda grouped: grouped[0].replace(",", ""), text))
    return [part.strip() for part in parts or [text]]


def without_names(value: object) -> tuple[Plain, ...]:
    """What ``x = 1, y = 2`` may also be written as: ``(1, 2)``, or 1 and 2; nothing for others."""
    members = value if isinstance(value, frozenset) else frozenset()
    pairs = [m for m in members if isinstance(m, tuple) and m[0] == "="]
    if not pairs:
        return ()
    values = [pair[2] for pair in sorted(pairs, key=lambda pair: str(pair[1]))]
    return ("(", *values, ")"), ("[", *values, "]"), frozenset(values)


def _read(text: str, depth: int) -> Plain | None:
    text = text.strip()
    if text in _SIGNS:
        return _SIGNS[text]
    words = plain_text(text)
    if found := clock(words) or date(words):
        return found
    amount = quantity(text)
    if amount is not None:
        return NO_VALUE if isinstance(amount, float) else amount
    if infinite := _INFINITY.fullmatch(text):
        return ("∞", -1 if infinite[1] == "-" else 1)
    for read in (_assigned, _modulo, _ratio, _interval):
        value = read(text, depth)
        if value is not None:
            return value
    if choice := _CHOICE.fullmatch(words):
        return (choice[1] or choice[2] or choice[3]).lower()
    if in_base := _IN_BASE.fullmatch(words):
        return ("in base", in_base[1].lstrip("0"), int(in_base[2] or in_base[3]))
    if _WORDS.fullmatch(words) and not (_SEPARATOR.search(text) or _FORMULA_WORD.search(words)):
        bare = _ARTICLE.sub("", words, count=1) if _ARTICLE.match(words) else words
        return _SAID.get(bare.casefold(), bare.casefold())
    return _read_list(text, depth - 1) if depth else None


def _assigned(text: str, depth: int) -> Plain | None:
    assigned = _ASSIGNED.fullmatch(text)
    return _read(assigned["value"], depth - 1) if assigned and depth else None


def _modulo(text: str, depth: int) -> Plain | None:
    match = _MODULO.fullmatch(text)
    if match is None:
        return None
    said = re.split(r"≡|\\equiv(?![a-z])", match["value"])[-1]
    value = quantity(said.strip())
    modulus = int(match["modulus"][:20])
    if not isinstance(value, Fraction) or value.denominator != 1 or not modulus:
        return None
    return ("mod", value % modulus, modulus)


def _ratio(text: str, depth: int) -> Plain | None:
    parts = [quantity(part) for part in _TO.split(text)] if _TO.search(text) else []
    numbers = [part for part in parts if isinstance(part, Fraction)]
    if len(numbers) < max(2, len(parts)) or not all(numbers):
        return None
    if len(numbers) == 2:
        return ("ratio", numbers[0] / numbers[1])
    return ("ratio", *(number / numbers[0] for number in numbers))


def _interval(text: str, depth: int) -> Plain | None:
    """``1 <= x < 3`` and ``x > 2`` as the interval; None for others."""
    if built := _BUILDER.fullmatch(text):
        text = built["said"]
    signs = [_RELATIONS[sign] for sign in _RELATION.findall(text)]
    if not 0 < len(signs) < 3 or not depth or _SEPARATOR.search(text):
        return None
    sides = [side.strip() for side in _RELATION.split(text)]
    if len(sides) == 2:
        if _UNKNOWN.fullmatch(sides[1]):
            sides.reverse()
            signs = [{"<": ">", ">": "<", "<=": ">=", ">=": "<="}[signs[0]]]
        if not _UNKNOWN.fullmatch(sides[0]):
            return None
        bound = _bound(sides[1], depth)
        if bound is None:
            return None
        if signs[0][0] == "<":
            return ("(", ("∞", -1), bound, "]" if "=" in signs[0] else ")")
        return ("[" if "=" in signs[0] else "(", bound, ("∞", 1), ")")
    if signs[0][0] != signs[1][0] or not _UNKNOWN.fullmatch(sides[1]):
        return None
    if signs[0][0] == ">":
        sides.reverse()
        signs.reverse()
    low, high = _bound(sides[0], depth), _bound(sides[2], depth)
    if low is None or high is None:
        return None
    return ("[" if "=" in signs[0] else "(", low, high, "]" if "=" in signs[1] else ")")


def _bound(text: str, depth: int) -> Plain | None:
    value = _read(text, depth - 1)
    infinite = isinstance(value, tuple) and value[0] == "∞"
    return value if infinite or is_number(value) else None


def _read_list(text: str, depth: int) -> Plain | None:
    if matrix := _MATRIX.fullmatch(_TRANSPOSED.sub("", text)):
        return _rows([row.split("&") for row in _ROW.split(matrix["rows"]) if row.strip()], depth)
    if along := _along_axes(text):
        return along
    if spaced := _ROWS.fullmatch(text):
        rows = [row.split() for row in spaced[1].split(";")]
        if len(rows[0]) > 1:
            return _rows(rows, depth)
    text = _REVERSED.sub(_as_interval, text)
    transposed = _TRANSPOSED.sub("", text)
    if transposed != text and transposed[:1] in ("(", "["):
        values = _read_all(_split(transposed[1:-1]) or [], depth)
        return ("vector", *values) if values else None
    if _SPACED.search(text):
        text = _GROUPS.sub(lambda grouped: grouped[0].replace(",", ""), text)
    if text.startswith(("\\pm", "±")):
        return _both(_read(text.removeprefix("\\pm").removeprefix("±"), depth))
    parts = _split(text)
    if parts is None:
        return None
    if len(parts) > 1:
        values = _read_all(parts, depth)
        return _named(parts, values) or _compound(values) or _overlap(text, values) or _set(values)
    for opening, closing in (("\\{", "\\}"), ("{", "}")):
        if text.startswith(opening) and text.endswith(closing):
            inside = _split(text[len(opening) : -len(closing)])
            return _set(_read_all(inside or [], depth))
    if len(text) < 2 or text[0] not in "([" or text[-1] not in ")]":
        return _next_to_each_other(text)
    inside = _split(text[1:-1])
    values = _read_all(inside or [], depth)
    if not values:
        return None
    if len(values) == 1 and text[0] + text[-1] == "()":
        return values[0]
    if text[0] + text[-1] in ("[]", "()") and all(_is_row(value) for value in values):
        cells = [value[1:-1] for value in values if isinstance(value, tuple)]
        if text[0] == "[" and len({len(row) for row in cells}) == 1:
            return _matrix([list(row) for row in cells])
    return (text[0], *values, text[-1])


def _is_row(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 2 and value[0] == "[" and value[-1] == "]"


def _as_interval(found: re.Match[str]) -> str:
    """``]2, 5[`` as it is written elsewhere: ``(2, 5)``."""
    opening, inside, closing = found.groups()
    return f"{'(' if opening == ']' else '['}{inside}{')' if closing == '[' else ']'}"


def _along_axes(text: str) -> Plain | None:
    r"""``3\mathbf{i} - 2\mathbf{j}`` as a vector; None for others."""
    sizes: dict[str, Fraction] = {}
    end = 0
    for part in _ALONG.finditer(text):
        if part.start() != end or part["axis"] in sizes:
            return None
        size = quantity(part["size"] or "1")
        if not isinstance(size, Fraction):
            return None
        sizes[part["axis"]], end = -size if part["sign"] == "-" else size, part.end()
    if end < len(text) or not {"i", "j"} <= sizes.keys():
        return None
    return ("vector", *(sizes[axis] for axis in "ijk" if axis in sizes))


def _rows(texts: list[list[str]], depth: int) -> Plain | None:
    rows = [_read_all(row, depth) for row in texts]
    return _matrix([row for row in rows if row]) if rows and all(rows) else None


def _matrix(rows: list[list[Plain]] | list[list[object]]) -> Plain | None:
    if len({len(row) for row in rows}) != 1:
        return None
    if len(rows) == 1 or len(rows[0]) == 1:
        return ("vector", *(cell for row in rows for cell in row))
    return ("matrix", *(("vector", *row) for row in rows))


def _both(value: Plain | None) -> Plain | None:
    if isinstance(value, Fraction):
        return frozenset((value, -value))
    return None


def _overlap(text: str, values: list[Plain] | None) -> Plain | None:
    """``x > 1 and x < 3`` as the one interval that both leave; None for others."""
    if values is None or len(values) != 2 or not re.search(r"(?<![A-Za-z])and(?![A-Za-z])", text):
        return None
    low = next((v for v in values if isinstance(v, tuple) and v[2:3] == (("∞", 1),)), None)
    high = next((v for v in values if isinstance(v, tuple) and v[1:2] == (("∞", -1),)), None)
    if low is None or high is None or low is high:
        return None
    if not (isinstance(low[1], Fraction) and isinstance(high[2], Fraction) and low[1] < high[2]):
        return None
    return (low[0], low[1], high[2], high[3])


def _compound(values: list[Plain] | None) -> Plain | None:
    """``3 hours and 20 minutes`` as one quantity; None for others."""
    if values is None or not all(isinstance(value, Quantity) for value in values):
        return None
    parts = [value for value in values if isinstance(value, Quantity)]
    sizes = [part.amount / part.shown if part.shown else math.inf for part in parts]
    falling = all(one > other for one, other in itertools.pairwise(sizes))
    if len({part.dimension for part in parts}) > 1 or not falling or len(parts) < 2:
        return None
    total = sum((part.amount for part in parts), Fraction(0))
    return Quantity(total, parts[0].dimension, total / Fraction(sizes[0]))


def _next_to_each_other(text: str) -> Plain | None:
    """``5 ft 3 in`` as one quantity; None for others."""
    parts = re.findall(r"\d[\d.,/]*\s*[^\W\d_]+\.?", text)
    if len(parts) < 2 or "".join("".join(parts).split()) != "".join(text.split()):
        return None
    values = [quantity(part.rstrip(".")) for part in parts]
    return (
        _compound([value for value in values if isinstance(value, Quantity)])
        if all(isinstance(value, Quantity) for value in values)
        else None
    )


def _named(parts: list[str], values: list[Plain] | None) -> Plain | None:
    """``x = 1, y = 2`` as pairs of name and value; None unless every part has a name of its own."""
    assigned = [_ASSIGNED.fullmatch(part.strip()) for part in parts]
    names = [match["name"].split("_")[0] for match in assigned if match]
    if values is None or len(names) < len(parts) or len(set(names)) < len(parts):
        return None
    return frozenset(("=", name, value) for name, value in zip(names, values, strict=True))


def _split(text: str) -> list[str] | None:
    """The parts between the outermost separators or ∪; None if the brackets don't match."""
    parts = _listed(text)
    return _split_at(_UNION, text) if parts is None or len(parts) == 1 else parts


def _listed(text: str) -> list[str] | None:
    parts = _split_at(_SEMICOLON, text)
    return _split_at(_SEPARATOR, text) if parts is None or len(parts) == 1 else parts


def _split_at(separator: re.Pattern[str], text: str) -> list[str] | None:
    level, start = 0, 0
    parts = []
    separators = {match.start(): match.end() for match in separator.finditer(text)}
    for i, character in enumerate(text):
        if level == 0 and i in separators and i >= start:
            parts.append(text[start:i])
            start = separators[i]
        elif i >= start:
            level += (character in _OPENS) - (character in _CLOSES)
            if level < 0:
                return None
    return None if level else [*parts, text[start:]]


def _read_all(parts: list[str], depth: int) -> list[Plain] | None:
    values = [_read(part, depth) for part in parts]
    if not values or any(value is None or value is NO_VALUE for value in values):
        return None
    return [value for value in values if value is not None]


def _set(values: list[Plain] | None) -> Plain | None:
    if values is None:
        return None
    members: set[object] = set()
    for value in values:
        nested = isinstance(value, frozenset) and not without_names(value)
        members |= value if nested and isinstance(value, frozenset) else {value}
    return values[0] if len(set(values)) == 1 else frozenset(members)
