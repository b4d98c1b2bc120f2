"""What each strategy asks for, and whom it elects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.voting.ballots import BLANK, Ballots
from reasonkit.voting.playing import play
from reasonkit.voting.strategies import STRATEGIES, Rules


def pool(classes: list[int], tokens: int = 10, scores: list[float] | None = None) -> Ballots:
    count = max([*classes, 0]) + 1
    return Ballots(
        classes=np.array(classes),
        tokens=np.full(len(classes), tokens),
        confidence=np.full(len(classes), 0.5),
        scores=np.array(scores or [0.5] * len(classes)),
        steady=np.full(len(classes), 0.5),
        certainty=np.full(len(classes), 0.5),
        answers=tuple(map(str, range(count))),
        right=tuple(number == 0 for number in range(count)),
    )


def test_adaptive_draws_rounds_until_it_is_sure() -> None:
    rules = Rules(n=12, round_size=4)
    adaptive = STRATEGIES["adaptive"].procedure
    sure = play(adaptive(rules, "asked"), {"asked": pool([0] * 12)})
    assert (sure.samples, sure.tokens, sure.elected.answer) == (4, 40, "0")
    torn = play(adaptive(rules, "asked"), {"asked": pool([0, 1] * 6)})
    assert torn.samples == 12


@given(st.lists(st.integers(BLANK, 2), min_size=1, max_size=20), st.integers(1, 5))
def test_adaptive_elects_the_majority_of_what_it_drew(classes: list[int], size: int) -> None:
    rules = Rules(n=len(classes), round_size=size)
    played = play(STRATEGIES["adaptive"].procedure(rules, "asked"), {"asked": pool(classes)})
    drawn = pool(classes).first(played.samples)
    whole = play(
        STRATEGIES["majority"].procedure(Rules(n=played.samples), "asked"), {"asked": drawn}
    )
    assert played.elected.choice == whole.elected.choice


def test_cascade_thinks_only_where_quick_answers_disagree() -> None:
    cascade = STRATEGIES["cascade"].procedure
    thinking = pool([1, 0] * 4, tokens=50)
    easy = play(cascade(Rules(n=8), "asked"), {"at-once": pool([0] * 4), "thinking": thinking})
    assert (easy.elected.way, easy.elected.right, easy.tokens) == ("at-once", True, 40)
    hard = play(cascade(Rules(n=8), "asked"), {"at-once": pool([0, 0, 0, 1]), "thinking": thinking})
    assert (hard.elected.way, hard.elected.right, hard.tokens) == ("thinking", False, 440)


def test_cascade_stops_thinking_when_the_thoughts_agree() -> None:
    pools = {"at-once": pool([0, 1, 2, 1]), "thinking": pool([1] * 8, tokens=50)}
    played = play(STRATEGIES["cascade"].procedure(Rules(n=8), "asked"), pools)
    assert (played.elected.answer, played.tokens) == ("1", 240)


@pytest.mark.parametrize("name", ["greedy", "step-by-step", "budget"])
def test_the_greedy_ones_draw_one_sample_of_their_own_way(name: str) -> None:
    way = {"greedy": "greedy", "step-by-step": "greedy-thinking"}.get(name, name)
    played = play(STRATEGIES[name].procedure(Rules(n=8), "asked"), {way: pool([0])})
    assert (played.samples, played.elected.way) == (1, way)


def test_beam_takes_the_thought_that_its_verifier_scores_best() -> None:
    beams = pool([0, 1, 1], scores=[0.9, 0.6, 0.6])
    played = play(STRATEGIES["beam"].procedure(Rules(n=3), "asked"), {"beam": beams})
    assert (played.elected.answer, played.elected.place) == ("0", 0)


def test_where_nobody_answers_nobody_is_elected() -> None:
    for name in ("majority", "weighted", "best-of-n", "top-k-vote", "adaptive"):
        blank = pool([BLANK] * 6)
        played = play(STRATEGIES[name].procedure(Rules(n=6), "asked"), {"asked": blank})
        assert played.elected.answer is None and not played.elected.right


def test_a_pool_that_is_too_small_is_no_silent_success() -> None:
    with pytest.raises(ValueError, match="fewer than 8"):
        play(STRATEGIES["majority"].procedure(Rules(n=8), "asked"), {"asked": pool([0] * 7)})
