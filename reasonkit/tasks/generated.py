"""Draws the examples of the generated tasks: distinct questions of one split."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from reasonkit.errors import DataError
from reasonkit.tasks import arithmetic, general, tiny_code, word_arithmetic
from reasonkit.tasks.splits import split_of
from reasonkit.types import Example

PATIENCE = 20_000
"""Draws in a row that find nothing new before a split counts as exhausted."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question with what checks it.

    Attributes:
        key: what the splits are kept apart by.
        prompt: the question.
        answer: the reference answer; empty where there is none.
        tests: of a program, as in `Example`.
        entry_point: of a program, as in `Example`.
    """

    key: str
    prompt: str
    answer: str
    tests: tuple[Mapping[str, Any], ...] = ()
    entry_point: str | None = None


def _arithmetic(rng: random.Random) -> Drawn:
    expression, value = arithmetic.draw(rng)
    text = arithmetic.render(expression)
    return Drawn(text, f"What is {text}?", str(value))


def _word_arithmetic(rng: random.Random) -> Drawn:
    problem = word_arithmetic.draw(rng)
    return Drawn(problem.text, problem.text, str(problem.answer))


def _tiny_code(rng: random.Random) -> Drawn:
    problem = tiny_code.draw(rng)
    program = tiny_code.function(problem.stages[-1])
    tests = tuple({"input": x, "output": value} for x, value in problem.tests)
    # Two wordings of one function belong to one split.
    return Drawn(problem.text, tiny_code.reworded(rng, problem), program, tests, "f")


def _general(rng: random.Random) -> Drawn:
    text = general.draw(rng).text
    return Drawn(text, text, "")


DRAWERS: dict[str, Callable[[random.Random], Drawn]] = {
    "arithmetic": _arithmetic,
    "word-arithmetic": _word_arithmetic,
    "tiny-code": _tiny_code,
    "general": _general,
}


def draw(task: str, split: str, count: int) -> list[Example]:
    """The first ``count`` examples of a split; more of them begin with the same ones.

    Raises:
        DataError: the split has not so many distinct questions.
    """
    return list(_drawn(task, split, count))


@cache
def _drawn(task: str, split: str, count: int) -> tuple[Example, ...]:
    """The same; a recipe in stages asks for a task's questions once a stage."""
    rng = random.Random(f"{task} {split}")
    found: dict[str, Example] = {}
    since = 0
    while len(found) < count:
        drawn = DRAWERS[task](rng)
        since += 1
        if since > PATIENCE:
            raise DataError(
                f"{task}: its {split} split ends near {len(found)} questions: ask for fewer"
            )
        if split_of(drawn.key) == split and drawn.key not in found:
            since = 0
            found[drawn.key] = Example(
                f"{task}/{drawn.key}",
                task,
                ({"role": "user", "content": drawn.prompt},),
                drawn.answer,
                drawn.tests,
                drawn.entry_point,
            )
    return tuple(found.values())
