"""Write a one-argument Python function from a sentence.

A problem chains one to three operations on ``x``. It is checked by running the function on inputs
that the sentence doesn't show. Most operations have a second wording, which abacus' corpus leaves
out: what it means has to be found out from the tests.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reasonkit.tasks.settings import setting

INPUTS = (0, 1, 2, 3, 5, 8, 13, 20)


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set."""

    steps: range = setting("operations, one after the other", range(1, 4), range(1, 4))


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a function, with ``{k}`` for its constant and ``{x}`` for what it is applied to.

    Attributes:
        others: the words in another way; the same where there are none.
    """

    words: str
    others: str
    code: str
    constants: tuple[int, ...]


OPERATIONS = (
    Operation("adds {k}", "goes up by {k}", "{x}+{k}", tuple(range(1, 10))),
    Operation("subtracts {k}", "takes away {k}", "{x}-{k}", tuple(range(1, 10))),
    Operation("multiplies by {k}", "scales by {k}", "{x}*{k}", tuple(range(2, 10))),
    Operation("halves, rounding down", "takes half, rounding down", "{x}//{k}", (2,)),
    Operation(
        "takes the remainder by {k}", "takes the remainder by {k}", "{x}%{k}", tuple(range(2, 10))
    ),
    Operation("squares", "takes the square", "{x}**2", (0,)),
    Operation(
        "raises to at least {k}", "lifts to at least {k}", "max({x},{k})", tuple(range(1, 10))
    ),
    Operation("caps at {k}", "cuts off at {k}", "min({x},{k})", tuple(range(1, 10))),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A function to write.

    Attributes:
        stages: the expression after each step; the last one is the function's body.
        careless: a body that forgets the brackets that keep the steps in order.
        reversed: a body that takes the steps in the opposite order.
        tests: input → expected output.
    """

    text: str
    steps: tuple[tuple[Operation, int], ...]
    stages: tuple[str, ...]
    careless: str
    reversed: str
    tests: tuple[tuple[int, int], ...]


def function(body: str) -> str:
    """The source of a function ``f`` that returns ``body``."""
    return f"def f(x): return {body}"


def draw(rng: random.Random, settings: Settings = Settings()) -> Problem:
    """A random problem; of two steps most often."""
    count = rng.choice([n for n in (1, 2, 2, 3) if n in settings.steps])
    steps = tuple((op, rng.choice(op.constants)) for op in rng.sample(OPERATIONS, count))
    stages = _stages(steps)
    careless = "x"
    for op, k in steps:
        careless = op.code.format(x=careless, k=k)
    value: Callable[[int], int] = eval(f"lambda x: {stages[-1]}")
    tests = tuple((x, value(x)) for x in INPUTS)
    text = _sentence([op.words.format(k=k) for op, k in steps])
    return Problem(text, steps, tuple(stages), careless, _stages(steps[::-1])[-1], tests)


def reworded(rng: random.Random, problem: Problem) -> str:
    """The sentence with each operation in one of its two wordings."""
    return _sentence([rng.choice((op.words, op.others)).format(k=k) for op, k in problem.steps])


def _sentence(words: Sequence[str]) -> str:
    listed = words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and then " + words[-1]
    return f"Write a Python function f(x) that {listed}."


def _stages(steps: Sequence[tuple[Operation, int]]) -> list[str]:
    """The expression after each step."""
    held, stages = "x", []
    for op, k in steps:
        held = op.code.format(x=held if _closed(held, op) else f"({held})", k=k)
        stages.append(held)
    return stages


def _closed(code: str, op: Operation) -> bool:
    """Whether ``code`` can be put into ``op`` without brackets."""
    return code == "x" or code.endswith(")") or "(" in op.code
