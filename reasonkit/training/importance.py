"""The gap between the sampler's arithmetic and the trainer's: measured, and corrected.

An update takes a completion for a sample of the policy π, and it is one of the sampler μ, whose
rounding differs: another engine, another number format, weights that are merged. With
w = π(token) / μ(token), each token's advantage is multiplied by w, bounded (`Importance`):

- truncated, min(w, C): Ionides (2008), "Truncated importance sampling", and for rollouts Espeholt
  et al. (arXiv:1802.01561, equation 1, ρ) and Yao et al. (2025), "Your efficient RL framework
  secretly brings you off-policy RL training"; little variance, a bias where w is beyond C;
- masked, w where it is at most C and else 0: Liu et al. (2025), "When speed kills stability"; what
  the sampler should hardly ever have drawn teaches nothing;

of each token, or of a whole sequence, whose weight is the product over its tokens: that alone is
unbiased but for the bound, and its variance grows with the length. The effective sample share is
Kish's (1965), (Σw)² / (N Σw²), of weights before the bound: 1 where there is no gap.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonkit import processes
from reasonkit.objectives import Importance

BOUND = 3.0
"""C, as in TRL: above it a weight says more of the sampler's faults than of the policy."""

WHOLE = (Importance.sequence_truncate, Importance.sequence_mask)
TRUNCATED = (Importance.token_truncate, Importance.sequence_truncate)


class Mismatch:
    """What is seen of the gap, in nats of a token's log-probability, until it is `told`."""

    def __init__(self) -> None:
        self._seen: list[Tensor] = []

    def weigh(self, policy: Tensor, sampler: Tensor, mask: Tensor, how: Importance) -> Tensor:
        """The weights of tokens, (rows, tokens) or (rows, 1), bounded; notes what they are like.

        Args:
            policy: log-probabilities of the sampled tokens, (rows, tokens); no gradient goes here.
            sampler: the same, by the engine that drew them; where it has none, no number.
            mask: 1 for a token that counts.
        """
        gap = (policy.detach() - sampler).nan_to_num(0.0) * mask
        whole = how in WHOLE
        weights = (gap.sum(1, keepdim=True) if whole else gap).exp()
        counted = mask.any(1, keepdim=True) if whole else mask.bool()
        beyond = weights > BOUND
        known, missed = weights * counted, beyond & counted
        sums = (mask, gap.abs(), counted, known, known.square(), missed)
        self._seen.append(torch.stack([*(one.sum().double() for one in sums), gap.abs().max()]))
        if how in TRUNCATED:
            return weights.clamp(max=BOUND)
        return weights.masked_fill(beyond, 0.0)

    def told(self) -> dict[str, float]:
        """What is logged of an update, over all processes; begins anew."""
        seen = torch.stack([t.cpu() for part in processes.gathered(self._seen) for t in part])
        self._seen = []
        tokens, total, weights, weight, squares, missed = seen[:, :-1].sum(0).tolist()
        share = weight**2 / (weights * squares) if squares else 1.0
        return {
            "mismatch/mean": total / max(tokens, 1.0),
            "mismatch/max": float(seen[:, -1].max()),
            "mismatch/effective_sample_share": min(1.0, share),
            "mismatch/truncated": missed / max(weights, 1.0),
        }
