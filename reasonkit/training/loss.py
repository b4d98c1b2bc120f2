"""The loss of GRPO: clipped ratios times advantages, less the KL term, over scored completions.

With the ratio r_t of a token's probability to that when it was sampled, the advantage A of its
completion and a reference model π_ref, TRL computes (DeepSeekMath, arXiv:2402.03300, equations 3
and 4)::

    loss = -mean_t [ min(r_t A, clip(r_t, 1 - ε_low, 1 + ε_high) A) - β KL_t ]
    KL_t = π_ref / π - log(π_ref / π) - 1

`reasonkit.objectives` has ε, β, what the mean is over and what else a preset changes. Here is which
completions share a micro-batch and how they are scored, a prompt once and no padding; what is
logged of an update is a mean over all of its tokens. Advantages are weighed by what the sampler's
numbers differ from the policy's (`reasonkit.training.importance`).

A completion whose advantage is 0 gives no gradient where nothing else is in the loss: it isn't
computed, and counts in the means all the same. What is logged of tokens is then of those computed.

Leaves out rollouts and advantages.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from trl import GRPOTrainer
from trl.models.utils import _ForwardRedirection
from trl.trainer.utils import split_tensor_dict

from reasonkit import processes
from reasonkit.config import GrpoConfig
from reasonkit.objectives import Importance, LossType, RatioLevel
from reasonkit.training.importance import Mismatch
from reasonkit.training.micro_batches import Lengths, arranged
from reasonkit.training.scoring import can_share, score, without_padding
from reasonkit.training.trainer import RunTrainer

Scored = tuple[Tensor, Tensor | None, Tensor | None]
"""Log-probabilities, entropies and the loss of a mixture's router."""

TOKEN_MEANS = ("entropy", "kl")
CLIP_MEANS = (
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
    "cispo_clip_ratio",
)
"""What TRL logs as means over a micro-batch's tokens; the latter, of its sequences where the ratio
is one a sequence."""


ROW_MEANS = {LossType.grpo, LossType.sapo, LossType.dr_grpo, LossType.luspo}
"""Losses that are a mean over the completions of a micro-batch, those without gradient included."""


