"""Expressions, the ways they are worked out, and the ways people get them wrong.

An expression is a list of tokens: integers, ``+ - *`` and brackets. Every value on the way to the
right result is at least 0 and has at most twice as many digits as the integers: 0..99 for single
digits, of which the task is made where nothing is set. Leaves out division and negative numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from reasonkit.errors import DataError
from reasonkit.tasks.settings import setting

Token = int | str
Expression = list[Token]

LARGEST = 99
"""The largest value on the way, of single digits."""

OFTEN = {2: 1, 3: 3, "+": 4, "-": 3, "*": 3}
"""How often a number of operands, or an operator, is drawn beside others; 4 where none is told."""

TRIES = 5000
"""Expressions that are drawn before one of the kind is taken not to exist."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set."""

    operands: range = setting("numbers in an expression", range(2, 9), range(2, 9))
    digits: range = setting("digits of each of them", range(1, 2), range(1, 5))
    operators: str = setting("what stands between them", "+-*", "+-*")

    @property
    def largest(self) -> int:
        """The largest value on the way."""
        return int(10 ** (2 * self.digits[-1])) - 1


def render(expression: Expression) -> str:
    """The expression as text, without spaces: ``2+2*6``."""
    return "".join(map(str, expression))


def apply(left: int, operator: str, right: int) -> int:
    """The value of one operation."""
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def draw(
    rng: random.Random, operands: int | None = None, settings: Settings = Settings()
) -> tuple[Expression, int]:
    """A random expression and its value.

    Args:
        operands: how many numbers; drawn from the settings' if None.

    Raises:
        DataError: there is hardly any such expression.
    """
    several = settings.operands
    count = operands or rng.choices(several, [OFTEN.get(n, 4) for n in several])[0]
    for _ in range(TRIES):
        drawn = _tree(rng, count, settings)
        if drawn is not None and work_out(drawn[0], largest=settings.largest) is not None:
            return drawn[0], drawn[1]
    raise DataError(
        f"arithmetic: there is hardly any expression of {count} numbers with {settings.operators} "
        f"whose values stay within {settings.largest}: set fewer operands, or other operators"
    )


def _tree(rng: random.Random, count: int, settings: Settings) -> tuple[Expression, int, str] | None:
    if count == 1:
        digits = settings.digits
        number = rng.randint(10 ** (digits[0] - 1), 10 ** digits[-1] - 1)
        return [number], number, ""
    operator = rng.choices(settings.operators, [OFTEN[o] for o in settings.operators])[0]
    # People write long sums from left to right: a right-hand side is mostly short.
    right_count = min(count - 1, rng.choices((1, 2, 3), (5, 4, 1))[0])
    left = _tree(rng, count - right_count, settings)
    right = _tree(rng, right_count, settings)
    if left is None or right is None:
        return None
    value = apply(left[1], operator, right[1])
    if not 0 <= value <= settings.largest:
        return None
    sides = [left[0], right[0]]
    for index, (side, inner) in enumerate(((left[0], left[2]), (right[0], right[2]))):
        additive = inner in ("+", "-")
        if (operator == "*" and additive) or (index == 1 and operator == "-" and additive):
            sides[index] = ["(", *side, ")"]
    return [*sides[0], operator, *sides[1]], value, operator


def innermost(expression: Expression) -> tuple[int, int]:
    """The half-open span of the first innermost bracket's inside, or of the whole expression."""
    close = next((i for i, token in enumerate(expression) if token == ")"), None)
    if close is None:
        return 0, len(expression)
    start = max(i for i in range(close) if expression[i] == "(") + 1
    return start, close


def by_precedence(expression: Expression) -> int:
    """Where the next operator stands: brackets first, then ``*``, then left to right."""
    start, stop = innermost(expression)
    operators = range(start + 1, stop, 2)
    return next((i for i in operators if expression[i] == "*"), operators[0])


