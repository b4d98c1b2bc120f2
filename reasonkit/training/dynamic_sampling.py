"""Dynamic sampling: prompts that teach nothing are dropped from a step, and others drawn instead.

A group whose completions all got the same reward, a solved prompt or a hopeless one, has advantages
of 0 (DAPO, Yu et al., arXiv:2503.14476, section 3.2). Leaves out prompts that are drawn more often:
`reasonkit.training.curriculum`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reasonkit import processes
from reasonkit.types import Example

if TYPE_CHECKING:
    from reasonkit.training.rollouts import Rollout, ScoredGroup


def with_spread(
    drawn: Sequence[ScoredGroup],
    rollout: Rollout,
    step: int,
    draw: Callable[[Sequence[Example], int], list[ScoredGroup]],
) -> list[ScoredGroup]:
    """The groups of a step, those without spread replaced where a fresh group has one.

    A group of another task stays, or that task's share of the step would be smaller.

    Args:
        draw: samples and scores prompts in a round, from 1.
    """
    groups, config = list(drawn), rollout.config
    for attempt in range(1, (config.resample or 0) + 1):
        lacking = [i for i, d in enumerate(groups) if d.spreadless and rollout.is_own(d)]
        # Processes that sample together all have to ask, be it for nothing.
        if not any(processes.gathered(bool(lacking))):
            break
        rng = random.Random(f"resample {config.seed} {step} {processes.rank()} {attempt}")
        fresh = draw(rng.choices(rollout.examples, k=len(lacking)), attempt)
        for i, d in zip(lacking, fresh, strict=True):
            if not d.spreadless:
                groups[i] = d
    return groups
