"""Answers of several values: how their text is split, and what the values make together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from reasonkit.answers.numbers import Quantity

Plain: TypeAlias = "Fraction | Quantity | str | tuple[object, ...] | frozenset[object]"

_JOINS = r"(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])"
SEPARATOR = re.compile(rf",(?:\s*(?:and|or)(?![A-Za-z]))?|{_JOINS}|∨")
_BRACKET = r"(?P<bracket>[()\[\]{}])"
_COMMAS = tuple(
    re.compile(f"{_BRACKET}|{separator}")
    for separator in (r";\s*(?:(?:and|or)(?![A-Za-z]))?", SEPARATOR.pattern)
)
_UNION = re.compile(f"{_BRACKET}|∪")
_GROUPS = re.compile(r"(?<![\d,.])([1-9]\d{0,2}(?:,\d{3})+)(?![\d,]*\d)", re.ASCII)
_AND = re.compile(r"(?<![A-Za-z])and(?![A-Za-z])")


def split(text: str, union: bool = True) -> list[str] | None:
    """The parts between the outermost semicolons, else commas and words, else, of a union, ∪.

    The text alone where it has none; None if the brackets don't match.
    """
    parts: list[str] = []
    start = 0
    for separator in (*_COMMAS, _UNION) if union else _COMMAS:
        level = 0
        for found in separator.finditer(text):
            if found["bracket"]:
                level += 1 if found["bracket"] in "([{" else -1
            elif level == 0:
                parts.append(text[start : found.start()])
                start = found.end()
            if level < 0:
                return None
        if level:
            return None
        if parts:
            break
    return [*parts, text[start:]]


def members(text: str) -> list[str]:
    """The parts of a tidied answer that has separators between them; else the answer alone."""
    return [part.strip() for part in split(ungrouped(text), union=False) or [text]]


def ungrouped(text: str) -> str:
    """The text with no commas that group thousands."""
    return _GROUPS.sub(lambda grouped: grouped[0].replace(",", ""), text)


def without_names(value: object) -> tuple[Plain, ...]:
    """What ``x = 1, y = 2`` may also be written as: ``(1, 2)``, or 1 and 2; nothing for others."""
    members = value if isinstance(value, frozenset) else frozenset()
    pairs = [m for m in members if isinstance(m, tuple) and m[0] == "="]
    if not pairs:
        return ()
    values = [pair[2] for pair in sorted(pairs, key=lambda pair: str(pair[1]))]
    return ("(", *values, ")"), ("[", *values, "]"), frozenset(values)


def matrix(rows: Sequence[Sequence[object]]) -> Plain | None:
    """The rows as a matrix, one row or column as a vector; None where they differ in length."""
    if len({len(row) for row in rows}) != 1:
        return None
    if len(rows) == 1 or len(rows[0]) == 1:
        return ("vector", *(cell for row in rows for cell in row))
    return ("matrix", *(("vector", *row) for row in rows))


def overlap(text: str, values: Sequence[Plain]) -> Plain | None:
    """``x > 1 and x < 3`` as the one interval that both leave; None for others."""
    above = [v for v in values if isinstance(v, tuple) and v[2:3] == (("∞", 1),)]
    below = [v for v in values if isinstance(v, tuple) and v[1:2] == (("∞", -1),)]
    if len(values) != 2 or len(above) != 1 or len(below) != 1 or not _AND.search(text):
        return None
    (opening, low, *_), (_, _, high, closing) = above[0], below[0]
    if not (isinstance(low, Fraction) and isinstance(high, Fraction) and low < high):
        return None
    return (opening, low, high, closing)


def compound(values: Sequence[object]) -> Plain | None:
    """``3 hours and 20 minutes`` as one quantity; None for others."""
    parts = [value for value in values if isinstance(value, Quantity) and value.shown]
    if len(parts) < max(2, len(values)) or len({part.dimension for part in parts}) > 1:
        return None
    sizes = [part.amount / part.shown for part in parts]
    if not all(one > other for one, other in itertools.pairwise(sizes)):
        return None
    total = sum((part.amount for part in parts), Fraction(0))
    return Quantity(total, parts[0].dimension, total / sizes[0])


def as_set(values: Sequence[Plain]) -> Plain:
    """Values in any order; one of its own where they are the same."""
    members: set[object] = set()
    for value in values:
        nested = isinstance(value, frozenset) and not without_names(value)
        members |= value if nested and isinstance(value, frozenset) else {value}
    return values[0] if len(set(values)) == 1 else frozenset(members)
