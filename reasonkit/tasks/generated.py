"""Draws the examples of the generated tasks: distinct questions of one split."""

from __future__ import annotations

import random
from collections.abc import Callable

from reasonkit.errors import DataError
from reasonkit.tasks import arithmetic, tiny_code, word_arithmetic
from reasonkit.tasks.splits import split_of
from reasonkit.types import Example

Drawn = tuple[str, str, str]
"""What the splits are kept apart by, the prompt, the reference answer."""

PATIENCE = 20_000
"""Draws in a row that find nothing new before a split counts as exhausted."""


def _arithmetic(rng: random.Random) -> Drawn:
    expression, value = arithmetic.draw(rng)
    text = arithmetic.render(expression)
    return text, f"What is {text}?", str(value)


def _word_arithmetic(rng: random.Random) -> Drawn:
    problem = word_arithmetic.draw(rng)
    return problem.text, problem.text, str(problem.answer)


def _tiny_code(rng: random.Random) -> Drawn:
    problem = tiny_code.draw(rng)
    return problem.text, problem.text, tiny_code.function(problem.stages[-1])


DRAWERS: dict[str, Callable[[random.Random], Drawn]] = {
    "arithmetic": _arithmetic,
    "word-arithmetic": _word_arithmetic,
    "tiny-code": _tiny_code,
}


def draw(task: str, split: str, count: int) -> list[Example]:
    """The first ``count`` examples of a split; more of them begin with the same ones.

    Raises:
        DataError: the split has not so many distinct questions.
    """
    rng = random.Random(f"{task} {split}")
    found: dict[str, Example] = {}
    since = 0
    while len(found) < count:
        key, prompt, answer = DRAWERS[task](rng)
        since += 1
        if since > PATIENCE:
            raise DataError(
                f"{task}: its {split} split ends near {len(found)} questions: ask for fewer"
            )
        if split_of(key) == split and key not in found:
            since = 0
            message = {"role": "user", "content": prompt}
            found[key] = Example(f"{task}/{key}", task, (message,), answer)
    return list(found.values())
