"""The settings of training a verifier."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated

from reasonkit.config.base import BY_MODEL, EVALUATION, ROLLOUT, UPDATE, CommonConfig, flag


class Aggregate(enum.StrEnum):
    """What a solution's score is made of, where each of its steps has one."""

    last = "last"
    lowest = "lowest"
    mean = "mean"
    product = "product"


@dataclass(frozen=True)
class VerifierConfig(CommonConfig):
    """Settings of training a verifier."""

    questions: Annotated[
        int | None, flag(ROLLOUT, f"Train questions that are answered. {BY_MODEL}", min=2)
    ] = None
    samples: Annotated[int, flag(ROLLOUT, "Completions a question.", min=1)] = 16
    temperature: Annotated[float, flag(ROLLOUT, "Of the completions.", min=0.01, max=5.0)] = 1.0
    wording: Annotated[
        str | None, flag(ROLLOUT, "Ask for step-by-step work in this wording, by name.")
    ] = None
    held_out: Annotated[
        float,
        flag(EVALUATION, "Share of the questions kept apart to choose on.", min=0.01, max=0.5),
    ] = 0.1
    aggregate: Annotated[
        Aggregate | None,
        flag(EVALUATION, "Of the scores of a solution's steps. (default: best on those questions)"),
    ] = None
    step_ends: Annotated[
        list[str] | None,
        flag(EVALUATION, f"A text that ends a step; may be repeated. {BY_MODEL}"),
    ] = None
    epochs: Annotated[int, flag(UPDATE, "Passes over the completions.", min=1)] = 1
    lm_weight: Annotated[
        float | None, flag(UPDATE, f"λ: of predicting tokens beside judging. {BY_MODEL}", min=0.0)
    ] = None
    batch: Annotated[int, flag(UPDATE, "Completions an update.", min=1)] = 64
    micro_batch: Annotated[
        int | None, flag(UPDATE, f"Completions a forward and backward pass. {BY_MODEL}", min=1)
    ] = None
    learning_rate: Annotated[
        float | None, flag(UPDATE, f"Peak of AdamW's. {BY_MODEL}", min=0.0)
    ] = None
    warmup_steps: Annotated[int, flag(UPDATE, "Updates until the peak is reached.", min=0)] = 20
    max_grad_norm: Annotated[float, flag(UPDATE, "Gradients are clipped here.", min=0.0)] = 1.0
    gradient_checkpointing: Annotated[
        bool | None, flag(UPDATE, "Save memory, compute activations twice. (default: on a GPU)")
    ] = None
    save_every: Annotated[
        int, flag(EVALUATION, "Updates between checkpoints; 0 is never.", min=0)
    ] = 100
    keep_checkpoints: Annotated[int, flag(EVALUATION, "Newest checkpoints kept.", min=1)] = 2
