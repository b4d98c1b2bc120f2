"""Draws tokens from logits. The random numbers of a completion are its own.

A completion's numbers depend on its prompt's seed and on its place in the group alone, so that the
rows it shares a batch with, and the order in which they are worked off, don't change what is drawn.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from reasonkit.generation.engine import Sampling
from reasonkit.types import LIKELIEST

BELOW_ONE = 1 - 2**-23
"""The largest number that times a float32 sum is still less than that sum."""


def uniforms(seed: int, n: int, steps: int) -> Tensor:
    """The numbers in [0, 1) that draw the tokens of a group, of shape (n, steps).

    Row by row, so that a smaller group is the beginning of a larger one. Counter-based: Philox
    (Salmon et al., SC 2011).
    """
    generator = np.random.Generator(np.random.Philox(key=seed & (2**128 - 1)))
    drawn = generator.random((n, steps), dtype=np.float32)
    return torch.from_numpy(drawn.clip(max=BELOW_ONE))


class Drawing:
    """Draws tokens as a `Sampling` says, with transformers' processors in ``generate``'s order.

    Args:
        heated: whether log-probabilities are those after temperature, or the model's own.
        sure: whether to tell how sure the model is.
    """

    def __init__(self, sampling: Sampling, heated: bool = False, sure: bool = False) -> None:
        self.sure = sure
        self.greedy = sampling.temperature == 0
        self.heat = sampling.temperature if heated and not self.greedy else 1.0
        self.warpers = LogitsProcessorList()
        if self.greedy:
            return
        if sampling.temperature != 1:
            self.warpers.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k:
            self.warpers.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            self.warpers.append(TopPLogitsWarper(sampling.top_p))
        if sampling.min_p > 0:
            self.warpers.append(MinPLogitsWarper(sampling.min_p))

    def __call__(self, logits: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """One token a row, by inversion of the cumulative distribution.

        Args:
            logits: of shape (rows, vocabulary).
            u: of shape (rows,), in [0, 1).

        Returns:
            Tokens, and their log-probabilities before truncation; both of shape (rows,). And how
            sure the model is, of shape (rows, 2), where that is asked: `Completion`'s confidence of
            a token, and its part of the certainty.
        """
        logits = logits.float()
        highest, likeliest = logits.max(-1, keepdim=True)
        mass = (logits - highest).exp_()
        total = mass.sum(-1, keepdim=True)
        sureness = _sureness(logits, highest + total.log()) if self.sure else None
        if self.greedy:
            return likeliest[:, 0], -total.log()[:, 0], sureness
        if self.warpers:
            kept = self.warpers(None, logits)
            mass = (kept - kept.amax(-1, keepdim=True)).exp_()
        up_to = mass.cumsum(-1)
        drawn = torch.searchsorted(up_to, u[:, None] * up_to[:, -1:], right=True)
        # Of logits that are no numbers none is found; their log-probability tells.
        drawn.clamp_(max=logits.size(-1) - 1)
        taken = logits.gather(1, drawn) - highest
        if self.heat != 1:
            taken, total = taken / self.heat, ((logits - highest) / self.heat).exp_().sum(-1, True)
        return drawn[:, 0], (taken - total.log())[:, 0], sureness


def _sureness(logits: Tensor, log_total: Tensor) -> Tensor:
    """(rows, 2) from logits of shape (rows, vocabulary) and their logarithmic sums, (rows, 1)."""
    words = logits.size(-1)
    top = logits.topk(min(LIKELIEST, words), sorted=False).values.mean(-1)
    both = torch.stack([top, logits.mean(-1) + math.log(words)], dim=-1)
    return log_total - both
