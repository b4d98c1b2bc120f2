"""Low-rank adapters (Hu et al., arXiv:2106.09685), where a run trains them and not all weights."""

from __future__ import annotations

from collections.abc import Sequence

from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel

from reasonkit.config import TrainingConfig
from reasonkit.models.precision import widen


def adapter(config: TrainingConfig, targets: Sequence[str] | str) -> LoraConfig | None:
    """The adapters that the settings ask for; None where all weights are trained.

    Args:
        targets: modules that get one; ``all-linear`` for every linear layer.
    """
    if not config.lora:
        return None
    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=2 * config.lora_rank,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )


def merged(policy: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """A policy with its adapters, if any, merged into its weights, which are float32 then.

    The policy itself is used up.
    """
    if not isinstance(policy, PeftModel):
        return policy
    widen(policy)
    whole: PreTrainedModel = policy.merge_and_unload()
    return whole
