"""The settings of ``reasonkit distill``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from reasonkit.config.base import (
    BY_MODEL,
    DATA,
    MACHINE,
    OBJECTIVE,
    UPDATE,
    ServerConfig,
    TrainingConfig,
    flag,
)

TRACES, FILTERS = "Traces", "Filters"


Only = enum.StrEnum("Only", ["traces", "train"])
"""One half of the command."""

Distillation = enum.StrEnum("Distillation", [("traces", "traces"), ("on_policy", "on-policy")])
"""What the student learns from."""


@dataclass(frozen=True)
class DistillConfig(TrainingConfig, ServerConfig):
    """Settings of ``reasonkit distill``."""

    FIRST: ClassVar[tuple[str, ...]] = (
        *("model", "teacher", "task", "traces", "samples"),
        *("epochs", "learning_rate", "max_completion_tokens", "endpoint", "lora"),
    )

    model: str = flag(
        DATA, "The student: registry name, hub id, local folder or earlier run.", "abacus-mini"
    )
    teacher: str | None = flag(
        DATA,
        "The teacher: registry name, hub id, local folder or earlier run; with --endpoint its "
        "name there. (default: abacus-reasoner; none beside --traces)",
    )
    traces: str | None = flag(
        DATA, "Traces that are there already: a file or an earlier run; none are sampled."
    )
    only: Only | None = flag(DATA, "Only sample and filter traces, or only train on --traces.")
    objective: Distillation = flag(
        OBJECTIVE,
        "Learn from the teacher's traces, or have it grade each token of the student's own.",
        Distillation.traces,
    )
    wording: str | None = flag(
        TRACES, "Ask the teacher for step-by-step work in this wording, by name."
    )
    questions: int | None = flag(
        TRACES, "Train questions that the teacher is asked, at most.", min=1
    )
    samples: int = flag(TRACES, "Traces sampled a question.", 2, min=1)
    temperature: float | None = flag(
        TRACES, "Of the sampling. (default: by whose samples they are)", min=0.01, max=5.0
    )
    top_p: float = flag(TRACES, "Keep the likeliest tokens that sum to p.", 1.0, min=0.01, max=1.0)
    keep: list[str] | None = flag(
        FILTERS,
        "NAME=LEAST: a reward that a trace must earn; may be repeated. "
        "(default: answer=1, and format=1 if the teacher was asked for it)",
    )
    similar: float = flag(
        FILTERS, "Traces of a question at least so alike are one; 0 is off.", 0.9, min=0, max=1
    )
    per_question: int = flag(FILTERS, "Traces of a question, at most; 0 is no limit.", 2, min=0)
    balance: float = flag(
        FILTERS,
        "A quarter of the questions by difficulty keeps at most so many times its share; 0 is off.",
        1.5,
        min=0,
    )
    general: str | None = flag(
        UPDATE,
        "A file of chats that are learned too, as they are, so that what they are about is "
        "not forgotten.",
    )
    epochs: int | None = flag(UPDATE, f"Passes over the traces. {BY_MODEL}", min=1)
    batch_tokens: int | None = flag(
        UPDATE, f"Tokens an update, about; on-policy, at most. {BY_MODEL}", min=1
    )
    micro_batch_tokens: int | None = flag(
        MACHINE, f"Tokens a forward and backward pass, about. {BY_MODEL}", min=1
    )
