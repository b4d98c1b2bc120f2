"""The settings of ``reasonkit grpo``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from reasonkit.config.base import (
    BY_MODEL,
    DATA,
    EVALUATION,
    MACHINE,
    OBJECTIVE,
    ROLLOUT,
    UPDATE,
    flag,
)
from reasonkit.config.training import TrainingConfig
from reasonkit.objectives import PRESETS, KlForm, LossType, RatioLevel, RewardScaling

BY_PRESET = "(default: by preset)"


class OnCollapse(enum.StrEnum):
    """What is done when validation accuracy falls below its best and stays there."""

    rollback = "rollback"
    stop = "stop"
    ignore = "ignore"


@dataclass(frozen=True)
class GrpoConfig(TrainingConfig):
    """Settings of ``reasonkit grpo``."""

    general_task: Annotated[
        str | None, flag(DATA, "A second task whose prompts are mixed in, such as general.")
    ] = None
    general_share: Annotated[
        float, flag(DATA, "Its share of the prompts of a step.", min=0.0, max=0.9)
    ] = 0.25
    general_reward: Annotated[
        list[str] | None,
        flag(DATA, "As --reward, for the second task's prompts. (default: by that task)"),
    ] = None
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
        int | None,
        flag(UPDATE, "Rollouts, each followed by its updates. (default: by model and task)", min=1),
    ] = None
    updates_per_rollout: Annotated[
        int, flag(UPDATE, "μ: passes over each rollout; above 1 the clip matters.", min=1)
    ] = 1
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
    micro_batch: Annotated[
        int | None, flag(MACHINE, f"Completions a forward and backward pass. {BY_MODEL}", min=1)
    ] = None
    validate_every: Annotated[
        int, flag(EVALUATION, "Steps between looks at the validation split; 0 is never.", min=0)
    ] = 10
    on_collapse: Annotated[
        OnCollapse, flag(EVALUATION, "When validation falls and stays below its best.")
    ] = OnCollapse.rollback

    @property
    def general_prompts(self) -> int:
        """Of a rollout's prompts those of the second task, where there is one; at least one isn't.

        The settings are fully resolved.
        """
        assert self.prompts_per_step is not None
        return min(self.prompts_per_step - 1, round(self.general_share * self.prompts_per_step))
