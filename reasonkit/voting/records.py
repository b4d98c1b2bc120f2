"""What a vote came to on each question, as plain values for files and pages."""

from __future__ import annotations

from typing import Any

import numpy as np

from reasonkit.voting.ballots import BLANK, Ballots, Floats
from reasonkit.voting.drawing import Outcome
from reasonkit.voting.stopping import front_runners, sureness

MOST_ANSWERS = 12
"""Answers of a question that are told apart; the rest are counted together."""


def record(outcome: Outcome) -> dict[str, Any]:
    """A question, its ballots with most votes first, and the completion that speaks for them."""
    elected = outcome.elected
    return {
        "id": outcome.example.id,
        "question": outcome.example.question,
        "reference": outcome.example.answer,
        "elected": elected.answer,
        "right": elected.right,
        "way": elected.way,
        "sureness": sureness_of(elected.ballots),
        "samples": outcome.samples,
        "tokens": outcome.tokens,
        "completion": outcome.completion.text,
        **counted(elected.ballots),
    }


def counted(ballots: Ballots) -> dict[str, Any]:
    """The votes: for each answer its number, share, mean confidence and summed score."""
    votes = ballots.votes
    order = np.argsort(-votes, kind="stable")[:MOST_ANSWERS]
    return {
        "answers": [
            {
                "answer": ballots.answers[i],
                "votes": int(votes[i]),
                "share": float(votes[i] / len(ballots)),
                "confidence": _known(ballots.confidence[ballots.classes == i].mean()),
                "score": _known(_sum(ballots.scores[ballots.classes == i])),
                "right": ballots.right[i],
            }
            for i in map(int, order)
            if votes[i]
        ],
        "others": int(votes.sum() - votes[order].sum()),
        "blank": int((ballots.classes == BLANK).sum()),
    }


def sureness_of(ballots: Ballots) -> float:
    """How sure the votes are that the leader is the likeliest answer (`stopping.sureness`)."""
    return float(sureness(*front_runners(ballots.votes[None, :]))[0])


def _sum(scores: Floats) -> float:
    """Of those that are known; NaN where none is."""
    return float(np.nansum(scores)) if not np.isnan(scores).all() else np.nan


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
