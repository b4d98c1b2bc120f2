"""Whether TRL scores tokens by the logits that a model itself gives.

TRL multiplies the last hidden states by the language head on its own, piece by piece, and knows by
name what some models do to the logits besides: caps and scales. What it doesn't know by name it
leaves out. So it is held against the model's own forward on a few tokens; where they differ, the
model's own logits are taken, whole, which costs memory.
"""

from __future__ import annotations

import copy
import functools
import types
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel
from trl.trainer.utils import FusedCausalLMOutput, add_fused_lm_head

from reasonkit import console, processes
from reasonkit.errors import RefusedError
from reasonkit.generation.local import evaluating

TOKENS = 8
"""Of the text on which both are compared."""

SPREAD = 30.0
"""Standard deviation of its logits, by a larger head: a cap does nothing to small ones."""

SAME = 0.02
"""Log-probabilities that differ by less than this share of `SPREAD` are the same, in bfloat16 too;
a cap of `SPREAD` changes them by ten times as much."""


def is_fused_right(model: PreTrainedModel) -> bool:
    """Whether TRL's head gives a model's own log-probabilities; the model itself stays as it is."""
    # A shallow copy shares all weights, and takes the forward that TRL puts in.
    fused = copy.copy(model)
    add_fused_lm_head(fused)
    head = model.get_output_embeddings().weight
    vocabulary = model.get_input_embeddings().weight.size(0)
    ids = (torch.arange(TOKENS, device=model.device) * 7 + 3)[None] % vocabulary
    kept = head.data
    with evaluating(model):
        logits = model(input_ids=ids, use_cache=False).logits.float()
        try:
            head.data = kept * (SPREAD / logits.std().clamp(min=1e-6)).to(kept.dtype)
            own = model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
            theirs = fused(input_ids=ids, labels=ids, fused_lm_head=True).log_probs
        finally:
            head.data = kept
    expected = own.gather(2, ids[:, 1:, None])[..., 0]
    return not (theirs - expected).abs().max() > SAME * SPREAD


def mend(trainer: Any, right: bool, temperature: float = 1.0) -> None:
    """Has a trainer's models score by their own logits, unless TRL's head is right for them."""
    if right:
        return
    console.note("the model's own logits are trained on, whole: it caps or scales them by itself")
    for model in (trainer.model, getattr(trainer, "ref_model", None)):
        if model is not None:
            score_by_own_logits(model, temperature)


def score_by_own_logits(model: PreTrainedModel | PeftModel, temperature: float) -> None:
    """Has a model that TRL gave its head answer the same call by its own logits."""
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    fused = base.forward

    @functools.wraps(type(base).forward)
    def forward(
        self: Any,
        *args: Any,
        fused_lm_head: bool = False,
        labels: Tensor | None = None,
        shift_labels: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **more: Any,
    ) -> Any:
        if not fused_lm_head:
            more |= {"labels": labels, "shift_labels": shift_labels}
            return fused(*args, num_items_in_batch=num_items_in_batch, **more)
        output = fused(*args, **(more | {"use_cache": False}))
        logits = output.logits
        if shift_labels is None:
            assert labels is not None
            logits, shift_labels = logits[:, :-1], labels[:, 1:]
        logps = (logits.float() / temperature).log_softmax(-1)
        learned = shift_labels != -100
        taken = logps.gather(-1, shift_labels.clamp(min=0)[..., None])[..., 0]
        taken = taken.masked_fill(~learned, 0.0)
        entropy = -(logps.detach().exp() * logps.detach()).sum(-1)
        count = learned.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
        loss, aux_loss = -taken.sum() / count, getattr(output, "aux_loss", None)
        if aux_loss is not None:
            loss = loss + self.config.get_text_config().router_aux_loss_coef * aux_loss
        return FusedCausalLMOutput(
            loss=loss,
            aux_loss=aux_loss,
            log_probs=taken,
            entropy=entropy.masked_fill(~learned, 0.0),
            is_top1=(logps.argmax(-1) == shift_labels) & learned,
            label_mask=learned,
        )

    base.forward = types.MethodType(forward, base)


def require_fused_right(model: PreTrainedModel, name: str) -> None:
    """For a trainer that can score in no other way.

    Raises:
        RefusedError: it would learn from other logits than the model's.
    """
    if not processes.from_main(lambda: is_fused_right(model)):
        raise RefusedError(
            f"{name} ({type(model).__name__}) caps or scales its logits in a way of its own, which "
            "on-policy distillation would leave out: pass --objective traces"
        )
