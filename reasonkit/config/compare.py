"""The settings of ``reasonkit compare``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reasonkit.config.base import DATA, MACHINE, CommonConfig, flag

WAYS = "Ways and what they may spend"


@dataclass(frozen=True)
class CompareConfig(CommonConfig):
    """Settings of ``reasonkit compare``; those that every command has go to every part."""

    FIRST: ClassVar[tuple[str, ...]] = (
        *("model", "task", "teacher", "student", "only"),
        *("set", "budget", "quick", "seeds", "max_completion_tokens"),
    )

    teacher: str | None = flag(
        DATA,
        "Whom distillation learns from; empty leaves it out. "
        "(default: abacus-reasoner for an abacus, none for others)",
    )
    traces: str | None = flag(
        DATA,
        "Traces that are there already: distillation learns them where there is no teacher, "
        "and the full recipe has them for its cold start.",
    )
    student: str | None = flag(
        DATA,
        "A smaller model, on which distillation meets reinforcement learning from scratch; "
        "empty for none. (default: abacus-mini beside an abacus, none beside others)",
    )
    only: list[str] | None = flag(
        WAYS,
        "A part by name, with the base and what it needs; may be repeated. --dry-run lists "
        "them. (default: all)",
    )
    set: list[str] | None = flag(WAYS, "PART.SETTING=VALUE, as in grpo.steps=40; may be repeated.")
    budget: str | None = flag(
        WAYS,
        "What each way may spend: FLOPs as in 2e12, or time as in 5min. (default: each way's "
        "usual settings)",
    )
    quick: bool = flag(
        WAYS, "Fewer parts, steps and samples, and at most 200 test questions.", False
    )
    seeds: int = flag(
        MACHINE, "How often each part is run, with --seed and those after it.", 1, min=1
    )
