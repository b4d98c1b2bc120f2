"""An update of GRPO through TRL that computes prompts once and no padding.

TRL's GRPOTrainer but for which completions share a micro-batch and how they are scored; what is
logged of an update is a mean over all of its tokens. Leaves out rollouts, rewards and checkpoints.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from trl import GRPOTrainer
from trl.models.utils import _ForwardRedirection
from trl.trainer.utils import split_tensor_dict

from reasonkit.objectives import LossType, RatioLevel
from reasonkit.training import shared_prompts
from reasonkit.training.micro_batches import Row, arranged
from reasonkit.training.padding import without_padding

TOKEN_MEANS = ("entropy", "kl")
CLIP_MEANS = (
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
    "cispo_clip_ratio",
)
"""What TRL logs as means over a micro-batch's tokens; the latter, of its sequences where the ratio
is one a sequence."""


class UpdateTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer with an update of our own."""

    _buffered_inputs: list[dict[str, Any]] | None

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
            [Row(*row) for row in torch.stack(lengths, 1).tolist()],
            self.args.per_device_train_batch_size,
            shared_prompts.can_share(policy, policy),
        )
        laid = {name: value[order] if value.ndim else value for name, value in whole.items()}
        laid["usual_tokens"] = whole["completion_mask"].sum() / len(micro_batches)
        return split_tensor_dict(laid, len(micro_batches))  # type: ignore[no-any-return]

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = super()._compute_loss(model, inputs)
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
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        unwrapped = self.accelerator.unwrap_model(model)
        if isinstance(model, DistributedDataParallel):
            # Gradients are added up over processes once for each call of the wrapper: one is made,
            # whatever the number of passes within.
            through: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]
            through = _ForwardRedirection()(
                model,
                unwrapped,
                self._get_per_token_logps_and_entropies,
                unwrapped,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **images,
            )
            return through
        score = super()._get_per_token_logps_and_entropies
        if compute_aux_loss:
            whole: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None] = score(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **images,
            )
            return whole

        if shared_prompts.can_share(model, unwrapped):
            autocast = self.accelerator.autocast()
            return *shared_prompts.score(
                unwrapped, input_ids, attention_mask, logits_to_keep, autocast
            ), None

        def one_pass(
            ids: torch.Tensor, mask: torch.Tensor, keep: int
        ) -> tuple[torch.Tensor, torch.Tensor | None]:
            scored = score(model, ids, mask, keep, batch_size, compute_entropy)
            return scored[0], scored[1]

        return *without_padding(one_pass, input_ids, attention_mask, logits_to_keep), None
