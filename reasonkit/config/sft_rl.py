"""The settings of ``reasonkit sft-rl``.

What a stage does is set by the settings of ``distill`` and ``grpo``: ``--set`` reaches them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from reasonkit.config.base import BY_MODEL, DATA, EVALUATION, SharedConfig, flag

STAGES = "Stages"


class StageName(enum.StrEnum):
    """The stages, in their order."""

    cold_start = "cold-start"
    rl = "rl"
    rejection = "rejection"
    final_rl = "final-rl"


Start = enum.StrEnum("Start", ["base", "policy"])
"""Which weights a stage begins with."""


@dataclass(frozen=True)
class SftRlConfig(SharedConfig):
    """Settings of ``reasonkit sft-rl``.

    Attributes:
        CHANGEABLE: what ``--resume`` may change; the stages that it concerns are done again.
    """

    FIRST: ClassVar[tuple[str, ...]] = (
        *("model", "teacher", "task", "reward", "until"),
        *("skip", "set", "general_task", "max_completion_tokens", "seed"),
    )
    CHANGEABLE: ClassVar[tuple[str, ...]] = ("until", "skip", "rejection_from", "set")

    until: StageName = flag(STAGES, "The last stage that is done.", StageName.final_rl)
    skip: list[str] | None = flag(STAGES, "A stage that is left out; may be repeated.")
    rejection_from: Start = flag(
        STAGES, "What the rejection stage trains: the base again, or the policy.", Start.base
    )
    set: list[str] | None = flag(
        STAGES,
        "[STAGE.]SETTING=VALUE: a setting of distill or grpo, in one stage or in all that have "
        "it, as in rl.steps=200; may be repeated.",
    )
    teacher: str | None = flag(
        DATA,
        "Who writes the cold-start traces. (default: the model itself, asked for step-by-step "
        "work)",
    )
    traces: str | None = flag(
        DATA, "Cold-start traces that are there already: a file or an earlier run."
    )
    general_task: str | None = flag(
        DATA, f"The task whose prompts the last stage mixes in; empty for none. {BY_MODEL}"
    )
    general_reward: list[str] | None = flag(
        DATA, "As --reward, for those prompts. (default: by that task)"
    )
    general_chats: str | None = flag(
        DATA,
        "A file of chats that the rejection stage learns too. (default: of the task general good "
        "answers, of another what the base says itself to its train prompts)",
    )
    baselines: bool = flag(
        EVALUATION, "Measure the untrained model with step-by-step wordings too.", True
    )
