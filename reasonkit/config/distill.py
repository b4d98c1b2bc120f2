"""The settings of ``reasonkit distill``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from reasonkit.config.base import BY_MODEL, DATA, MACHINE, OBJECTIVE, UPDATE, flag
from reasonkit.config.server import ServerConfig
from reasonkit.config.training import TrainingConfig

TRACES, FILTERS = "Traces", "Filters"


class Only(enum.StrEnum):
    """One half of the command."""

    traces = "traces"
    train = "train"


class Distillation(enum.StrEnum):
    """What the student learns from."""

    traces = "traces"
    on_policy = "on-policy"


@dataclass(frozen=True)
class DistillConfig(TrainingConfig, ServerConfig):
    """Settings of ``reasonkit distill``."""

    model: Annotated[
        str, flag(DATA, "The student: registry name, hub id, local folder or earlier run.")
    ] = "abacus-mini"
    teacher: Annotated[
        str | None,
        flag(
            DATA,
            "The teacher: registry name, hub id, local folder or earlier run; with --endpoint its "
            "name there. (default: abacus-reasoner; none beside --traces)",
        ),
    ] = None
    traces: Annotated[
        str | None,
        flag(DATA, "Traces that are there already: a file or an earlier run; none are sampled."),
    ] = None
    only: Annotated[
        Only | None, flag(DATA, "Only sample and filter traces, or only train on --traces.")
    ] = None
    objective: Annotated[
        Distillation,
        flag(
            OBJECTIVE,
            "Learn from the teacher's traces, or have it grade each token of the student's own.",
        ),
    ] = Distillation.traces
    wording: Annotated[
        str | None,
        flag(TRACES, "Ask the teacher for step-by-step work in this wording, by name."),
    ] = None
    questions: Annotated[
        int | None, flag(TRACES, "Train questions that the teacher is asked, at most.", min=1)
    ] = None
    samples: Annotated[int, flag(TRACES, "Traces sampled a question.", min=1)] = 2
    temperature: Annotated[float, flag(TRACES, "Of the sampling.", min=0.01, max=5.0)] = 1.0
    top_p: Annotated[
        float, flag(TRACES, "Keep the likeliest tokens that sum to p.", min=0.01, max=1.0)
    ] = 1.0
    keep: Annotated[
        list[str] | None,
        flag(
            FILTERS,
            "NAME=LEAST: a reward that a trace must earn; may be repeated. "
            "(default: answer=1, and format=1 if the teacher was asked for it)",
        ),
    ] = None
    similar: Annotated[
        float,
        flag(FILTERS, "Traces of a question at least so alike are one; 0 is off.", min=0, max=1),
    ] = 0.9
    per_question: Annotated[
        int, flag(FILTERS, "Traces of a question, at most; 0 is no limit.", min=0)
    ] = 2
    balance: Annotated[
        float,
        flag(
            FILTERS,
            "A quarter of the questions by difficulty keeps at most so many times its share; "
            "0 is off.",
            min=0,
        ),
    ] = 1.5
    general: Annotated[
        str | None,
        flag(
            UPDATE,
            "A file of chats that are learned too, as they are, so that what they are about is "
            "not forgotten.",
        ),
    ] = None
    epochs: Annotated[int | None, flag(UPDATE, f"Passes over the traces. {BY_MODEL}", min=1)] = None
    batch_tokens: Annotated[
        int | None, flag(UPDATE, f"Tokens an update, about; on-policy, at most. {BY_MODEL}", min=1)
    ] = None
    micro_batch_tokens: Annotated[
        int | None, flag(MACHINE, f"Tokens a forward and backward pass, about. {BY_MODEL}", min=1)
    ] = None
