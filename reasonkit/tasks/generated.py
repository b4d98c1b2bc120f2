"""Draws the examples of the generated tasks, and chats: distinct questions of one split."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

from reasonkit.tasks import arithmetic, general, tiny_code, word_arithmetic
from reasonkit.tasks.splits import distinct, part_of
from reasonkit.types import Example, Message, Part

Drawn = tuple[str, tuple[str, dict[str, Any]]]
"""What the splits are kept apart by, the question, and what checks it, as in `Example`."""


def _arithmetic(rng: random.Random) -> Drawn:
    expression, value = arithmetic.draw(rng)
    text = arithmetic.render(expression)
    return text, (f"What is {text}?", {"answer": str(value)})


def _word_arithmetic(rng: random.Random) -> Drawn:
    problem = word_arithmetic.draw(rng)
    return problem.text, (problem.text, {"answer": str(problem.answer)})


def _tiny_code(rng: random.Random) -> Drawn:
    problem = tiny_code.draw(rng)
    checks = {
        "answer": tiny_code.function(problem.stages[-1]),
        "tests": tuple({"input": x, "output": value} for x, value in problem.tests),
        "entry_point": "f",
    }
    # Two wordings of one function belong to one split.
    return problem.text, (tiny_code.reworded(rng, problem), checks)


def _general(rng: random.Random) -> Drawn:
    text = general.draw(rng).text
    return text, (text, {"answer": ""})


DRAWERS: dict[str, Callable[[random.Random], Drawn]] = {
    "arithmetic": _arithmetic,
    "word-arithmetic": _word_arithmetic,
    "tiny-code": _tiny_code,
    "general": _general,
}


@cache
def draw(task: str, split: str, count: int) -> tuple[Example, ...]:
    """The first ``count`` examples of a split; more of them begin with the same ones.

    Raises:
        DataError: the split has not so many distinct questions.
    """
    rng = random.Random(f"{task} {split}")
    found = distinct(task, split, count, lambda: DRAWERS[task](rng))
    return tuple(
        Example(f"{task}/{key}", task, ({"role": "user", "content": prompt},), **checks)
        for key, (prompt, checks) in found.items()
    )


def chats(count: int) -> list[list[Message]]:
    """So many everyday favours of the train split, each with a good answer, to be learned.

    They are of the half of that split that reinforcement learning doesn't use. What should be
    declined is not among them: that is left to preference. More of them begin with the same ones.

    Raises:
        DataError: there are not so many.
    """
    rng = random.Random("chats")

    def favour() -> tuple[str, str] | None:
        request = general.draw(rng)
        ours = part_of(f"general/{request.text}") == Part.sft and request.kind == "helpful"
        return (request.text, request.good) if ours else None

    return [
        [{"role": "user", "content": text}, {"role": "assistant", "content": good}]
        for text, good in distinct("general", "train", count, favour).items()
    ]
