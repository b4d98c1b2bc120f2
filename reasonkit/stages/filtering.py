"""Which of a teacher's completions are worth learning from, and what each filter took.

The filters themselves are in `reasonkit.stages.sieve`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, quantiles
from typing import Any

from reasonkit.config import DistillConfig
from reasonkit.errors import RefusedError
from reasonkit.plan import Plan
from reasonkit.rewards import WeightedReward, parse, split
from reasonkit.rewards.guard import Guard
from reasonkit.stages.sieve import QUARTERS, Candidate, Threshold, filters
from reasonkit.tasks import describe
from reasonkit.types import Group, Trace

OVERLONG = "overlong"
ADVICE = {
    "finished": "raise --max-completion-tokens",
    OVERLONG: "raise --max-completion-tokens",
    "held out": "take another train split",
}
"""What to do where a filter took everything, if not to loosen it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a filter did; a row of the table.

    Attributes:
        name: of the filter; ``sampled`` for the first row.
        what: what it takes.
        lost: traces that it took.
        left: traces that are left.
        questions: questions that still have one.
    """

    name: str
    what: str
    lost: int
    left: int
    questions: int


@dataclass(frozen=True, slots=True)
class Sifted:
    """The traces that are left, and how it came to that.

    Attributes:
        traces: in the order in which they were sampled.
        steps: what was sampled, and then each filter.
        failures: failed calls by name of the reward.
    """

    traces: list[Trace]
    steps: list[Step]
    failures: dict[str, int]

    @property
    def complaint(self) -> str:
        """Which filters took what there was, where nothing is left; else empty."""
        if self.traces:
            return ""
        took = ", ".join(f"{s.name!r} took {s.lost} ({s.what})" for s in self.steps if s.lost)
        worst = max(self.steps, key=lambda step: step.lost)
        hint = ADVICE.get(worst.name, "loosen it: with --traces nothing has to be sampled again")
        return f"no trace of {self.steps[0].left} survives the filters: {took}; {hint}"

    def rows(self) -> list[dict[str, Any]]:
        """The steps as plain values, as they stand in ``summary.json``."""
        return [asdict(step) for step in self.steps]


def thresholds(specs: Sequence[str], device: str = "auto") -> list[Threshold]:
    """What ``NAME=LEAST`` stands for; ``NAME`` alone asks for the reward's highest value.

    Args:
        device: where rewards that are models are loaded.

    Raises:
        RefusedError: no such reward, given twice, or a value that is no number.
    """
    made = []
    halves = [split(spec) for spec in specs]
    rewards = parse([f"{name}=1" for name, _ in halves], device)
    for weighted, (name, value) in zip(rewards, halves, strict=True):
        try:
            least = float(value) if value else weighted.reward.range[1]
            if math.isnan(least):
                raise ValueError
        except ValueError:
            raise RefusedError(
                f"--keep {name}={value}: expected a number, as in answer=1"
            ) from None
        made.append(Threshold(weighted.reward, least))
    return made


def sift(plan: Plan[DistillConfig], groups: Sequence[Group]) -> Sifted:
    """Puts what was sampled through the plan's filters, one after the other.

    Raises:
        RefusedError: a filter can't be used, by name.
        RunError: a reward failed too often.
    """
    config, splits = plan.config, plan.splits
    keep = thresholds(config.keep or [], str(config.device))
    sieve = filters(
        keep,
        held_out=(*splits.validation, *splits.test),
        shared_words=describe(config.task).source != "generated",
        similar=config.similar,
        per_question=config.per_question,
        balance=config.balance,
        best=plan.rewards,
    )
    guard = Guard([WeightedReward(t.reward) for t in keep], config.reward_timeout)
    left: Sequence[Candidate] = candidates(groups, guard)
    steps = [Step("sampled", "", 0, len(left), _questions(left))]
    for step in sieve:
        before, left = len(left), step.keep(left)
        steps.append(Step(step.name, step.what, before - len(left), len(left), _questions(left)))
    return Sifted([candidate.trace for candidate in left], steps, dict(guard.failures))


def candidates(groups: Sequence[Group], guard: Guard) -> list[Candidate]:
    """Every completion with its scores and the quarter of its question."""
    lengths = [fmean(c.tokens or len(c.text) for c in group.completions) for group in groups]
    edges = quantiles(lengths, n=QUARTERS, method="inclusive") if len(lengths) > 1 else []
    made = []
    for group, length in zip(groups, lengths, strict=True):
        scores = guard.score(group)
        quarter = sum(length > edge for edge in edges)
        for i, completion in enumerate(group.completions):
            own = {name: values[i] for name, values in scores.items()}
            made.append(Candidate(Trace(group.example, completion), own, quarter))
    return made


def _questions(candidates: Iterable[Candidate]) -> int:
    return len({candidate.trace.example.id for candidate in candidates})
