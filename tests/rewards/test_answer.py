"""The right answer pays, in whatever format."""

from __future__ import annotations

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
