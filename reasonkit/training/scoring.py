"""Log-probabilities of a rollout's completions, with little computed twice and no padding.

TRL holds every prompt as often as its group is large, and pads prompts on the left and completions
on the right to the longest of the rollout. Here the distinct prompts go through the model first;
the completions then attend to their prompt's keys and values, through which gradients flow back.
What keeps no plain cache of those, as layers with sliding windows or recurrent states, and gradient
checkpointing is scored by whole rows, moved together. Processes that each hold a part of a model
make as many passes where they score as many rows. Leaves out packing several completions into one
row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel

from reasonkit.generation.local.cache import windows
from reasonkit.training.micro_batches import PASS_ROWS
from reasonkit.training.sharding import is_cut, learn_through

FULL = "full_attention"
"""The kind of layer whose cache holds every key and value."""

Score = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor | None]]
"""Of ids and mask, both (rows, length), the last ``keep`` columns' log-probabilities and entropies,
both (rows, keep); the entropies may be None."""


def can_share(model: torch.nn.Module, unwrapped: PreTrainedModel) -> bool:
    """Whether prompts can be computed once for a model, as the trainer calls it and unwrapped."""
    config = unwrapped.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    windowed = getattr(config, "sliding_window", None) if kinds is None else set(kinds) - {FULL}
    accepted = inspect.signature(unwrapped.forward).parameters
    keeps_keys_and_values = {"cache", "past_key_values"} & set(accepted) and windows(config)
    return bool(
        model is unwrapped
        and not unwrapped.is_gradient_checkpointing
        and not unwrapped._is_stateful
        and not windowed
        and keeps_keys_and_values
    )


def score(
    model: PreTrainedModel,
    ids: Tensor,
    mask: Tensor,
    keep: int,
    autocast: AbstractContextManager[None],
    rows: int = PASS_ROWS,
) -> tuple[Tensor, Tensor | None]:
    """The log-probabilities and entropies of completions, both (batch, keep), 0 where the mask is.

    Args:
        model: with TRL's fused head (``trl.trainer.utils.add_fused_lm_head``); where that gives no
            entropies, as a reference model's, they are None.
        ids: (batch, prompt + keep), prompts padded on the left and completions on the right.
        mask: 1 for a token, 0 for padding; a prompt has at least one token.
        keep: columns that hold completions.
        autocast: of the trainer.
        rows: completions of one pass.
    """
    # A micro-batch comes as wide as the longest prompt of its rollout.
    edge = max(2, int(mask[:, :-keep].sum(1).max()))
    ids, mask = (pad(part, (max(0, edge + keep - part.size(1)), 0)) for part in (ids, mask))
    ids, mask = ids[:, -edge - keep :], mask[:, -edge - keep :]
    own, lengths = mask[:, :edge], mask[:, edge:].sum(1)
    prompts, place = torch.unique(ids[:, :edge] * own, dim=0, return_inverse=True)
    representative = torch.zeros(len(prompts), dtype=torch.long, device=ids.device)
    representative[place] = torch.arange(len(place), device=ids.device)
    order = lengths.argsort(descending=True, stable=True)
    logps, entropies = [], []
    with autocast:
        cache = _prefilled(model, prompts, own[representative])
        for chosen in torch.split(order, rows):
            # The last token of a prompt predicts the first of its completion.
            width = max(1, int(lengths[chosen].max()))
            columns = slice(edge, edge + width)
            labels = ids[chosen, columns].masked_fill(mask[chosen, columns] == 0, -100)
            output = model(
                input_ids=ids[chosen, edge - 1 : edge + width - 1],
                attention_mask=mask[chosen, : edge + width - 1],
                position_ids=own[chosen].sum(1, keepdim=True)
                + torch.arange(-1, width - 1, device=ids.device),
                past_key_values=_rows_of(cache, place[chosen]),
                shift_labels=labels,
                fused_lm_head=True,
            )
            logps.append(pad(output.log_probs, (0, keep - width)))
            if output.entropy is not None:
                entropies.append(pad(output.entropy, (0, keep - width)))
    back = order.argsort()
    return torch.cat(logps)[back], torch.cat(entropies)[back] if entropies else None


def _prefilled(model: PreTrainedModel, prompts: Tensor, own: Tensor) -> DynamicCache:
    """Keys and values of all but the last token of each prompt."""
    cache = DynamicCache()
    model(
        input_ids=prompts[:, :-1],
        attention_mask=own[:, :-1],
        position_ids=(own.cumsum(1) - 1).clamp(min=0)[:, :-1],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    if is_cut(model) and torch.is_grad_enabled():
        learn_through(cache, model)
    return cache


def _rows_of(cache: DynamicCache, places: Tensor) -> DynamicCache:
    """A cache of its own for the given rows of another."""
    # The gradient of an index is added up by threads in any order, that of index_select in one.
    return DynamicCache(
        [
            (layer.keys.index_select(0, places), layer.values.index_select(0, places))
            for layer in cache.layers
        ]
    )


def without_padding(
    score: Score, ids: Tensor, mask: Tensor, keep: int, rows: int = PASS_ROWS
) -> tuple[Tensor, Tensor | None]:
    """What ``score(ids, mask, keep)`` returns, 0 where the mask is, computed in narrow passes.

    Arguments are those of `score`; rows of like length go together.
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
