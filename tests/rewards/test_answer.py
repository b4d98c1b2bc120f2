"""The right answer pays, in whatever format."""

from __future__ import annotations

import pytest

from reasonkit.rewards import REWARDS
from reasonkit.types import Completion, Example, Group


def _group(reference: str, *texts: str) -> Group:
    example = Example("1", "t", ({"role": "user", "content": "What is 2+7?"},), reference)
    return Group(example, [Completion(text, (1,), "stop") for text in texts])


def test_the_right_answer_pays_one_in_every_format_and_everything_else_nothing() -> None:
    texts = ("<think>2+7=9</think><answer>9</answer>", "#### 9.0", "It is 9", "8", "", "9, no, 8")
    assert REWARDS["answer"].score(_group("9", *texts)) == [1, 1, 1, 0, 0, 0]


def test_an_answer_inside_an_unfinished_thought_pays_nothing() -> None:
    assert REWARDS["answer"].score(_group("9", "<think>2+7=9")) == [0.0]


def test_a_reference_without_a_value_gives_no_verdict() -> None:
    assert REWARDS["answer"].score(_group("", "9", "")) == [None, None]


@pytest.mark.parametrize(
    ("question", "copied", "reference"),
    [
        ("What is 2+7*3?", "2+7*3", "23"),
        ("What is $2 + 7 \\cdot 3$?", "2+7\\cdot 3", "23"),
        ("Find $\\arcsin \\left( -\\frac{1}{2} \\right)$.", "\\arcsin(-\\dfrac{1}{2})", "-\\pi/6"),
        ("Simplify $\\sqrt{242}$.", "$\\sqrt{242}$", "11\\sqrt{2}"),
    ],
)
def test_a_formula_copied_from_the_question_pays_nothing(
    question: str, copied: str, reference: str
) -> None:
    example = Example("1", "t", ({"role": "user", "content": question},), reference)
    texts = [f"<answer>{copied}</answer>", f"\\boxed{{{copied}}}", f"\\boxed{{{reference}}}"]
    group = Group(example, [Completion(text, (1,), "stop") for text in texts])
    assert REWARDS["answer"].score(group) == [0, 0, 1]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is it $\\sqrt{2}$ or $\\sqrt{3}$?", "\\sqrt{2}"),
        ("Ann has 5 apples and buys none. How many has she?", "5"),
        ("Which is red: an apple or the sky?", "an apple"),
        ("If $x=5$, what is x?", "x=5"),
        ("Write 1/2 or 0.5.", "1/2"),
    ],
)
def test_what_the_question_offers_may_be_the_answer(question: str, answer: str) -> None:
    example = Example("1", "t", ({"role": "user", "content": question},), answer)
    group = Group(example, [Completion(f"<answer>{answer}</answer>", (1,), "stop")])
    assert REWARDS["answer"].score(group) == [1.0]
