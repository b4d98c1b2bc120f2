"""Rewards completions that the policy itself is sure of; needs no reference answer.

Li et al., "Confidence Is All You Need" (arXiv:2506.06395), train on the policy's own probability.
It sharpens what the model already prefers, right or wrong: beside a correctness reward only.
"""

from __future__ import annotations

from reasonkit.types import Group


def score(group: Group) -> list[float | None]:
    """The mean log-probability of each completion's tokens, in nats; None where it isn't known."""
    return [completion.mean_logprob for completion in group.completions]
