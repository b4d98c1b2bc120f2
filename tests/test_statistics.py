"""Intervals and tests against published figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.statistics import (
    GapClosed,
    gap_closed,
    interval_of_means,
    paired_counts,
    wilson,
    wilson_of_means,
)

COUNTS = st.tuples(*[st.integers(0, 60)] * 4).filter(any)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_newcombe_1998_table_1(
    successes: int, n: int, low: float, high: float
) -> None:
    made = wilson(successes, n)
    assert (round(made.low, 4), round(made.high, 4)) == (low, high)
    assert made.accuracy == successes / n


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 16))
def test_wilson_of_means_is_wilson_where_every_mean_is_0_or_1(values: list, samples: int) -> None:
    made, plain = (
        wilson_of_means(list(map(float, values)), samples),
        wilson(sum(values), len(values)),
    )
    assert asdict(made) == pytest.approx(asdict(plain), abs=1e-9)


@pytest.mark.parametrize("spread", [0.3, 2.0, 20.0])
def test_wilson_of_means_holds_the_truth_in_95_of_100_cases(spread: float) -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        chances = rng.beta(0.3 * spread, 0.7 * spread, 60)
        made = wilson_of_means(list(rng.binomial(8, chances) / 8), 8)
        held += made.low <= 0.3 <= made.high
    assert 0.935 < held / 2000 < 0.97


def test_questions_that_agree_tell_more_but_never_more_than_their_samples() -> None:
    made, most = wilson_of_means([0.5] * 40, 16), wilson(320, 640)
    assert asdict(made) | {"n": 640} == pytest.approx(asdict(most))


def test_paired_agrees_with_the_worked_example_of_fagerland_lydersen_and_laake() -> None:
    # Statistical Analysis of Contingency Tables (2017), chapter 8: Cavo et al., 59 6 16 80.
    made = paired_counts(both=59, gained=6, lost=16, neither=80)
    assert round(made.difference, 4) == -0.0621
    assert (round(made.low, 4), round(made.high, 4)) == (-0.1186, -0.0046)
    assert made.p == pytest.approx(0.052479, abs=1e-6)
    assert made.n == 161


def test_without_discordant_pairs_p_is_1_and_the_interval_keeps_a_width() -> None:
    made = paired_counts(both=30, gained=0, lost=0, neither=70)
    assert made.difference == 0
    assert made.p == 1
    assert made.low < 0 < made.high
    # By hand for n = n: both limits are Wilson's of 1, so the deviations are z²/(n + z²).
    z2 = 1.959963984540054**2
    all_right = paired_counts(both=50, gained=0, lost=0, neither=0)
    assert all_right.high == pytest.approx(z2 / (50 + z2))
    assert all_right.low == pytest.approx(-z2 / (50 + z2))


@given(COUNTS)
def test_the_paired_interval_holds_the_difference_and_stays_in_range(
    counts: tuple[int, int, int, int],
) -> None:
    made = paired_counts(*counts)
    assert -1 - 1e-9 <= made.low <= made.difference <= made.high <= 1 + 1e-9
    assert 0 <= made.p <= 1


@given(COUNTS)
def test_swapping_before_and_after_swaps_the_sign(counts: tuple[int, int, int, int]) -> None:
    both, gained, lost, neither = counts
    one, other = paired_counts(*counts), paired_counts(both, lost, gained, neither)
    mirrored = (-other.difference, -other.high, -other.low, other.p)
    assert (one.difference, one.low, one.high, one.p) == pytest.approx(mirrored)


@given(st.integers(1, 2000), st.data())
def test_wilson_holds_the_estimate_and_stays_in_range(n: int, data: st.DataObject) -> None:
    made = wilson(data.draw(st.integers(0, n)), n)
    assert -1e-12 <= made.low <= made.accuracy + 1e-12
    assert made.accuracy - 1e-12 <= made.high <= 1 + 1e-12


def test_the_interval_over_seeds_is_students() -> None:
    made = interval_of_means([0.90, 0.92, 0.94])
    # By hand: mean 0.92, s = 0.02, t(0.975, 2) = 4.302653.
    assert made.mean == pytest.approx(0.92)
    assert made.high - made.mean == pytest.approx(4.302653 * 0.02 / 3**0.5)
    assert made.mean - made.low == pytest.approx(4.302653 * 0.02 / 3**0.5)
    assert interval_of_means([0.5, 0.5]).high == 0.5
    with pytest.raises(ValueError, match="two"):
        interval_of_means([0.9])


def closed(*sides: Sequence[bool]) -> GapClosed | None:
    return gap_closed(np.array(sides, dtype=float))


def test_the_gap_closed_is_the_share_of_the_teachers_lead() -> None:
    before = [False] * 90 + [True] * 10
    after = [False] * 40 + [True] * 60
    teacher = [False] * 10 + [True] * 90
    made = closed(before, after, teacher)
    assert made is not None
    assert made.share == pytest.approx(50 / 80)
    assert 0.5 < made.low < made.share < made.high < 0.75


def test_a_student_above_its_teacher_closes_more_than_the_gap() -> None:
    sides = ([False, False, True], [True, True, True], [False, True, True])
    made = closed(*sides)
    assert made is not None and made.share == pytest.approx(2)
    assert made.low is made.high is None


def test_the_interval_of_the_gap_closed_covers_the_truth_where_it_is_small_or_at_a_bound() -> None:
    rng = np.random.default_rng(0)
    for n, was, now, aim in ((60, 0.2, 0.4, 0.8), (40, 0.1, 0.1, 0.9), (30, 0.4, 0.5, 0.55)):
        covered = bounded = drawn = 0
        for _ in range(400):
            # One draw for the difficulty of a question, so that the sides are correlated.
            ease = rng.random(n)
            sides = [
                np.where(rng.random(n) < 0.5, ease, rng.random(n)) < p for p in (was, now, aim)
            ]
            made = closed(*sides)
            if made is None:
                continue
            drawn += 1
            if made.low is None or made.high is None:
                covered += 1
                continue
            bounded += 1
            covered += made.low <= (now - was) / (aim - was) <= made.high
        assert covered / drawn > 0.93, (n, was, now, aim)
        assert bounded / drawn > 0.95 or aim - was < 0.2
        # Where the lead is small, most samples don't tell it from none.
        assert bounded / drawn < 0.6 or aim - was > 0.2


def test_a_gap_that_is_closed_on_every_question_keeps_an_interval() -> None:
    made = closed([False] * 20, [True] * 20, [True] * 20)
    assert made is not None and made.low is not None and made.high is not None
    assert made.low < made.share == 1 < made.high


def test_without_a_lead_there_is_no_gap_to_close() -> None:
    even = [True, False]
    assert closed(even, [True, True], even) is None
