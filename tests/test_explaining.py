"""What is told of a group is what training makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from reasonkit.explaining import clipped

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_a_group_is_told_with_rewards_that_make_its_advantages(reasonkit: Callable) -> None:
    told = reasonkit("explain", "Calculate 2+2*6", "--answer", "14")
    assert told.code == 0, told.err
    rows = re.findall(r"^ \d .* ([\d.]+) +([+-][\d.]+) *$", told.out, re.MULTILINE)
    rewards, advantages = ([float(row[i]) for row in rows] for i in (0, 1))
    assert len(rows) == 8
    mean = sum(rewards) / 8
    deviation = (sum((r - mean) ** 2 for r in rewards) / 7) ** 0.5
    assert advantages == pytest.approx([(r - mean) / deviation for r in rewards], abs=0.01)
    assert f"mean of the rewards: {mean:.2f}" in told.out
    assert f"standard deviation: {deviation:.2f}" in told.out


def test_a_question_without_its_answer_is_refused(reasonkit: Callable) -> None:
    told = reasonkit("explain", "Calculate 2+2*6")
    assert told.code == 2
    assert "--answer" in told.err


def test_the_clip_bounds_gains_and_never_losses() -> None:
    assert clipped(1.5, 2.0, 0.2, 0.2) == pytest.approx(2.4)
    assert clipped(0.5, 2.0, 0.2, 0.2) == pytest.approx(1.0)
    assert clipped(1.5, -2.0, 0.2, 0.2) == pytest.approx(-3.0)
    assert clipped(0.5, -2.0, 0.2, 0.2) == pytest.approx(-1.6)
