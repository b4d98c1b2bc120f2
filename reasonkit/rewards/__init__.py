"""The rewards, and how they are named on the command line.

A reward is a function ``score(group) -> list[float | None]``: one value a completion, None where it
has no verdict. The same function filters traces, trains, and ranks candidates. Left out: rewards
that need a model of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.rewards import answer, format, own
from reasonkit.types import Group

Score = Callable[[Group], Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Reward:
    """An entry of the registry.

    Attributes:
        name: as on the command line and in every record.
        description: one line.
        range: lowest and highest value.
        needs_answer: whether it reads the reference answer. A selector that does is an oracle.
        cost: what a call costs, in a word or two.
        score: one value a completion of a group, None where there is no verdict.
    """

    name: str
    description: str
    range: tuple[float, float]
    needs_answer: bool
    cost: str
    score: Score


@dataclass(frozen=True, slots=True)
class WeightedReward:
    """A reward and its share in the total."""

    reward: Reward
    weight: float = 1.0


REWARDS: dict[str, Reward] = {
    reward.name: reward
    for reward in (
        Reward(
            name="answer",
            description="1 if the final answer equals the reference, in whatever format",
            range=(0.0, 1.0),
            needs_answer=True,
            cost="low",
            score=answer.score,
        ),
        Reward(
            name="format",
            description="1 for <think>some work</think><answer>…</answer> and nothing else",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="none",
            score=format.score,
        ),
    )
}


def parse(specs: Sequence[str]) -> list[WeightedReward]:
    """The rewards that ``NAME``, ``NAME=WEIGHT`` or ``FILE.py:FUNCTION=WEIGHT`` stand for.

    A user's own function is named by its function name; see `reasonkit.rewards.own`.

    Raises:
        UnknownNameError: no such reward, or no such function in the file.
        RefusedError: a weight that is no finite number other than zero, a name given twice, or a
            file that can't be used.
    """
    weighted: list[WeightedReward] = []
    for spec in specs:
        name, equals, weight = spec.rpartition("=")
        if not equals:
            name, weight = spec, "1"
        reward = _resolve(name.strip())
        if any(reward.name == other.reward.name for other in weighted):
            raise RefusedError(f"reward {reward.name!r} is given twice: give it once, or rename it")
        weighted.append(WeightedReward(reward, _weight(spec, weight)))
    return weighted


def _resolve(name: str) -> Reward:
    if name in REWARDS:
        return REWARDS[name]
    path, colon, function = name.rpartition(":")
    if not colon and not name.endswith(".py"):
        raise UnknownNameError("reward", name, REWARDS, hint="or your own as FILE.py:FUNCTION")
    if not path or not function:
        raise RefusedError(f"reward {name!r} names no function: write FILE.py:FUNCTION")
    score, needs_answer = own.load(path, function)
    if function in REWARDS:
        raise RefusedError(f"reward {name!r} has the name of a built-in reward: rename {function}")
    return Reward(
        name=function,
        description=f"your own, from {path}",
        range=(-math.inf, math.inf),
        needs_answer=needs_answer,
        cost="unknown",
        score=score,
    )


def _weight(spec: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if weight == 0 or not math.isfinite(weight):
        raise RefusedError(
            f"reward {spec!r}: the weight {text!r} must be a number other than zero, as in answer=1"
        )
    return weight
