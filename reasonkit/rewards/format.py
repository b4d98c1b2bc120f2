"""Rewards thinking before answering, in tags (DeepSeek-R1, arXiv:2501.12948, section 2.2.2)."""

from __future__ import annotations

import re

from reasonkit.types import Group

SHORTEST_THOUGHT = 5
"""Characters that are not white space; ``2+3=5`` has five."""

_TAG = re.compile(r"</?(?:think|answer)\b")
_SHAPE = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)


def score(group: Group) -> list[float | None]:
    """1.0 for each completion in the format, else 0.0 (`is_well_formed`)."""
    return [float(is_well_formed(completion.text)) for completion in group.completions]


def is_well_formed(text: str) -> bool:
    """Whether a completion is one thought with work in it and then one answer.

    The rule: the text is ``<think>…</think><answer>…</answer>`` with nothing but white space around
    and between; neither part holds a tag of either kind; the answer has a letter or a digit, and so
    has the thought; the thought has at least `SHORTEST_THOUGHT` characters that aren't white space,
    and they are more than the answer, once or repeated.
    """
    match = _SHAPE.fullmatch(text)
    if match is None or len(_TAG.findall(text)) != 4:
        return False
    thought, answer = ("".join(part.split()) for part in match.groups())
    return (
        _says_something(answer)
        and _says_something(thought)
        and len(thought) >= SHORTEST_THOUGHT
        and thought.replace(answer, "") != ""
    )


def _says_something(text: str) -> bool:
    return any(character.isalnum() for character in text)
