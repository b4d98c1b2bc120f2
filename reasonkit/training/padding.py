"""Scoring completions without computing their padding.

TRL pads every prompt of a rollout on the left and every completion on the right to the longest one.
Where lengths differ, as they do when a model learns to think, most of what is computed is padding.
Leaves out packing several completions into one row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reasonkit.training.micro_batches import PASS_ROWS

Score = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor | None]]
"""Of ids and mask, both (rows, length), the last ``keep`` columns' log-probabilities and entropies,
both (rows, keep); the entropies may be None."""


def without_padding(
    score: Score, ids: Tensor, mask: Tensor, keep: int, rows: int = PASS_ROWS
) -> tuple[Tensor, Tensor | None]:
    """What ``score(ids, mask, keep)`` returns, 0 where the mask is, computed in narrow passes.

    Args:
        ids: (batch, prompt + keep), prompts padded on the left and completions on the right.
        mask: 1 for a token, 0 for padding.
        keep: columns that hold completions.
        rows: of one pass; rows of like length go together.
    """
    edge = ids.size(1) - keep
    prompts, completions = mask[:, :edge].sum(1), mask[:, edge:].sum(1)
    lengths = prompts + completions
    order = lengths.argsort(descending=True, stable=True)
    passes = [
        _one_pass(score, ids[chosen], prompts[chosen], lengths[chosen], edge, keep)
        for chosen in torch.split(order, rows)
    ]
    back, within = order.argsort(), mask[:, edge:].bool()
    logps, entropies = zip(*passes, strict=True)
    filled = torch.cat(logps)[back].masked_fill(~within, 0.0)
    if entropies[0] is None:
        return filled, None
    return filled, torch.cat(entropies)[back].masked_fill(~within, 0.0)


def _one_pass(
    score: Score, ids: Tensor, prompts: Tensor, lengths: Tensor, edge: int, keep: int
) -> tuple[Tensor, Tensor | None]:
    """Every row moved to column 0, scored no wider than the longest, and moved back."""
    width, first = int(lengths.max()), int(prompts.min())
    column = torch.arange(max(width, keep), device=ids.device)
    places = (edge - prompts[:, None] + column[:width]).clamp(max=ids.size(1) - 1)
    own = (column[:width] < lengths[:, None]).long()
    scored = max(1, width - first)
    logps, entropies = score(ids.gather(1, places), own, scored)
    back = (prompts[:, None] - (width - scored) + column[:keep]).clamp(max=scored - 1)
    return logps.gather(1, back), None if entropies is None else entropies.gather(1, back)
