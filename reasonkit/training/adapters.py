"""Low-rank adapters (Hu et al., arXiv:2106.09685), where a run trains them and not all weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel

from reasonkit.config import TrainingConfig
from reasonkit.errors import RefusedError

Targets = Sequence[str] | str


def adapter(config: TrainingConfig, targets: Targets, model: PreTrainedModel) -> LoraConfig | None:
    """The adapters that the settings ask for; None where all weights are trained.

    Args:
        targets: modules that get one; ``all-linear`` for every linear layer. Where the model can't
            have them there, every linear layer that can.

    Raises:
        RefusedError: no layer of this model can have one.
    """
    if not config.lora:
        return None
    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=2 * config.lora_rank,
        target_modules=_usable(model, targets),
        task_type="CAUSAL_LM",
    )


def _usable(model: PreTrainedModel, targets: Targets) -> list[str] | str:
    wanted = targets if isinstance(targets, str) else list(targets)
    if _fits(model, wanted):
        return wanted
    head = model.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    usable = sorted(name for name in linear if _fits(model, [name]))
    if not usable:
        raise RefusedError(
            f"--lora: no layer of {type(model).__name__} can have an adapter: leave it out, to "
            "train all weights"
        )
    return usable


def _fits(model: PreTrainedModel, targets: list[str] | str) -> bool:
    """Whether PEFT takes them, tried on a skeleton: what it has begun it doesn't undo."""
    with torch.device("meta"):
        skeleton = type(model)(model.config)
    try:
        get_peft_model(skeleton, LoraConfig(r=1, target_modules=targets))
    except ValueError:
        return False
    return True
