"""A look ahead before anything is spent: a few groups are sampled and scored.

Reinforcement learning fails silently when every completion of a group gets the same reward, or when
answers are cut off; a few groups tell.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from reasonkit import console
from reasonkit.answers.reading import is_well_formed
from reasonkit.config import GrpoConfig
from reasonkit.generation.engine import Engine, drawn_by
from reasonkit.rewards.guard import Guard
from reasonkit.training.rollouts import ScoredGroup, scored
from reasonkit.types import Example, Group

GROUPS = 8
UPDATE_COST, ROLLOUT_COST = 6, 2
"""FLOPs a parameter and token: forward and backward pass, and forward pass alone."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a few groups of the untrained policy showed.

    Attributes:
        solved: of each group where that is known (`Guard.right`), whether an answer is right.
        spreadless: of each group, whether its completions all got the same reward.
        truncated: share of completions that were cut off.
        well_formed: share of completions in the think-answer format.
        tokens: mean completion tokens.
        lengths: of the completions, in tokens.
        constant: rewards that gave all completions the same, which is none of their extremes.
        seconds_per_step: estimate for a rollout with its updates.
        seconds_per_answer: what it took to sample a completion.
    """

    solved: list[bool]
    spreadless: list[bool]
    truncated: float
    well_formed: float
    tokens: float
    lengths: list[int]
    constant: dict[str, float]
    seconds_per_step: float
    seconds_per_answer: float

    def rows(self, steps: int, answers: int, times: int) -> list[tuple[str, str]]:
        """What was seen, for the plan of a run.

        Args:
            answers: of the test, each time that a model is measured.
            times: how often one is measured.
        """
        measuring = (
            f"{answers} test questions, {times} times (before, after and with other prompts)"
            if times > 2
            else f"{answers} test questions, before and after"
        )
        took = f"about {self.seconds_per_answer * answers * times:.0f} s"
        passed = "no reward tells what is right"
        if self.solved:
            groups = len(self.spreadless)
            passed = f"{fmean(self.solved):.0%} of {groups} groups hold a right answer"
        return [
            ("pass@G", passed),
            (
                "equal rewards",
                f"in {fmean(self.spreadless):.0%} of the groups, which teach nothing yet",
            ),
            ("cut off", f"{self.truncated:.0%} of the completions; mean {self.tokens:.0f} tokens"),
            ("format", f"{self.well_formed:.0%} of the completions have it"),
            ("training", f"{steps} steps, about {self.seconds_per_step * steps:.0f} s"),
            ("measuring", f"{measuring}, {took}"),
        ]

    def warnings(self) -> list[str]:
        """What will go wrong, a line each."""
        flat = fmean(self.spreadless)
        lines = {
            "no group has a right answer, nothing can be reinforced: take easier questions, "
            "a stronger model or a larger --group-size": self.solved and not any(self.solved),
            f"in {flat:.0%} of the groups all completions got the same reward and teach nothing: "
            "a larger --group-size or a higher --temperature makes them differ": flat > 0.5,
            f"{self.truncated:.0%} of the completions are cut off and can't be right: "
            "raise --max-completion-tokens": self.truncated > 0.2,
            "no completion has the think-answer format: the format reward starts from "
            "nothing": self.well_formed == 0,
        }
        same = [
            f"reward {name!r} gave all {len(self.lengths)} completions {value:g}: it teaches "
            "nothing; does it read what it is given? (reasonkit docs rewards)"
            for name, value in self.constant.items()
        ]
        return [line for line, holds in lines.items() if holds] + same


class Sampled(NamedTuple):
    """Groups, and the seconds that they took."""

    groups: list[Group]
    seconds: float


def sampled(engine: Engine, examples: Sequence[Example], config: GrpoConfig) -> Sampled:
    """Samples `GROUPS` groups (or as many as there are examples)."""
    assert config.group_size
    started = time.perf_counter()
    asked = examples[:GROUPS]
    drawn = engine.sample(asked, config.group_size, drawn_by(config))
    groups = list(console.counted(drawn, len(asked), "looking ahead, groups"))
    return Sampled(groups, time.perf_counter() - started)


def look_ahead(sampled: Sampled, config: GrpoConfig, guard: Guard) -> Preflight:
    """Scores what was sampled."""
    assert config.prompts_per_step
    groups, seconds = sampled
    with console.doing("scoring them"):
        drawn = scored(guard, groups)
    completions = [c for group in groups for c in group.completions]
    rollout = seconds * config.prompts_per_step / len(groups)
    update = rollout * UPDATE_COST / ROLLOUT_COST * config.updates_per_rollout
    return Preflight(
        solved=[any(d.right) for d in drawn if any(right is not None for right in d.right)],
        spreadless=[d.spreadless for d in drawn],
        truncated=fmean(c.finish_reason == "length" for c in completions),
        well_formed=fmean(is_well_formed(c.text) for c in completions),
        tokens=fmean(c.tokens for c in completions),
        lengths=[c.tokens for c in completions],
        constant=_constant(guard, drawn),
        seconds_per_step=rollout + update,
        seconds_per_answer=seconds / len(completions),
    )


def _constant(guard: Guard, drawn: Sequence[ScoredGroup]) -> dict[str, float]:
    """Rewards that tell no completion from another.

    Nothing that is right, or that has the form, is told of in words of its own.
    """
    found = {}
    for reward in (weighted.reward for weighted in guard.rewards):
        values = {value for group in drawn for value in group.scores[reward.name]}
        if len(values) == 1 and (value := values.pop()) is not None and value not in reward.range:
            found[reward.name] = value
    return found
