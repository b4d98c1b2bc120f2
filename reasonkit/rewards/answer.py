"""Rewards the right final answer, whatever it is written in.

A formula that the question gives to be worked out equals its own value: on 6 % of MATH-500, copying
one from the question would be paid. It is no answer (`is_copied`).
"""

from __future__ import annotations

import re

from reasonkit.answers.comparison import equal
from reasonkit.answers.extraction import extract_answer
from reasonkit.answers.layout import tidy
from reasonkit.answers.plain import plain
from reasonkit.types import Example, Group

_LAYOUT = re.compile(r"\s|\$|\\(?:left|right|displaystyle|[,;:!])|(?<=\\)[dt](?=frac)")


def score(group: Group) -> list[float | None]:
    """1.0 for each completion whose final answer equals the reference, else 0.0.

    A completion without an answer, cut off or not, gets 0.0. None where the reference has no value.
    """
    return [_score(completion.text, group.example) for completion in group.completions]


def _score(text: str, example: Example) -> float | None:
    answer = extract_answer(text) or ""
    verdict = equal(answer, example.answer)
    return None if verdict is None else float(verdict and not is_copied(answer, example))


def is_copied(answer: str, example: Example) -> bool:
    """Whether an answer is a formula out of the question, with its value still to be found.

    It is if it stands in the question, layout aside, is no plain value such as a number or a word,
    and isn't what the reference answer says.
    """
    bare = _LAYOUT.sub("", answer)
    return (
        plain(tidy(answer)) is None
        and bare != _LAYOUT.sub("", example.answer)
        and bare in _LAYOUT.sub("", example.question)
    )
