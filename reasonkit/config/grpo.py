"""The settings of ``reasonkit grpo``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from reasonkit.config.base import (
    BY_MODEL,
    DATA,
    EVALUATION,
    MACHINE,
    OBJECTIVE,
    ROLLOUT,
    UPDATE,
    TrainingConfig,
    flag,
    more_or_all,
)
from reasonkit.objectives import PRESETS, Importance, KlForm, LossType, RatioLevel, RewardScaling

BY_PRESET = "(default: by preset)"


OnCollapse = enum.StrEnum("OnCollapse", ["rollback", "stop", "ignore"])
"""What is done when validation accuracy falls below its best and stays there."""


@dataclass(frozen=True)
class GrpoConfig(TrainingConfig):
    """Settings of ``reasonkit grpo``.

    Attributes:
        CHANGEABLE: what ``--resume`` may change: a run can be made longer.
    """

    CHANGEABLE: ClassVar[tuple[str, ...]] = ("steps",)

    FIRST: ClassVar[tuple[str, ...]] = (
        *("model", "task", "reward", "steps", "group_size"),
        *("prompts_per_step", "learning_rate", "max_completion_tokens", "lora", "seed"),
    )

    general_task: str | None = flag(
        DATA, "A second task whose prompts are mixed in, such as general."
    )
    general_share: float = flag(DATA, "Its share of the prompts of a step.", 0.25, min=0.0, max=0.9)
    general_reward: list[str] | None = flag(
        DATA, "As --reward, for the second task's prompts. (default: by that task)"
    )
    group_size: int | None = flag(ROLLOUT, f"G: completions a prompt. {BY_MODEL}", min=2)
    prompts_per_step: int | None = flag(ROLLOUT, f"Prompts a rollout. {BY_MODEL}", min=1)
    temperature: float | None = flag(ROLLOUT, f"Of the rollouts. {BY_MODEL}", min=0.01, max=5.0)
    curriculum: bool = flag(
        ROLLOUT, "Prefer prompts that are sometimes solved, by observed pass rate.", False
    )
    resample: int | None = flag(
        ROLLOUT,
        f"Rounds in which groups of equal rewards are replaced. {BY_PRESET}",
        min=0,
    )
    steps: int | None = flag(
        UPDATE,
        "Rollouts, each followed by its updates; with --resume +N for so many more. "
        "(default: by model and task)",
        min=1,
        parser=more_or_all,
    )
    updates_per_rollout: int = flag(
        UPDATE, "μ: passes over each rollout; above 1 the clip matters.", 1, min=1
    )
    preset: str = flag(OBJECTIVE, f"One of {', '.join(PRESETS)}.", "token-mean")
    loss_type: LossType | None = flag(
        OBJECTIVE, f"What is clipped and how token losses are averaged. {BY_PRESET}"
    )
    reward_scaling: RewardScaling | None = flag(
        OBJECTIVE, f"What centred rewards are divided by. {BY_PRESET}"
    )
    epsilon_low: float | None = flag(OBJECTIVE, f"ε: lower clip of the ratio. {BY_PRESET}", min=0.0)
    epsilon_high: float | None = flag(OBJECTIVE, f"Upper clip of the ratio. {BY_PRESET}", min=0.0)
    kl_coefficient: float | None = flag(
        OBJECTIVE, f"β: how strongly the reference model holds on. {BY_PRESET}", min=0.0
    )
    kl_form: KlForm | None = flag(OBJECTIVE, f"Estimator of the KL penalty. {BY_PRESET}")
    ratio_level: RatioLevel | None = flag(
        OBJECTIVE, f"Whose probability ratio is clipped. {BY_PRESET}"
    )
    importance: Importance | None = flag(
        OBJECTIVE,
        "Correction where the sampler's numbers are not the policy's. "
        "(default: token_truncate, off for the local engine in float32)",
    )
    mask_truncated: bool | None = flag(
        OBJECTIVE, f"Leave completions that were cut off out of the loss. {BY_PRESET}"
    )
    micro_batch: int | None = flag(
        MACHINE, f"Completions a forward and backward pass. {BY_MODEL}", min=1
    )
    vllm_server: str | None = flag(
        MACHINE,
        "URL of a `vllm serve` on devices of its own, which samples with the policy's weights; of "
        "several: URL,URL,… or a file with one a line.",
    )
    validate_every: int = flag(
        EVALUATION, "Steps between looks at the validation split; 0 is never.", 10, min=0
    )
    on_collapse: OnCollapse = flag(
        EVALUATION, "When validation falls and stays below its best.", OnCollapse.rollback
    )

    @property
    def general_prompts(self) -> int:
        """Of a rollout's prompts those of the second task, where there is one; at least one isn't.

        The settings are fully resolved.
        """
        assert self.prompts_per_step is not None
        return min(self.prompts_per_step - 1, round(self.general_share * self.prompts_per_step))
