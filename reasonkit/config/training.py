"""The settings of every command that trains a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from reasonkit.config.base import BY_MODEL, DATA, EVALUATION, UPDATE, CommonConfig, flag
from reasonkit.types import Part


@dataclass(frozen=True)
class TrainingConfig(CommonConfig):
    """Settings that every command that trains has; a command's own class adds to them."""

    part: Annotated[
        Part, flag(DATA, "Train questions that are used: all, or one of two disjoint halves.")
    ] = Part.all
    learning_rate: Annotated[
        float | None, flag(UPDATE, f"Peak of AdamW's. {BY_MODEL}", min=0.0)
    ] = None
    warmup_steps: Annotated[int, flag(UPDATE, "Updates until the peak is reached.", min=0)] = 3
    max_grad_norm: Annotated[float, flag(UPDATE, "Gradients are clipped here.", min=0.0)] = 1.0
    gradient_checkpointing: Annotated[
        bool | None, flag(UPDATE, "Save memory, compute activations twice. (default: on a GPU)")
    ] = None
    lora: Annotated[bool, flag(UPDATE, "Train low-rank adapters, not all weights.")] = False
    lora_rank: Annotated[int, flag(UPDATE, "Rank of the adapters.", min=1)] = 16
    keep_adapter: Annotated[bool, flag(UPDATE, "Save the adapter beside the merged weights.")] = (
        False
    )
    baselines: Annotated[
        bool, flag(EVALUATION, "Measure the untrained model with step-by-step wordings too.")
    ] = True
    save_every: Annotated[
        int, flag(EVALUATION, "Steps between checkpoints; 0 is never.", min=0)
    ] = 20
    keep_checkpoints: Annotated[
        int, flag(EVALUATION, "Newest checkpoints kept, beside the best.", min=1)
    ] = 2
    report_to: Annotated[
        list[str] | None, flag(EVALUATION, "tensorboard, trackio or wandb; may be repeated.")
    ] = None
