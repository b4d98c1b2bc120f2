"""What a vote came to on each question, as plain values for files and pages."""

from __future__ import annotations

from typing import Any

import numpy as np

from reasonkit.voting.ballots import BLANK, Ballots
from reasonkit.voting.drawing import Outcome
from reasonkit.voting.stopping import front_runners, sureness

MOST_ANSWERS = 12
"""Answers of a question that are told apart; the rest are counted together."""


def record(outcome: Outcome) -> dict[str, Any]:
    """A question, its ballots with most votes first, and the completion that speaks for them."""
    elected, votes = outcome.elected, outcome.elected.ballots.votes
    order = np.argsort(-votes, kind="stable")[:MOST_ANSWERS]
    return {
        "id": outcome.example.id,
        "question": outcome.example.question,
        "reference": outcome.example.answer,
        "elected": elected.answer,
        "right": elected.right,
        "way": elected.way,
        "sureness": float(sureness(*front_runners(votes[None, :]))[0]),
        "samples": outcome.samples,
        "tokens": outcome.tokens,
        "completion": outcome.completion.text,
        "answers": [_answer(elected.ballots, i) for i in map(int, order) if votes[i]],
        "others": int(votes.sum() - votes[order].sum()),
        "blank": int((elected.ballots.classes == BLANK).sum()),
    }


def _answer(ballots: Ballots, number: int) -> dict[str, Any]:
    """One answer's votes, their share, mean confidence and summed score; None where not known."""
    mine = ballots.classes == number
    confidence, scores = ballots.confidence[mine], ballots.scores[mine]
    return {
        "answer": ballots.answers[number],
        "votes": int(mine.sum()),
        "share": float(mine.mean()),
        "confidence": None if np.isnan(confidence).any() else float(confidence.mean()),
        "score": None if np.isnan(scores).all() else float(np.nansum(scores)),
        "right": ballots.right[number],
    }
