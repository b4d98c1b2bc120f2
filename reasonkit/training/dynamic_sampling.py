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
    from reasonkit.training.rollouts import ScoredGroup


def with_spread(
    drawn: Sequence[ScoredGroup],
    rounds: int,
    examples: Sequence[Example],
    is_own: Callable[[ScoredGroup], bool],
    draw: Callable[[Sequence[Example], int], list[ScoredGroup]],
    name: str,
) -> list[ScoredGroup]:
    """The groups of a step, those without spread replaced by groups of other prompts.

    Args:
        rounds: in which that is tried; a fresh group is taken where it has a spread.
        examples: of which prompts are drawn, with replacement.
        is_own: whether a group may be replaced: one of another task would make that task's share of
            the step smaller.
        draw: samples and scores prompts in a round, from 1.
        name: of the step; seeds the choice.
    """
    groups = list(drawn)
    for attempt in range(1, rounds + 1):
        lacking = [i for i, d in enumerate(groups) if d.spreadless and is_own(d)]
        # Processes that sample together all have to ask, be it for nothing.
        if not any(processes.gathered(bool(lacking))):
            break
        rng = random.Random(f"{name} {attempt}")
        fresh = draw(rng.choices(examples, k=len(lacking)), attempt)
        for i, d in zip(lacking, fresh, strict=True):
            if not d.spreadless:
                groups[i] = d
    return groups
