r"""The canonical value of an answer that needs no algebra, and whether two of them agree.

Numbers and quantities (`reasonkit.answers.numbers`), clock times and dates, words and
multiple-choice letters whatever their case, spacing and article, ratios, remainders, and lists of
these: ``\{1, 2\}``, ``1 and 2`` and ``2; 1`` are one set, ``(1, 2)`` and ``[1, 2)`` keep their
order and brackets, ``x > 2`` is an interval, a matrix is its rows, ``x = 5`` is 5.

Two values that are equal are one answer, for votes too. Left out: what agrees with a reference
although it leaves out a unit or a name (`reasonkit.answers.comparison.agree`), and everything with
an unknown, a root or an operation in it.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from reasonkit.answers import lists
from reasonkit.answers.layout import FUNCTION, LONGEST, NAME, ROW
from reasonkit.answers.lists import Plain, without_names
from reasonkit.answers.numbers import Quantity, plain_text, quantity
from reasonkit.answers.times import clock, date

NO_VALUE: Plain = ("no value",)
"""What a number without a value, such as 5/0, is read as."""

_WORDS = re.compile(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*")
_FORMULA_WORD = re.compile(rf"(?<![^\W\d_])(?:pi|infinity|oo|sqrt|{FUNCTION})(?![^\W\d_])")
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
_ASSIGNED = re.compile(
    rf"(?P<name>{NAME}|\({NAME}(?:\s*,\s*{NAME})+\))\s*[=∈]\s*(?P<value>[^=<>≤≥]+)"
)
_SPACED = re.compile(r",\s|;|(?<![A-Za-z])(?:and|or)(?![A-Za-z])")
_BESIDE = re.compile(r"\d[\d.,/]*\s*[^\W\d_]+\.?")
_CALCULATION = re.compile(r"\d[\s)}]*[-+*×÷·][\s({\\a-z]*\d")
_NO_CALCULATION = re.compile(r"\\[dtc]?frac(?![a-z])|[\d\s.,+*/^×÷·(){}-]")
_DEEPEST = 8

_INFINITY = re.compile(r"([-+]?)\s*(?:∞|oo|(?:positive )?infinity|inf)", re.IGNORECASE)
_RELATION = re.compile("[<>≤≥]")
_TURNED = str.maketrans("<>≤≥", "><≥≤")
_UNKNOWN = re.compile(r"\\?[A-Za-z]+|[α-ω]")
_BUILDER = re.compile(
    r"\\?\{\s*(\w)\s*(?:∈\s*(?:\\mathbb\s*\{?\s*R\s*\}?|ℝ)\s*)?(?:\||:|\\mid(?![a-z]))"
    r"\s*(?P<said>.*?)\s*\\?\}"
)
_TO = re.compile(r"\s*(?:\{\s*:\s*\}|:|(?<=\s)to(?=\s))\s*")
_MODULO = re.compile(
    r"(?P<value>.+?)[\s,]*\(?\s*(?:\\pmod|\\bmod|\\mod|(?<![A-Za-z])mod(?:ulo)?(?![A-Za-z]))"
    r"\s*\{?\s*(?P<modulus>\d+)\s*\}?\s*\)?"
)
_MATRIX = re.compile(
    r"[(\[]?\s*\\begin\s*\{([pbB]?(?:small)?matrix|array)\}\s*(?:\{[lcr|\s]*\})?(?P<rows>.*?)"
    r"\\end\s*\{\1\}\s*[)\]]?",
    re.DOTALL,
)
_TRANSPOSED = re.compile(r"\s*\^\s*\{?\s*(?:T|\\top|\\mathsf\s*\{?T\}?|\\intercal)\s*\}?$")
_REALS: Plain = ("(", ("∞", -1), ("∞", 1), ")")
_SAID: dict[str, Plain] = {
    **dict.fromkeys(("all real numbers", "all reals", "all real number"), _REALS),
    **dict.fromkeys(("real numbers", r"\mathbb{R}", "ℝ"), _REALS),
    **dict.fromkeys(("no solution", "no solutions", "none", "empty set", "empty"), ("∅",)),
    **dict.fromkeys(("no real solution", "no real solutions", "∅", r"\{\}", "{}"), ("∅",)),
    **dict.fromkeys(("undefined", "does not exist", "dne"), ("undefined",)),
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


def _read(text: str, depth: int) -> Plain | None:
    text = text.strip()
    if text in _SAID:
        return _SAID[text]
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
    no_word = lists.SEPARATOR.search(text) or _FORMULA_WORD.search(words)
    if not no_word and _WORDS.fullmatch(words):
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
    said = match["value"].rpartition("≡")[2]
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
    signs = _RELATION.findall(text)
    if not 0 < len(signs) < 3 or not depth or lists.SEPARATOR.search(text):
        return None
    sides = [side.strip() for side in _RELATION.split(text)]
    if len(sides) == 2:
        if _UNKNOWN.fullmatch(sides[1]):
            sides.reverse()
            signs = [signs[0].translate(_TURNED)]
        less = signs[0] in "<≤"
        sides, signs = ["-∞" if less else "∞", *sides], ["<" if less else ">", *signs]
    if not _UNKNOWN.fullmatch(sides[1]):
        return None
    if all(sign in ">≥" for sign in signs):
        sides.reverse()
        signs.reverse()
    elif any(sign in ">≥" for sign in signs):
        return None
    low, high = _bound(sides[0], depth), _bound(sides[2], depth)
    if low is None or high is None:
        return None
    return ("[" if signs[0] in "≤≥" else "(", low, high, "]" if signs[1] in "≤≥" else ")")


def _bound(text: str, depth: int) -> Plain | None:
    value = _read(text, depth - 1)
    infinite = isinstance(value, tuple) and value[0] == "∞"
    return value if infinite or is_number(value) else None


def _read_list(text: str, depth: int) -> Plain | None:
    bare = _TRANSPOSED.sub("", text)
    if matrix := _MATRIX.fullmatch(bare):
        return _rows([row.split("&") for row in ROW.split(matrix["rows"]) if row.strip()], depth)
    if along := _along_axes(text):
        return along
    if spaced := _ROWS.fullmatch(text):
        rows = [row.split() for row in spaced[1].split(";")]
        if len(rows[0]) > 1:
            return _rows(rows, depth)
    # ]2, 5[ is written (2, 5) elsewhere.
    text = _REVERSED.sub(lambda m: f"{'[('[m[1] == ']']}{m[2]}{'])'[m[3] == '[']}", text)
    if bare != text and bare[:1] in ("(", "[") and _TRANSPOSED.search(text):
        values = _read_all(lists.split(bare[1:-1]), depth)
        return ("vector", *values) if values else None
    if _SPACED.search(text):
        text = lists.ungrouped(text)
    if text.startswith("±"):
        value = _read(text.removeprefix("±"), depth)
        return frozenset((value, -value)) if isinstance(value, Fraction) else None
    parts = lists.split(text)
    if parts is None:
        return None
    if len(parts) > 1:
        values = _read_all(parts, depth)
        return (
            values
            and (
                _named(parts, values)
                or lists.compound(values)
                or lists.overlap(text, values)
                or lists.as_set(values)
            )
        ) or None
    for opening, closing in (("\\{", "\\}"), ("{", "}")):
        if text.startswith(opening) and text.endswith(closing):
            values = _read_all(lists.split(text[len(opening) : -len(closing)]), depth)
            return lists.as_set(values) if values else None
    if len(text) < 2 or text[0] not in "([" or text[-1] not in ")]":
        beside = _BESIDE.findall(text)
        alone = "".join("".join(beside).split()) == "".join(text.split())
        return lists.compound([quantity(part.rstrip(".")) for part in beside]) if alone else None
    values = _read_all(lists.split(text[1:-1]), depth)
    if not values:
        return None
    if len(values) == 1 and text[0] + text[-1] == "()":
        return values[0]
    if text[0] + text[-1] == "[]" and all(map(_is_row, values)):
        cells = [[*value[1:-1]] for value in values if isinstance(value, tuple)]
        if len({len(row) for row in cells}) == 1:
            return lists.matrix(cells)
    return (text[0], *values, text[-1])


def _is_row(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 2 and value[0] == "[" and value[-1] == "]"


def _along_axes(text: str) -> Plain | None:
    r"""``3\mathbf{i} - 2\mathbf{j}`` as a vector; None for others."""
    sizes: dict[str, Fraction] = {}
    end = 0
    for part in _ALONG.finditer(text):
        size = quantity(part["size"] or "1")
        if part.start() != end or part["axis"] in sizes or not isinstance(size, Fraction):
            return None
        sizes[part["axis"]], end = -size if part["sign"] == "-" else size, part.end()
    if end < len(text) or not {"i", "j"} <= sizes.keys():
        return None
    return ("vector", *(sizes[axis] for axis in "ijk" if axis in sizes))


def _rows(texts: list[list[str]], depth: int) -> Plain | None:
    rows = [_read_all(row, depth) for row in texts]
    return lists.matrix([row for row in rows if row]) if rows and all(rows) else None


def _named(parts: list[str], values: list[Plain]) -> Plain | None:
    """``x = 1, y = 2`` as pairs of name and value; None unless every part has a name of its own."""
    assigned = [_ASSIGNED.fullmatch(part.strip()) for part in parts]
    names = {match["name"].split("_")[0]: None for match in assigned if match}
    if len(names) < len(parts):
        return None
    return frozenset(("=", name, value) for name, value in zip(names, values, strict=True))


def _read_all(parts: list[str] | None, depth: int) -> list[Plain] | None:
    values = [_read(part, depth) for part in parts or ()]
    known = [value for value in values if value is not None and value is not NO_VALUE]
    return known if known and len(known) == len(values) else None
