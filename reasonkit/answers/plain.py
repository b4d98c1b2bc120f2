r"""The canonical value of an answer that needs no algebra: two are equal exactly if theirs are.

Numbers (`reasonkit.answers.numbers`), words and multiple-choice letters, whatever their case and
spacing, and lists of these: ``\{1, 2\}``, ``1 and 2`` and ``2; 1`` are one set, ``(1, 2)`` and
``[1, 2)`` keep their order and brackets, ``x = 5`` is 5. Left out: everything with an unknown, a
root or an operation in it.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import TypeAlias

from reasonkit.answers.layout import LONGEST
from reasonkit.answers.numbers import number, plain_text

Plain: TypeAlias = "Fraction | str | tuple[object, ...] | frozenset[object]"

NO_VALUE: Plain = ("no value",)
"""What a number without a value, such as 5/0, is read as."""

_WORDS = re.compile(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*")
_FORMULA_WORD = re.compile(
    r"(?<![^\W\d_])(?:pi|infinity|oo|(?:arc)?(?:sin|cos|tan|cot|sec|csc)|ln|log|exp|sqrt)"
    r"(?![^\W\d_])"
)
_CHOICE = re.compile(
    r"(?:(?i:option|choice)\s+)?(?:\(?([A-Za-z])\)?|\[([A-J])\]|\(?([A-J])[).:]\s+(?=[\w\\(-]).*)"
)
_IN_BASE = re.compile(r"(\d+)\s*_\s*(?:(\d)|\{\s*(\d{1,2})\s*\})", re.ASCII)
_NAME = r"\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?"
_ASSIGNED = re.compile(
    rf"(?P<name>{_NAME}(?:\([a-z]\))?|\({_NAME}(?:\s*,\s*{_NAME})+\))\s*(?:=|\\in(?![a-z]))\s*(?P<value>[^=<>]+)"
)
_SEPARATOR = re.compile(
    r",(?:\s*(?:\\(?:text|mbox)\s*\{\s*)?(?:and|or)(?![A-Za-z])\s*\}?)?"
    r"|\\(?:text|mbox)\s*\{\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])"
)
_SEMICOLON = re.compile(r";\s*(?:(?:and|or)(?![A-Za-z]))?")
_OPENS, _CLOSES = "([{", ")]}"
_OPERATOR = r"(?:[-+*×÷·]|\\times(?![a-z])|\\cdot(?![a-z])|\\div(?![a-z]))"
_CALCULATION = re.compile(rf"\d[\s)}}]*{_OPERATOR}[\s({{\\a-z]*\d")
_NO_CALCULATION = re.compile(r"\\(?:[dtc]?frac|times|cdot|div)(?![a-z])|[\d\s.,+*/^×÷·(){}-]")
_DEEPEST = 8


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


def without_names(value: Plain | None) -> tuple[Plain, ...]:
    """What ``x = 1, y = 2`` may also be written as: ``(1, 2)``, or 1 and 2; nothing for others."""
    members = value if isinstance(value, frozenset) else frozenset()
    pairs = [m for m in members if isinstance(m, tuple) and m[0] == "="]
    if not pairs:
        return ()
    values = [pair[2] for pair in sorted(pairs, key=lambda pair: str(pair[1]))]
    return ("(", *values, ")"), ("[", *values, "]"), frozenset(values)


def _read(text: str, depth: int) -> Plain | None:
    text = text.strip()
    value = number(text)
    if value is not None:
        return value if isinstance(value, Fraction) else NO_VALUE
    assigned = _ASSIGNED.fullmatch(text)
    if assigned and depth:
        return _read(assigned["value"], depth - 1)
    words = plain_text(text)
    if choice := _CHOICE.fullmatch(words):
        return (choice[1] or choice[2] or choice[3]).lower()
    if in_base := _IN_BASE.fullmatch(text):
        return ("in base", int(in_base[1]), int(in_base[2] or in_base[3]))
    if _WORDS.fullmatch(words) and not (_SEPARATOR.search(text) or _FORMULA_WORD.search(words)):
        return words.casefold()
    return _read_list(text, depth - 1) if depth else None


def _read_list(text: str, depth: int) -> Plain | None:
    parts = _split(text)
    if parts is None:
        return None
    if len(parts) > 1:
        values = _read_all(parts, depth)
        return _named(parts, values) or _set(values)
    for opening, closing in (("\\{", "\\}"), ("{", "}")):
        if text.startswith(opening) and text.endswith(closing):
            inside = _split(text[len(opening) : -len(closing)])
            return _set(_read_all(inside or [], depth))
    if len(text) < 2 or text[0] not in "([" or text[-1] not in ")]":
        return None
    inside = _split(text[1:-1])
    values = _read_all(inside or [], depth)
    if not values:
        return None
    if len(values) == 1 and text[0] + text[-1] == "()":
        return values[0]
    return (text[0], *values, text[-1])


def _named(parts: list[str], values: list[Plain] | None) -> Plain | None:
    """``x = 1, y = 2`` as pairs of name and value; None unless every part has a name of its own."""
    assigned = [_ASSIGNED.fullmatch(part.strip()) for part in parts]
    names = [match["name"].split("_")[0] for match in assigned if match]
    if values is None or len(names) < len(parts) or len(set(names)) < len(parts):
        return None
    return frozenset(("=", name, value) for name, value in zip(names, values, strict=True))


def _split(text: str) -> list[str] | None:
    """The parts between the outermost separators; None if the brackets don't match."""
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
    return values[0] if len(set(values)) == 1 else frozenset(values)
