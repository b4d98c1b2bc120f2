"""The settings of ``reasonkit grpo``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from reasonkit.config.common import (
    BY_MODEL,
    EVALUATION,
    MACHINE,
    OBJECTIVE,
    ROLLOUT,
    UPDATE,
    CommonConfig,
    flag,
)
from reasonkit.objectives import PRESETS, KlForm, LossType, RatioLevel, RewardScaling

BY_PRESET = "(default: by preset)"


class OnCollapse(enum.StrEnum):
    """What is done when validation accuracy falls below its best and stays there."""

    rollback = "rollback"
    stop = "stop"
    ignore = "ignore"


@dataclass(frozen=True)
class GrpoConfig(CommonConfig):
    """Settings of ``reasonkit grpo``."""

    group_size: Annotated[
        int | None, flag(ROLLOUT, f"G: completions a prompt. {BY_MODEL}", min=2)
    ] = None
    prompts_per_step: Annotated[
        int | None, flag(ROLLOUT, f"Prompts a rollout. {BY_MODEL}", min=1)
    ] = None
    temperature: Annotated[float, flag(ROLLOUT, "Of the rollouts.", min=0.01, max=5.0)] = 1.0
    curriculum: Annotated[
        bool, flag(ROLLOUT, "Prefer prompts that are sometimes solved, by observed pass rate.")
    ] = False
    resample: Annotated[
        int | None,
        flag(ROLLOUT, f"Rounds in which groups without spread are replaced. {BY_PRESET}", min=0),
    ] = None
    steps: Annotated[
        int | None, flag(UPDATE, f"Rollouts, each followed by its updates. {BY_MODEL}", min=1)
    ] = None
    updates_per_rollout: Annotated[
        int, flag(UPDATE, "μ: passes over each rollout; above 1 the clip matters.", min=1)
    ] = 1
    learning_rate: Annotated[
        float | None, flag(UPDATE, f"Peak of AdamW's. {BY_MODEL}", min=0.0)
    ] = None
    warmup_steps: Annotated[int, flag(UPDATE, "Updates until the peak is reached.", min=0)] = 3
    preset: Annotated[str, flag(OBJECTIVE, f"One of {', '.join(PRESETS)}.")] = "token-mean"
    loss_type: Annotated[
        LossType | None,
        flag(OBJECTIVE, f"What is clipped and how token losses are averaged. {BY_PRESET}"),
    ] = None
    reward_scaling: Annotated[
        RewardScaling | None,
        flag(OBJECTIVE, f"What centred rewards are divided by. {BY_PRESET}"),
    ] = None
    epsilon_low: Annotated[
        float | None, flag(OBJECTIVE, f"ε: lower clip of the ratio. {BY_PRESET}", min=0.0)
    ] = None
    epsilon_high: Annotated[
        float | None, flag(OBJECTIVE, f"Upper clip of the ratio. {BY_PRESET}", min=0.0)
    ] = None
    kl_coefficient: Annotated[
        float | None,
        flag(OBJECTIVE, f"β: how strongly the reference model holds on. {BY_PRESET}", min=0.0),
    ] = None
    kl_form: Annotated[
        KlForm | None, flag(OBJECTIVE, f"Estimator of the KL penalty. {BY_PRESET}")
    ] = None
    ratio_level: Annotated[
        RatioLevel | None, flag(OBJECTIVE, f"Whose probability ratio is clipped. {BY_PRESET}")
    ] = None
    mask_truncated: Annotated[
        bool | None,
        flag(OBJECTIVE, f"Leave completions that were cut off out of the loss. {BY_PRESET}"),
    ] = None
    max_grad_norm: Annotated[float, flag(UPDATE, "Gradients are clipped here.", min=0.0)] = 1.0
    lora: Annotated[bool, flag(UPDATE, "Train low-rank adapters, not all weights.")] = False
    lora_rank: Annotated[int, flag(UPDATE, "Rank of the adapters.", min=1)] = 16
    keep_adapter: Annotated[bool, flag(UPDATE, "Save the adapter beside the merged weights.")] = (
        False
    )
    micro_batch: Annotated[
        int | None, flag(MACHINE, f"Completions a forward and backward pass. {BY_MODEL}", min=1)
    ] = None
    validate_every: Annotated[
        int, flag(EVALUATION, "Steps between looks at the validation split; 0 is never.", min=0)
    ] = 10
    on_collapse: Annotated[
        OnCollapse, flag(EVALUATION, "When validation falls and stays below its best.")
    ] = OnCollapse.rollback
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
