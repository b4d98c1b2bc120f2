"""What GRPO and its descendants optimise, as rows of a table.

A preset names one objective of the literature: the loss, what centred rewards are divided by, the
clip, the KL penalty, and which groups and completions count. Each can still be changed by its own
flag. Left out: learning rates, group sizes and batch sizes, which belong to a model and a machine
and not to an objective.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

LossType = enum.StrEnum(
    "LossType", ["grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"]
)
"""What is clipped, and what the sum over tokens is divided by."""

RewardScaling = enum.StrEnum("RewardScaling", ["group", "batch", "none"])
"""What a centred reward is divided by."""

RatioLevel = enum.StrEnum("RatioLevel", ["token", "sequence"])
"""Whether the probability ratio is a token's own, or its sequence's geometric mean."""

KlForm = enum.StrEnum("KlForm", [("k3", "k3"), ("k3_times_ratio", "k3-times-ratio")])
"""The estimator of the KL penalty: Schulman's k3, or k3 times the ratio."""

Importance = enum.StrEnum(
    "Importance",
    ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask", "off"],
)
"""How updates weigh what a sampler drew whose numbers are not the policy's, by TRL's names;
`reasonkit.training.importance` has the formulas."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A row of `PRESETS`. The fields but the first two are settings of ``reasonkit grpo``.

    Attributes:
        epsilon_low: the ratio is clipped below 1 - ε.
        epsilon_high: the ratio is clipped above 1 + ε; for cispo, above ε itself.
        kl_coefficient: β; 0 loads no reference model.
        mask_truncated: whether completions that were cut off are left out of the loss.
        resample: in how many rounds groups without spread are replaced by fresh ones.
    """

    source: str
    summary: str
    loss_type: LossType
    reward_scaling: RewardScaling = RewardScaling.group
    epsilon_low: float = 0.2
    epsilon_high: float = 0.2
    kl_coefficient: float = 0.0
    kl_form: KlForm = KlForm.k3
    ratio_level: RatioLevel = RatioLevel.token
    mask_truncated: bool = False
    resample: int = 0


PRESETS: dict[str, Objective] = {
    "token-mean": Objective(
        source="the GRPO objective divided by the group's tokens, as in TRL and verl",
        summary="mean over all tokens of a step, clipped ratio, no reference model",
        loss_type=LossType.dapo,
    ),
    "deepseekmath": Objective(
        source="Shao et al., arXiv:2402.03300, equation 3 and section 4.2",
        summary="mean over tokens of each completion, then over completions; KL 0.04",
        loss_type=LossType.grpo,
        kl_coefficient=0.04,
    ),
    "r1": Objective(
        source="DeepSeek-AI, arXiv:2501.12948, and its published training details",
        summary="as deepseekmath with hardly any clip (ε = 10) and a KL of 0.001",
        loss_type=LossType.grpo,
        epsilon_low=10.0,
        epsilon_high=10.0,
        kl_coefficient=0.001,
    ),
    "dr-grpo": Objective(
        source="Liu et al., arXiv:2503.20783, section 3.2",
        summary="divided by a constant instead of lengths and standard deviations",
        loss_type=LossType.dr_grpo,
        reward_scaling=RewardScaling.none,
    ),
    "dapo": Objective(
        source="Yu et al., arXiv:2503.14476, equation 8 and section 3",
        summary="clip-higher, dynamic sampling, overlong filtering; no soft length penalty",
        loss_type=LossType.dapo,
        epsilon_high=0.28,
        mask_truncated=True,
        resample=3,
    ),
    "gspo": Objective(
        source="Zheng et al., arXiv:2507.18071, equations 5 to 7 and section 5.1",
        summary="one ratio a sequence, clipped within a few ten-thousandths",
        loss_type=LossType.grpo,
        epsilon_low=3e-4,
        epsilon_high=4e-4,
        ratio_level=RatioLevel.sequence,
    ),
    "cispo": Objective(
        source="MiniMax, arXiv:2506.13585, equation 4; the bound from ScaleRL, arXiv:2510.13786",
        summary="clips the weight of a token and never drops its gradient",
        loss_type=LossType.cispo,
        epsilon_high=5.0,
    ),
}
