"""Thresholds chosen on questions apart from the test's."""

from __future__ import annotations

import numpy as np

from reasonkit.voting.ballots import Ballots
from reasonkit.voting.strategies import STRATEGIES, Rules
from reasonkit.voting.tuning import TOLERANCE, tune


def pool(classes: list[int], tokens: int = 10) -> Ballots:
    return Ballots(
        classes=np.array(classes),
        tokens=np.full(len(classes), tokens),
        confidence=np.full(len(classes), 0.5),
        scores=np.full(len(classes), 0.5),
        steady=np.full(len(classes), 0.5),
        certainty=np.full(len(classes), 0.5),
        answers=tuple("0123456789"),
        right=tuple(number == 0 for number in range(10)),
    )


def test_where_early_votes_are_right_the_least_sure_threshold_is_cheapest() -> None:
    pools = [{"asked": pool([0] * 16)}] * 10
    tuned = tune(STRATEGIES["adaptive"], pools, Rules(n=16, round_size=1), "asked")
    assert tuned.accuracy == tuned.full_accuracy == 1
    assert tuned.tokens == 10
    assert tuned.full_tokens == 160


def test_where_early_votes_mislead_it_goes_on_for_longer() -> None:
    pools = [{"asked": pool([1, 1, 1, *[0] * 13])}] * 10
    tuned = tune(STRATEGIES["adaptive"], pools, Rules(n=16, round_size=1), "asked")
    assert tuned.accuracy >= tuned.full_accuracy - TOLERANCE
    assert tuned.rules.stop_at >= 0.95


def test_a_cascade_whose_quick_answers_are_wrong_always_thinks() -> None:
    held = {"at-once": pool([1] * 4), "thinking": pool([0] * 8, tokens=50)}
    tuned = tune(STRATEGIES["cascade"], [held] * 10, Rules(n=8), "asked")
    assert tuned.accuracy == 1
    assert tuned.rules.sure_at > 0.96
    assert tuned.full_tokens == 400


def test_a_cascade_whose_quick_answers_are_right_seldom_thinks() -> None:
    held = {"at-once": pool([0, 0, 0, 1]), "thinking": pool([0] * 8, tokens=50)}
    tuned = tune(STRATEGIES["cascade"], [held] * 10, Rules(n=8), "asked")
    assert tuned.tokens == 40
