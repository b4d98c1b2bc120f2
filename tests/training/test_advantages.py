"""Advantages, as the article and the papers work them out."""

from __future__ import annotations

from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.objectives import RewardScaling
from reasonkit.training.advantages import advantages

FOUR_OF_EIGHT = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
REWARDS = st.lists(st.floats(-5, 5), min_size=2, max_size=16)


def test_the_worked_example_of_two_plus_two_times_six() -> None:
    assert fmean(FOUR_OF_EIGHT) == 0.5
    assert stdev(FOUR_OF_EIGHT) == pytest.approx(0.53, abs=0.005)
    (made,) = advantages([FOUR_OF_EIGHT])
    assert made == [pytest.approx(0.94 if r else -0.94, abs=0.005) for r in FOUR_OF_EIGHT]


@given(st.lists(REWARDS, min_size=1, max_size=4), st.sampled_from(RewardScaling))
def test_a_groups_advantages_sum_to_nothing(
    groups: list[list[float]], scaling: RewardScaling
) -> None:
    for made in advantages(groups, scaling):
        assert sum(made) == pytest.approx(0, abs=1e-6 * max(1, *map(abs, made)))


@given(REWARDS)
def test_a_group_without_spread_teaches_nothing(rewards: list[float]) -> None:
    assert advantages([[rewards[0]] * 8]) == [[0.0] * 8]


def test_a_completion_without_a_verdict_takes_no_part() -> None:
    with_none, without = advantages([[1.0, None, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert with_none[1] == 0
    assert [a for i, a in enumerate(with_none) if i != 1] == without


def test_batch_scaling_divides_all_groups_by_one_deviation() -> None:
    easy, hard = advantages([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]], RewardScaling.batch)
    assert easy[3] == pytest.approx(-hard[3])
    plain = advantages([[1.0, 1.0, 1.0, 0.0]], RewardScaling.none)
    assert plain == [[0.25, 0.25, 0.25, -0.75]]
