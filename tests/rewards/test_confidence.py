"""Confidence is the engine's own figure, or no verdict."""

from __future__ import annotations

from reasonkit.rewards import REWARDS
from reasonkit.types import Completion, Example, Group


def test_confidence_is_the_mean_log_probability_where_it_is_known() -> None:
    completions = [Completion("9", (1,), "stop", -0.25), Completion("9", (1,), "stop")]
    assert REWARDS["confidence"].score(Group(Example("1", "t", (), "9"), completions)) == [
        -0.25,
        None,
    ]
