"""What every trainer of transformers and TRL is told alike, from our settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from reasonkit.config import TrainingConfig, VerifierConfig
from reasonkit.models import precision


def checkpointing(config: TrainingConfig | VerifierConfig, device: str) -> bool:
    """Whether activations are computed again in the backward pass: on a GPU, unless told."""
    chosen = config.gradient_checkpointing
    return device == "cuda" if chosen is None else chosen


def shared(
    config: TrainingConfig | VerifierConfig, output: Path, updates_a_step: int = 1
) -> dict[str, Any]:
    """Keywords of ``TrainingArguments`` and its kin.

    Args:
        output: where the trainer writes.
        updates_a_step: of the steps that ``save_every`` counts.
    """
    device, products = precision.device(config.device), precision.products(config)
    return {
        "output_dir": str(output),
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": config.warmup_steps,
        "max_grad_norm": config.max_grad_norm,
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
        "seed": config.seed,
        "use_cpu": device == "cpu",
        "bf16": products == torch.bfloat16,
        "fp16": products == torch.float16,
        "gradient_checkpointing": checkpointing(config, device),
        "save_strategy": "steps" if config.save_every else "no",
        "save_steps": max(1, config.save_every) * updates_a_step,
        "disable_tqdm": True,
        "dataloader_pin_memory": device == "cuda",
    }
