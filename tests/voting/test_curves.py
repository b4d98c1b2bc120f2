"""Rows, difficulty, and longer against wider, on pools made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reasonkit.voting.ballots import Ballots
from reasonkit.voting.curves import PASS, by_difficulty, curves, longer_against_wider
from reasonkit.voting.strategies import Rules


def pool(right: int, n: int, tokens: int = 10) -> Ballots:
    """The first samples are right, the others wrong each in its own way."""
    classes = np.array([0] * right + list(range(1, n - right + 1)))
    count = int(classes.max()) + 1
    return Ballots(
        classes=classes,
        tokens=np.full(n, tokens),
        confidence=np.full(n, 0.5),
        scores=np.full(n, np.nan),
        steady=np.full(n, np.nan),
        certainty=np.full(n, np.nan),
        answers=tuple(map(str, range(count))),
        right=tuple(number == 0 for number in range(count)),
    )


def test_there_is_a_row_for_each_strategy_and_size() -> None:
    rows = curves([pool(2, 8), pool(0, 8)], Rules(n=8), "as asked", known=())
    assert {r.name for r in rows} == {"majority", "adaptive", PASS}
    assert [r.n for r in rows if r.name == PASS] == [1, 2, 4, 8]
    one = next(r for r in rows if (r.name, r.n) == ("majority", 1))
    assert one.accuracy == pytest.approx(0.125)
    assert (one.tokens, one.questions) == (10, 2)
    assert one.low < one.accuracy < one.high


def test_ranking_strategies_have_rows_only_where_there_are_scores() -> None:
    names = {
        r.name
        for r in curves(
            [pool(2, 4)], Rules(n=4), "as asked", known=["scores", "steady", "certainty"]
        )
    }
    assert {"weighted", "best-of-n", "top-k-vote", "deepconf-low", "borda"} <= names


def test_accuracy_at_one_sample_is_known_better_than_from_one_sample_a_question() -> None:
    pools = [pool(4, 8) for _ in range(50)]
    rows = curves(pools, Rules(n=8), "as asked", known=())
    widths = {r.n: r.high - r.low for r in rows if r.name == "majority"}
    assert widths[1] < 0.1 < 0.27


def test_longer_is_compared_with_as_many_short_ones_as_cost_the_same() -> None:
    longer = [pool(3, 4, tokens=40), pool(0, 4, tokens=40)] * 4
    wider = [pool(2, 16, tokens=10), pool(1, 16, tokens=10)] * 4
    longer = [p if len(p) == 16 else _grown(p) for p in longer]
    rows = longer_against_wider(longer, wider, Rules(n=16))
    assert [(r["longer_n"], r["wider_n"]) for r in rows] == [(1, 4), (2, 8), (4, 16)]
    for r in rows:
        assert r["difference"] == pytest.approx(r["longer"] - r["wider"])
        assert r["longer_tokens"] == pytest.approx(r["wider_tokens"])


def _grown(small: Ballots) -> Ballots:
    return small.taken(np.arange(16) % len(small))


def test_difficulty_is_told_by_other_samples_than_those_voted_on() -> None:
    lucky = pool(8, 8).taken(np.array([0, 1, 2, 3, 4, 5, 6, 7]))
    # Right at the even places only: judged easy, and then always wrong.
    classes = np.array([0, 1, 0, 2, 0, 3, 0, 4])
    told = tuple("01234"), (True, *[False] * 4)
    mixed = replace(lucky, classes=classes, answers=told[0], right=told[1])
    (r,) = by_difficulty([mixed], Rules(n=8))
    assert (r["difficulty"], r["questions"], r["n"]) == ("more often", 1, 4)
    assert r["majority"]["accuracy"] == r["pass"]["accuracy"] == 0
