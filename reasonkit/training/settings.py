"""What every trainer of transformers and TRL is told alike, from our settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from reasonkit.config import TrainingConfig, VerifierConfig


def shared(
    config: TrainingConfig | VerifierConfig, output: Path, updates_a_step: int = 1
) -> dict[str, Any]:
    """Keywords of ``TrainingArguments`` and its kin.

    Args:
        output: where the trainer writes.
        updates_a_step: of the steps that ``save_every`` counts.
    """
    cuda = torch.cuda.is_available() and config.device in ("auto", "cuda")
    return {
        "output_dir": str(output),
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": config.warmup_steps,
        "max_grad_norm": config.max_grad_norm,
        "remove_unused_columns": False,
        "seed": config.seed,
        "use_cpu": not cuda and config.device != "mps",
        "bf16": cuda and config.dtype in ("auto", "bfloat16"),
        "fp16": cuda and config.dtype == "float16",
        "gradient_checkpointing": cuda,
        "save_strategy": "steps" if config.save_every else "no",
        "save_steps": max(1, config.save_every) * updates_a_step,
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
    }
