"""Low-rank adapters (Hu et al., arXiv:2106.09685), where a run trains them and not all weights."""

from __future__ import annotations

from collections.abc import Sequence

from peft import LoraConfig

from reasonkit.config import TrainingConfig


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
