"""Rewards the right final answer, whatever it is written in."""

from __future__ import annotations

from reasonkit.answers.comparison import equal
from reasonkit.answers.extraction import extract_answer
from reasonkit.types import Group


def score(group: Group) -> list[float | None]:
    """1.0 for each completion whose final answer equals the reference, else 0.0.

    A completion without an answer, cut off or not, gets 0.0. None where the reference has no value.
    """
    return [_score(completion.text, group.example.answer) for completion in group.completions]


def _score(text: str, reference: str) -> float | None:
    verdict = equal(extract_answer(text) or "", reference)
    return None if verdict is None else float(verdict)
