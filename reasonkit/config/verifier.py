"""The settings of training a verifier."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from reasonkit.config.base import BY_MODEL, EVALUATION, ROLLOUT, UPDATE, UpdatesConfig, flag

Aggregate = enum.StrEnum("Aggregate", ["last", "lowest", "mean", "product"])
"""What a solution's score is made of, where each of its steps has one."""


@dataclass(frozen=True)
class VerifierConfig(UpdatesConfig):
    """Settings of training a verifier."""

    on_first: ClassVar[bool] = False  # type: ignore[misc]

    FIRST: ClassVar[tuple[str, ...]] = (
        *("model", "task", "questions", "samples", "epochs"),
        *("batch", "learning_rate", "max_completion_tokens", "aggregate", "seed"),
    )

    questions: int | None = flag(ROLLOUT, f"Train questions that are answered. {BY_MODEL}", min=2)
    samples: int = flag(ROLLOUT, "Completions a question.", 16, min=1)
    process: bool = flag(
        ROLLOUT,
        "Label each step by the share of its continuations that end right, not by its solution.",
        False,
    )
    continuations: int = flag(ROLLOUT, "--process: continuations of each step.", 8, min=1)
    temperature: float | None = flag(ROLLOUT, f"Of the completions. {BY_MODEL}", min=0.01, max=5.0)
    wording: str | None = flag(ROLLOUT, "Ask for step-by-step work in this wording, by name.")
    held_out: float = flag(
        EVALUATION, "Share of the questions kept apart to choose on.", 0.1, min=0.01, max=0.5
    )
    aggregate: Aggregate | None = flag(
        EVALUATION, "Of the scores of a solution's steps. (default: best on those questions)"
    )
    step_ends: list[str] | None = flag(
        EVALUATION, f"A text that ends a step; may be repeated. {BY_MODEL}"
    )
    epochs: int = flag(UPDATE, "Passes over the completions.", 1, min=1)
    lm_weight: float | None = flag(
        UPDATE, f"λ: of predicting tokens beside judging. {BY_MODEL}", min=0.0
    )
    batch: int = flag(UPDATE, "Completions an update.", 64, min=1)
    micro_batch: int | None = flag(
        UPDATE, f"Completions a forward and backward pass. {BY_MODEL}", min=1
    )
    warmup_steps: int = flag(UPDATE, "Updates until the peak is reached.", 20, min=0)
    save_every: int = flag(EVALUATION, "Updates between checkpoints; 0 is never.", 100, min=0)
    keep_checkpoints: int = flag(EVALUATION, "Newest checkpoints kept.", 2, min=1)
