"""The stopping rule against its integral, and on sequences worked out by hand."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from reasonkit.voting.ballots import BLANK
from reasonkit.voting.selection import majority
from reasonkit.voting.stopping import stops, sureness


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_closed_form_is_the_integral_of_the_beta_density(leader: int, second: int) -> None:
    exact = sum(comb(leader + second + 1, i) for i in range(leader + 1)) / 2 ** (
        leader + second + 1
    )
    found = float(sureness(np.array(leader), np.array(second)))
    assert found == pytest.approx(exact, rel=1e-12)
    assert found == pytest.approx(beta(leader + 1, second + 1).sf(0.5), abs=1e-12)


def test_the_closed_form_is_that_of_a_dirichlet_over_any_number_of_answers() -> None:
    shares = np.random.default_rng(0).dirichlet([5 + 1, 2 + 1, 1 + 1, 0 + 1], 200_000)
    drawn = (shares[:, 0] > shares[:, 1]).mean()
    assert float(sureness(np.array(5), np.array(2))) == pytest.approx(drawn, abs=0.005)


def length(classes: list[int], threshold: float = 0.95, round_size: int = 1, most: int = 40) -> int:
    return int(stops(np.array([classes]), threshold, round_size, most)[0])


def test_four_unanimous_samples_are_enough_and_three_are_not() -> None:
    assert length([0, 0, 0]) == 40
    assert length([0, 0, 0, 0, 0]) == 4
    assert length([0, 1, 0, 0, 0, 0, 0]) == 7


def test_it_looks_after_whole_rounds_only() -> None:
    assert length([0] * 10, round_size=3) == 6


def test_blank_samples_are_no_votes() -> None:
    assert length([0, BLANK, 0, BLANK, 0, 0]) == 6
    assert length([BLANK] * 10) == 40


def test_it_stops_when_the_runner_up_can_not_catch_up() -> None:
    assert length([0, 1, 0, 1, 0, 0, 0, 1], threshold=1.0, most=8) == 7
    assert length([0, 1, 0, 1, 0, 0, 1, 0], threshold=1.0, most=8) == 8


@given(
    st.lists(st.integers(BLANK, 3), min_size=1, max_size=24),
    st.integers(1, 5),
    st.floats(0.5, 1),
    st.integers(0, 4),
)
def test_what_comes_later_does_not_change_when_it_stopped(
    classes: list[int], round_size: int, threshold: float, more: int
) -> None:
    most = len(classes) + more
    stopped = length(classes, threshold, round_size, most)
    for k in range(1, len(classes) + 1):
        known = length(classes[:k], threshold, round_size, most)
        assert known == (stopped if stopped <= k else most)


@given(st.lists(st.integers(BLANK, 3), min_size=1, max_size=24), st.integers(1, 4))
def test_stopping_only_when_decided_never_changes_the_majority(
    classes: list[int], round_size: int
) -> None:
    stopped = length(classes, 1.1, round_size, len(classes))
    whole, part = np.array([classes]), np.array([classes[:stopped]])
    assert majority(part, np.ones(part.shape)) == majority(whole, np.ones(whole.shape))