class Trainer(RunTrainer, GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer with an update of our own."""

    config: GrpoConfig
    _buffered_inputs: list[dict[str, Any]] | None
    _update: dict[str, Any] | None = None

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.mismatch = Mismatch()

    def _prepare_inputs(self, generation_batch: dict[str, Any]) -> dict[str, Any]:
        """A micro-batch. TRL cuts a new rollout by chance; here so that little is computed."""
        cut = self._buffered_inputs
        inputs: dict[str, Any] = super()._prepare_inputs(generation_batch)
        new = self._buffered_inputs
        # A loss that is a mean over a micro-batch's own tokens depends on what shares it.
        if new is cut or new is None or self.args.loss_type == LossType.bnpo:
            return inputs
        laid = self._buffered_inputs = self._arranged(new)
        current: int = self._step % self.args.steps_per_generation
        return laid[current]

    def _arranged(self, micro_batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
        whole = {
            name: torch.cat([batch[name] for batch in micro_batches]) if value.ndim else value
            for name, value in micro_batches[0].items()
        }
        ids, mask = whole["prompt_ids"], whole["prompt_mask"]
        _, prompts = torch.unique(ids * mask, dim=0, return_inverse=True)
        lengths = (prompts, mask.sum(1), whole["completion_mask"].sum(1))
        policy = self.accelerator.unwrap_model(self.model)
        order = arranged(
            [Lengths(*row) for row in torch.stack(lengths, 1).tolist()],
            self.args.per_device_train_batch_size,
            can_share(policy, policy),
        )
        counts = self._counting(whole)
        # Whole micro-batches are spared, where it can be, and not some rows of each.
        order.sort(key=(~counts).tolist().__getitem__)
        laid = {name: value[order] if value.ndim else value for name, value in whole.items()}
        laid["counts"] = counts[order]
        laid["completion_mask"] = laid["completion_mask"] * counts[order][:, None]
        batches = laid["counts"].split(self.args.per_device_train_batch_size)
        # Processes add up gradients and gather what they log of each: they compute as many rows.
        sizes = processes.gathered([max(1, int(rows.sum())) for rows in batches])
        for rows, *size in zip(batches, *sizes, strict=True):
            rows[: max(size)] = True
        laid["usual_tokens"] = laid["completion_mask"].sum() / len(micro_batches)
        return split_tensor_dict(laid, len(micro_batches))  # type: ignore[no-any-return]

    def _counting(self, rows: dict[str, Any]) -> Tensor:
        """Which rows have a gradient, of shape (rows,)."""
        moves: Tensor = rows["advantages"] != 0
        beside = self.beta or self.aux_loss_enabled or self._entropy_bonus_enabled
        if beside or self.top_entropy_quantile < 1:
            return torch.ones_like(moves)
        said: Tensor = rows["completion_mask"].any(1)
        return moves & said

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], *more: Any, **others: Any
    ) -> Tensor:
        """As TRL has it."""
        counts = inputs.get("counts")
        share = 1.0
        if counts is not None:
            inputs = {n: value[counts] if value.ndim else value for n, value in inputs.items()}
            if self.args.loss_type in ROW_MEANS:
                share = float(counts.float().mean())
        self._update = inputs = dict(inputs)
        loss: Tensor = super().compute_loss(model, inputs, *more, **others) * share
        self._update = None
        if "usual_tokens" in inputs:
            # TRL averages the means of micro-batches, of which some have many more tokens now.
            tokens = torch.stack([inputs["completion_mask"].sum(), inputs["usual_tokens"]])
            here, usual = self.accelerator.reduce(tokens, reduction="sum").tolist()
            by_token = self.args.importance_sampling_level == RatioLevel.token
            for name in (*TOKEN_MEANS, *(CLIP_MEANS if by_token else ())):
                if seen := self._metrics["train"].get(name):
                    seen[-1] *= here / max(usual, 1.0)
        return loss

    def _get_per_token_logps_and_entropies(
        self, model: torch.nn.Module, *given: Any, **more: Any
    ) -> Scored:
        """As TRL has it; what is scored for an update is weighed, too."""
        update, self._update = self._update, None
        scores = self._scores(model, *given, **more)
        if update is not None and "sampling_per_token_logps" in update:
            before = update.get("old_per_token_logps", scores[0])
            sampler, mask = update["sampling_per_token_logps"], update["completion_mask"]
            how = self.config.importance or Importance.off
            weights = self.mismatch.weigh(before, sampler, mask, how)
            if how != Importance.off:
                update["advantages"] = update["advantages"][:, None] * weights
        return scores

    def _scores(
        self,
        model: torch.nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> Scored:
        unwrapped = self.accelerator.unwrap_model(model)
        given = (input_ids, attention_mask, logits_to_keep)
        made: Scored
        if isinstance(model, DistributedDataParallel):
            # Gradients are added up over processes once for each call of the wrapper: one is made,
            # whatever the number of passes within.
            wanted = (batch_size, compute_entropy, compute_aux_loss)
            made = _ForwardRedirection()(
                model, unwrapped, self._scores, unwrapped, *given, *wanted, **images
            )
            return made
        whole = super()._get_per_token_logps_and_entropies
        if compute_aux_loss:
            made = whole(model, *given, batch_size, compute_entropy, compute_aux_loss, **images)
            return made
        if can_share(model, unwrapped):
            return *score(unwrapped, *given, self.accelerator.autocast()), None

        def one_pass(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, Tensor | None]:
            logps, entropies, _ = whole(model, ids, mask, keep, batch_size, compute_entropy)
            return logps, entropies

        return *without_padding(one_pass, *given), None
