"""Worked solutions of generated tasks, as traces without a teacher."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from reasonkit.answers.reading import is_well_formed
from reasonkit.errors import RefusedError
from reasonkit.judging import judge
from reasonkit.tasks import arithmetic, half, load
from reasonkit.tasks.generated import worked
from reasonkit.types import Completion, Example, Part

TASKS = ("arithmetic", "arithmetic:digits=1-3,operands=3", "word-arithmetic", "letter-count")


def test_both_sides_of_every_step_are_equal() -> None:
    rng = random.Random(0)
    settings = arithmetic.Settings(range(2, 5), range(1, 5))
    for _ in range(300):
        expression, value = arithmetic.draw(rng, settings=settings)
        lines = arithmetic.thought(expression).splitlines()
        for line in lines:
            assert len({eval(side) for side in line.split("=")}) == 1, line
        assert lines[-1].endswith(f"={value}")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("thought", [True, False])
def test_a_trace_is_right_and_in_the_format_that_is_rewarded(task: str, thought: bool) -> None:
    for row in worked(task, 40, thought):
        asked, said = row["messages"]
        example = Example("", task, (asked,), row["answer"])
        assert judge(example, Completion(said["content"], (), "stop")).right
        assert is_well_formed(said["content"]) == thought


@pytest.mark.parametrize("task", TASKS)
def test_traces_are_of_the_half_of_train_that_is_not_reinforced(task: str) -> None:
    splits = load(task, train=400, validation=100, test=100)
    reinforced = half(task, splits, Part.rl)
    held_out = replace(reinforced, train=[*reinforced.train, *splits.validation, *splits.test])
    traced = {row["messages"][0]["content"] for row in worked(task, 100)}
    assert not traced & {example.question for example in held_out.train}
    assert traced & {example.question for example in splits.train}


def test_more_traces_begin_with_the_same_ones() -> None:
    assert worked("letter-count", 30)[:10] == worked("letter-count", 10)


def test_a_task_that_does_not_tell_how_is_refused() -> None:
    with pytest.raises(RefusedError, match="tiny-code"):
        worked("tiny-code", 5)
