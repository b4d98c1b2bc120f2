"""From completions to ballots."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.types import Completion, Example, Group
from reasonkit.voting.ballots import BLANK, cast, steadiness


def group(*texts: str, answer: str = "1/2", logprob: float | None = None) -> Group:
    example = Example("id", "task", ({"role": "user", "content": "?"},), answer)
    completions = [Completion(text, tuple(range(len(text))), "stop", logprob) for text in texts]
    return Group(example, completions)


def test_equivalent_answers_are_one_vote_each_for_the_same() -> None:
    ballots = cast(group("The answer is 0.5.", r"\boxed{\frac12}", "#### 2", "A: 1/2", "#### 2.0"))
    assert ballots.classes.tolist() == [0, 0, 1, 0, 1]
    assert ballots.answers == ("0.5", "2")
    assert ballots.right == (True, False)
    assert ballots.votes.tolist() == [3, 2]
    assert ballots.correct.tolist() == [True, True, False, True, False]


def test_a_completion_without_answer_is_blank_and_never_right() -> None:
    ballots = cast(group("<think>still at it 1/2", "no idea", "1/2"))
    assert ballots.classes.tolist() == [BLANK, BLANK, 0]
    assert ballots.correct.tolist() == [False, False, True]


def test_without_a_reference_nothing_is_right() -> None:
    assert cast(group("1/2", answer="")).right == (False,)


def test_confidence_is_the_geometric_mean_of_token_probabilities() -> None:
    assert cast(group("1", logprob=math.log(0.25))).confidence.tolist() == pytest.approx([0.25])
    assert np.isnan(cast(group("1")).confidence).all()


def test_a_score_without_verdict_is_not_a_number() -> None:
    scores = cast(group("1", "2"), scores=[None, 0.5]).scores
    assert np.isnan(scores[0]) and scores[1] == 0.5


def test_what_nobody_scored_is_scored_by_its_confidence() -> None:
    ballots = cast(group("1", "2", logprob=-1.0))
    assert ballots.scores.tolist() == ballots.confidence.tolist()


def test_the_first_samples_keep_their_classes() -> None:
    ballots = cast(group("1", "2", "1")).first(2)
    assert len(ballots) == 2
    assert ballots.votes.tolist() == [1, 1]
    assert len(ballots.answers) == 2


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 70))
def test_steadiness_is_that_of_the_least_sure_tenth_of_the_windows(
    confidences: list[float], window: int
) -> None:
    width = min(window, len(confidences))
    starts = range(len(confidences) - width + 1)
    means = sorted(sum(confidences[i : i + width]) / width for i in starts)
    tenth = means[: max(1, len(means) // 10)]
    assert steadiness(confidences, window) == pytest.approx(sum(tenth) / len(tenth), abs=1e-9)


def test_without_confidences_there_is_no_steadiness() -> None:
    assert steadiness(()) is None
