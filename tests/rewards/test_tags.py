"""Each tag pays a quarter, once, and only around something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.rewards.tags import TAGS, credit


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("<think>2+7</think><answer>9</answer>", 4),
        ("well <think>2+7</think> so <answer>9</answer> yes", 4),
        ("<think>2+7</think>9</answer>", 3),
        ("<think>2+7 so <answer>9</answer>", 3),
        ("<think>2+7", 1),
        ("9</answer>", 1),
        ("<answer>9</answer>", 2),
        ("2+7</think><answer>9</answer>", 3),
        ("", 0),
        ("9", 0),
        ("<think></think><answer></answer>", 0),
        ("<think> . </think><answer>\n</answer>", 0),
        ("<think><think>2+7</think><answer>9</answer>", 3),
        ("<answer>9</answer><answer>9</answer>", 0),
        ("<answer>9</answer><think>2+7</think>", 2),
        ("<think>2+7</think>" * 50, 0),
        ("<THINK>2+7</THINK>", 0),
    ],
)
def test_a_tag_pays_once_in_its_place_around_something(text: str, share: int) -> None:
    assert credit(text) == share / 4


@given(st.text() | st.lists(st.sampled_from([*TAGS, "9", " "]), max_size=9).map("".join))
def test_it_never_raises_and_pays_for_no_tag_that_is_missing_or_repeated(text: str) -> None:
    assert credit(text) <= sum(text.count(tag) == 1 for tag in TAGS) / 4
