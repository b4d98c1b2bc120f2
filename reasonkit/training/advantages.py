"""Advantages: what a completion's reward is worth beside its group's.

TRL computes the ones that train; these are the same numbers, for the log and the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from reasonkit.objectives import RewardScaling

SMALL = 1e-4
"""Added to a standard deviation before dividing, as TRL does."""


def advantages(
    groups: Sequence[Sequence[float | None]], scaling: RewardScaling = RewardScaling.group
) -> list[list[float]]:
    """Centred and scaled total rewards, of the same shape as ``groups``.

    Shao et al., arXiv:2402.03300, section 4.1.2: reward less the group's mean, over the group's
    standard deviation (with n - 1 degrees of freedom). ``batch`` divides by the deviation of all
    rewards; ``none`` does not divide (Liu et al., arXiv:2503.20783). A completion without a verdict
    has advantage 0 and no part in its group's mean.
    """
    together = _deviation([r for group in groups for r in group if r is not None])
    result = []
    for group in groups:
        known = [r for r in group if r is not None]
        mean = fmean(known) if known else 0.0
        scale = {
            RewardScaling.group: _deviation(known) + SMALL,
            RewardScaling.batch: together + SMALL,
            RewardScaling.none: 1.0,
        }[scaling]
        result.append([0.0 if r is None else (r - mean) / scale for r in group])
    return result


def _deviation(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0
