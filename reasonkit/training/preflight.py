"""A look ahead before anything is spent: a few groups are sampled and scored.

Reinforcement learning fails silently when every completion of a group gets the same reward, or when
answers are cut off; a few groups tell.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from reasonkit.answers.reading import is_well_formed
from reasonkit.config import GrpoConfig
from reasonkit.generation import Engine, Sampling
from reasonkit.rewards.guard import Guard
from reasonkit.types import Example

GROUPS = 8
UPDATE_COST, ROLLOUT_COST = 6, 2
"""FLOPs a parameter and token: forward and backward pass, and forward pass alone."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a few groups of the untrained policy showed.

    Attributes:
        groups: how many were sampled.
        pass_at_g: share of groups with a right answer, of those where that is known
            (`Guard.right`); None where it is of none.
        zero_spread: share of groups whose completions all got the same reward.
        truncated: share of completions that were cut off.
        well_formed: share of completions in the think-answer format.
        tokens: mean completion tokens.
        seconds_per_step: estimate for a rollout with its updates.
    """

    groups: int
    pass_at_g: float | None
    zero_spread: float
    truncated: float
    well_formed: float
    tokens: float
    seconds_per_step: float

    def rows(self, steps: int) -> list[tuple[str, str]]:
        """What was seen, for the plan of a run."""
        passed = (
            "no reward tells what is right"
            if self.pass_at_g is None
            else f"{self.pass_at_g:.0%} of {self.groups} groups hold a right answer"
        )
        return [
            ("pass@G", passed),
            ("no spread", f"{self.zero_spread:.0%} of the groups teach nothing yet"),
            ("cut off", f"{self.truncated:.0%} of the completions; mean {self.tokens:.0f} tokens"),
            ("format", f"{self.well_formed:.0%} of the completions have it"),
            ("training", f"about {self.seconds_per_step * steps:.0f} s at this length"),
        ]

    def warnings(self) -> list[str]:
        """What will go wrong, a line each."""
        lines = []
        if self.pass_at_g == 0:
            lines.append(
                "no group has a right answer, nothing can be reinforced: take easier questions, "
                "a stronger model or a larger --group-size"
            )
        if self.zero_spread > 0.5:
            lines.append(
                f"{self.zero_spread:.0%} of the groups have no spread in reward and teach nothing: "
                "a larger --group-size or a higher --temperature spreads them"
            )
        if self.truncated > 0.2:
            lines.append(
                f"{self.truncated:.0%} of the completions are cut off and can't be right: "
                "raise --max-completion-tokens"
            )
        if self.well_formed == 0:
            lines.append(
                "no completion has the think-answer format: the format reward starts from nothing"
            )
        return lines


def look_ahead(
    engine: Engine, examples: Sequence[Example], config: GrpoConfig, guard: Guard
) -> Preflight:
    """Samples and scores `GROUPS` groups (or as many as there are examples)."""
    assert config.group_size and config.max_completion_tokens and config.prompts_per_step
    chosen = list(examples[:GROUPS])
    sampling = Sampling(config.max_completion_tokens, config.temperature, seed=config.seed)
    started = time.perf_counter()
    groups = list(engine.sample(chosen, config.group_size, sampling))
    seconds = time.perf_counter() - started
    solved, spreadless = list[bool](), 0
    for group in groups:
        scores = guard.score(group)
        totals = [t for t in guard.total(scores) if t is not None]
        if known := [right for right in guard.right(scores) if right is not None]:
            solved.append(any(known))
        spreadless += len(set(totals)) <= 1
    completions = [c for group in groups for c in group.completions]
    count = len(completions)
    rollout = seconds * config.prompts_per_step / len(groups)
    update = rollout * UPDATE_COST / ROLLOUT_COST * config.updates_per_rollout
    return Preflight(
        groups=len(groups),
        pass_at_g=fmean(solved) if solved else None,
        zero_spread=spreadless / len(groups),
        truncated=sum(c.finish_reason == "length" for c in completions) / count,
        well_formed=sum(is_well_formed(c.text) for c in completions) / count,
        tokens=sum(c.tokens for c in completions) / count,
        seconds_per_step=rollout + update,
    )