def left_to_right(expression: Expression) -> int:
    """Where the next operator stands for someone who ignores precedence (but minds brackets)."""
    start, _ = innermost(expression)
    return start + 1


def reduce_at(expression: Expression, index: int) -> Expression:
    """The expression with the operation at ``index`` carried out."""
    left, operator, right = expression[index - 1 : index + 2]
    assert isinstance(left, int) and isinstance(operator, str) and isinstance(right, int)
    value = apply(left, operator, right)
    start, stop = index - 1, index + 2
    while (
        start > 0
        and stop < len(expression)
        and expression[start - 1] == "("
        and expression[stop] == ")"
    ):
        start, stop = start - 1, stop + 1
    return [*expression[:start], value, *expression[stop:]]


def work_out(
    expression: Expression,
    order: Callable[[Expression], int] = by_precedence,
    largest: int = LARGEST,
) -> list[Expression] | None:
    """Every stage from the expression to a single number, one operation at a time.

    Returns:
        The stages, the first being the expression itself; None where a value is negative or above
        ``largest``.
    """
    stages = [expression]
    while len(stages[-1]) > 1:
        stage = reduce_at(stages[-1], order(stages[-1]))
        if any(isinstance(token, int) and not 0 <= token <= largest for token in stage):
            return None
        stages.append(stage)
    return stages


def by_places(left: int, operator: str, right: int) -> str:
    """One operation as it is done in the head: ``47+58=40+50+7+8=90+15=105``.

    The number on the right is taken apart into its places, in a sum the left one too, in a product
    the one with more digits; zeros as well, for a form without exceptions is learned soonest.
    """
    if operator == "*" and left > right:
        left, right = right, left
    several = places(right)
    if operator == "+":
        both = zip_longest(reversed(places(left)), reversed(several), fillvalue=0)
        pairs = list(both)[::-1]
        apart = "+".join(str(number) for pair in pairs for number in pair)
        written = [apart, "+".join(str(sum(pair)) for pair in pairs)]
    elif operator == "-":
        written = ["-".join(map(str, (left, *several)))]
    else:
        written = [
            "+".join(f"{left}*{place}" for place in several),
            "+".join(str(left * place) for place in several),
        ]
    stages = [f"{left}{operator}{right}", *written, str(apply(left, operator, right))]
    return "=".join(dict.fromkeys(stages))


def places(number: int) -> list[int]:
    """A number as its digits' values: 203 is 200, 0 and 3."""
    text = str(number)
    return [int(digit) * 10 ** (len(text) - i) for i, digit in enumerate(text, 1)]


def thought(expression: Expression) -> str:
    """An expression worked out, an operation a line, in the order of precedence."""
    lines = []
    while len(expression) > 1:
        at = by_precedence(expression)
        left, operator, right = expression[at - 1 : at + 2]
        assert isinstance(left, int) and isinstance(operator, str) and isinstance(right, int)
        lines.append(by_places(left, operator, right))
        expression = reduce_at(expression, at)
    return "\n".join(lines)


def ignore_precedence(expression: Expression) -> list[Expression] | None:
    """The mistake ``2+2*6=4*6=24``."""
    return work_out(expression, left_to_right)


def drop_brackets(expression: Expression) -> list[Expression] | None:
    """The mistake ``2*(3+4)=2*3+4=10``."""
    return _misread(expression, [token for token in expression if token not in ("(", ")")])


def slip_sign(expression: Expression) -> list[Expression] | None:
    """The mistake ``9-3+2=9+3+2=14``: the first minus is read as a plus."""
    first = expression.index("-") if "-" in expression else len(expression)
    return _misread(expression, ["+" if i == first else t for i, t in enumerate(expression)])


def _misread(expression: Expression, read: Expression) -> list[Expression] | None:
    """The stages where an expression is read as another; None where it isn't."""
    rest = work_out(read) if read != expression else None
    return None if rest is None else [expression, *rest]
