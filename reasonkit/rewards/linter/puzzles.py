"""Number puzzles: reach a target with given numbers, each used once, and + - * /.

Left out: puzzles in which a power or another operator is allowed; where the reference uses one,
the question is no puzzle here.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from reasonkit.types import Example

_EXPRESSION = re.compile(
    r"(?!.*(?:\*\s*\*|/\s*/))[\d+\-*/()\s]*\d\s*[-+*/][\d+\-*/()\s]*", re.DOTALL
)
_NUMBER = re.compile(r"\d+", re.ASCII)
TOO_LARGE = 10**6
"""A value that is followed no further; it stands for having none, too."""

_OTHER_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "**": lambda a, b: a**b if abs(a) <= 100 and 0 <= b <= 10 else TOO_LARGE,
    "//": lambda a, b: a // b if b else TOO_LARGE,
    "%": lambda a, b: a % b if b else TOO_LARGE,
    "<<": lambda a, b: a << b if 0 <= b <= 10 else TOO_LARGE,
    "|": operator.or_,
    "^": operator.xor,
}
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, **_OTHER_OPERATORS}


@dataclass(frozen=True, slots=True)
class Puzzle:
    """The numbers that are given and the target."""

    numbers: tuple[int, ...]
    target: int


def puzzle(example: Example) -> Puzzle | None:
    """The puzzle that a question is, going by its reference answer; None if it is none.

    It is one where the reference is an expression of + - * / and whole numbers, and the question
    has these numbers and the expression's value.
    """
    if not _EXPRESSION.fullmatch(example.answer):
        return None
    try:
        # Nothing but whole numbers, brackets and four operators is evaluated.
        exact = _NUMBER.sub(r"Fraction(\g<0>)", example.answer.strip())
        value = eval(exact, {"Fraction": Fraction})
    except (SyntaxError, TypeError, ZeroDivisionError, RecursionError, MemoryError):
        return None
    given = {int(digits) for digits in _NUMBER.findall(example.question)}
    used = [int(digits) for digits in _NUMBER.findall(example.answer)]
    return Puzzle(tuple(used), int(value)) if {*used, value} <= given else None


def wrong(puzzle: Puzzle) -> str:
    """An expression of the given numbers, each once, that misses the target."""
    added = " + ".join(map(str, puzzle.numbers))
    return added if sum(puzzle.numbers) != puzzle.target else added.replace(" + ", " - ", 1)


def with_other_numbers(puzzle: Puzzle) -> list[str]:
    """Expressions that reach the target with numbers of their own."""
    target = puzzle.target
    return [f"{target}", f"{target} + 0", f"{target - 1} + 1", f"{target} * 1", f"{2 * target} / 2"]


def with_other_operators(puzzle: Puzzle) -> list[str]:
    """Expressions that reach the target with the given numbers, but not by + - * / alone.

    One for each other operator. Of more than four numbers, the puzzle is left alone: there are too
    many ways.
    """
    found: dict[str, str] = {}
    if len(puzzle.numbers) > 4:
        return []
    for order in itertools.permutations(puzzle.numbers):
        for signs in itertools.product(_OPERATORS, repeat=len(order) - 1):
            value, text = order[0], str(order[0])
            for i, (sign, number) in enumerate(zip(signs, order[1:], strict=True)):
                text = f"({text}){sign}{number}" if i else f"{text}{sign}{number}"
                value = _OPERATORS[sign](value, number)
                if abs(value) >= TOO_LARGE:
                    break
            else:
                if value == puzzle.target:
                    for sign in set(signs) & set(_OTHER_OPERATORS):
                        found.setdefault(sign, text)
    return list(dict.fromkeys(found.values()))
