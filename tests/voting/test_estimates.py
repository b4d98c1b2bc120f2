"""Estimates from a pool against brute force over its subsets."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.voting import curves
from reasonkit.voting.ballots import BLANK, Ballots
from reasonkit.voting.curves import estimate, pass_at_k, sizes, subsets
from reasonkit.voting.playing import play
from reasonkit.voting.strategies import STRATEGIES, Rules

POOLED = [s for s in STRATEGIES.values() if s.pooled]


def ballots_of(samples: list) -> Ballots:
    """From (class, eighths of confidence, eighths of score, tokens); class 0 is right."""
    classes, confidence, scores, tokens = zip(*samples, strict=True)
    count = max(classes) + 1
    return Ballots(
        classes=np.array(classes),
        tokens=np.array(tokens),
        confidence=np.array(confidence) / 8,
        scores=np.array(scores) / 8,
        steady=np.array(confidence) / 4,
        certainty=np.array(scores) / 4,
        answers=tuple(map(str, range(count))),
        right=tuple(number == 0 for number in range(count)),
    )


def pools(most: int) -> st.SearchStrategy[Ballots]:
    sample = st.tuples(
        st.integers(BLANK, 3), st.integers(0, 8), st.integers(0, 8), st.integers(1, 30)
    )
    return st.lists(sample, min_size=1, max_size=most).map(ballots_of)


@given(pools(8), st.data())
@pytest.mark.parametrize("strategy", POOLED, ids=lambda s: s.name)
def test_an_estimate_is_the_mean_over_all_subsets(
    strategy: object, pool: Ballots, data: object
) -> None:
    k = data.draw(st.integers(1, len(pool)))
    rules = Rules(n=k, top_k=2, round_size=2)
    played = []
    for places in combinations(range(len(pool)), k):
        part = pool.taken(np.array(places))
        played.append(play(strategy.procedure(rules, "asked"), {"asked": part}))
    found = estimate(strategy, pool, rules)
    assert found.accuracy == pytest.approx(np.mean([p.elected.right for p in played]))
    assert found.tokens == pytest.approx(np.mean([p.tokens for p in played]))


@given(pools(12))
def test_at_the_size_of_the_pool_an_estimate_is_what_the_strategy_does(pool: Ballots) -> None:
    rules = Rules(n=len(pool))
    for strategy in POOLED:
        played = play(strategy.procedure(rules, "asked"), {"asked": pool})
        assert estimate(strategy, pool, rules).accuracy == played.elected.right


@given(pools(10))
def test_with_one_sample_every_selection_is_right_as_often_as_the_samples(pool: Ballots) -> None:
    for strategy in POOLED:
        expected = pool.correct.mean()
        assert estimate(strategy, pool, Rules(n=1)).accuracy == pytest.approx(expected)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))
    )
)
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(sizes: tuple[int, int, int]) -> None:
    n, right, k = sizes
    solved = [min(chosen) < right for chosen in combinations(range(n), k)]
    assert pass_at_k(n, right, k) == pytest.approx(np.mean(solved))


@given(pools(10), st.data())
def test_no_selection_beats_pass_at_k(pool: Ballots, data: object) -> None:
    k = data.draw(st.integers(1, len(pool)))
    ceiling = pass_at_k(len(pool), int(pool.correct.sum()), k)
    for strategy in POOLED:
        assert estimate(strategy, pool, Rules(n=k)).accuracy <= ceiling + 1e-12


def test_pass_at_k_refuses_more_samples_than_there_are() -> None:
    with pytest.raises(ValueError, match="no 5 samples"):
        pass_at_k(4, 1, 5)


def test_random_subsets_give_every_sample_the_same_chance() -> None:
    n, k = 32, 8
    assert comb(n, k) > curves.MOST_SUBSETS
    drawn = np.concatenate([subsets(n, k, seed) for seed in range(40)])
    assert (np.diff(drawn, axis=1) > 0).all()
    share = np.bincount(drawn.ravel(), minlength=n) / len(drawn)
    assert np.abs(share - k / n).max() < 0.02


def test_random_subsets_estimate_a_majority_without_bias() -> None:
    right = 10
    pool = ballots_of([(0 if i < right else 1, 4, 4, 1) for i in range(24)])
    k = 7
    exact = sum(comb(right, c) * comb(24 - right, k - c) for c in range(4, k + 1)) / comb(24, k)
    found = [
        estimate(STRATEGIES["majority"], pool, Rules(n=k), seed).accuracy for seed in range(60)
    ]
    assert np.mean(found) == pytest.approx(exact, abs=4 * np.std(found) / 60**0.5)


@given(st.integers(1, 1000))
def test_sizes_double_up_to_n(n: int) -> None:
    found = sizes(n)
    assert found[0] == 1 and found[-1] == n
    assert all(b <= 2 * a for a, b in pairwise(found))
    assert len(set(found)) == len(found)
