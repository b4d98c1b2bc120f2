"""Expressions are worked out rightly, and the systematic mistakes are the ones people make."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.tasks import arithmetic, tiny_code, word_arithmetic
from reasonkit.tasks.arithmetic import render


@given(st.integers(), st.integers(2, 8))
def test_working_out_keeps_the_value_at_every_stage(seed: int, operands: int) -> None:
    expression, value = arithmetic.draw(random.Random(seed), operands)
    assert sum(isinstance(token, int) for token in expression) == operands
    stages = arithmetic.work_out(expression)
    assert stages is not None
    assert len(stages) == operands
    for stage in stages:
        assert eval(render(stage)) == value


@pytest.mark.parametrize(
    ("mistake", "expression", "worked"),
    [
        (arithmetic.ignore_precedence, [2, "+", 2, "*", 6], "2+2*6=4*6=24"),
        (arithmetic.drop_brackets, [2, "*", "(", 3, "+", 4, ")"], "2*(3+4)=2*3+4=6+4=10"),
        (arithmetic.slip_sign, [9, "-", 3, "+", 2], "9-3+2=9+3+2=12+2=14"),
    ],
)
def test_mistakes_are_those_that_people_make(
    mistake: Callable, expression: arithmetic.Expression, worked: str
) -> None:
    assert "=".join(map(render, mistake(expression))) == worked


def test_a_mistake_that_does_not_apply_is_none() -> None:
    assert arithmetic.drop_brackets([2, "+", 2]) is arithmetic.slip_sign([2, "+", 2]) is None


@given(st.integers())
def test_the_lines_of_a_word_problem_lead_to_its_answer(seed: int) -> None:
    problem = word_arithmetic.draw(random.Random(seed))
    for line in problem.lines:
        left, _, right = line.partition("=")
        assert eval(left) == int(right)
    assert problem.lines[-1].endswith(f"={problem.answer}")


@given(st.integers())
def test_a_tiny_functions_body_does_one_step_after_the_other(seed: int) -> None:
    problem = tiny_code.draw(random.Random(seed))
    space: dict = {}
    exec(tiny_code.function(problem.stages[-1]), space)
    for x, expected in problem.tests:
        value = x
        for operation, k in problem.steps:
            value = eval(operation.code.format(x=f"({value})", k=k))
        assert value == expected == space["f"](x)
