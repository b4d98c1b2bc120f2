"""The settings of ``reasonkit vote``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reasonkit.config.base import BY_MODEL, EVALUATION, ServerConfig, flag

SAMPLES, VOTES, SPARING, LONGER = "Samples", "Votes", "Spending less", "Thinking longer"
RECORDED = "Recorded completions"


@dataclass(frozen=True)
class VoteConfig(ServerConfig):
    """Settings of ``reasonkit vote``."""

    FIRST: ClassVar[tuple[str, ...]] = (
        *("model", "task", "strategy", "n", "temperature"),
        *("reward", "verifier", "completions", "endpoint", "max_completion_tokens"),
    )

    question: str | None = flag(
        None, "Answer this one question and show the ballots.", argument=True
    )
    strategy: str = flag(
        VOTES, "How the answer is found; `reasonkit strategies` lists them.", "majority"
    )
    n: int | None = flag(
        SAMPLES, "Samples a question, at most. (default: 16, or as many as are recorded)", min=1
    )
    temperature: float | None = flag(SAMPLES, f"Of the samples. {BY_MODEL}", min=0.0, max=5.0)
    top_p: float = flag(
        SAMPLES, "Keep the likeliest tokens that sum to this.", 1.0, min=0.01, max=1.0
    )
    step_by_step: bool = flag(SAMPLES, "Ask for step-by-step work, whatever the strategy.", False)
    wording: str = flag(SAMPLES, "How step-by-step work is asked for, by name.", "step-by-step")
    reward: list[str] | None = flag(
        VOTES,
        "What weighted, best-of-n and top-k-vote rank by: NAME=WEIGHT or "
        "FILE.py:NAME=WEIGHT; may be repeated. (default: confidence)",
    )
    verifier: str | None = flag(
        VOTES, "Rank by this verifier or reward model: a folder, run or hub id."
    )
    top_k: int = flag(VOTES, "How many of the best-scored vote in top-k-vote.", 4, min=1)
    window: int | None = flag(
        VOTES,
        "deepconf: tokens whose confidence is looked at together. (default: an eighth of "
        "--max-completion-tokens, at most 2048)",
        min=1,
    )
    stop_at: float = flag(
        SPARING, "adaptive, cascade: stop once the leader is this sure.", 0.95, min=0.5, max=1.0
    )
    round_size: int = flag(SPARING, "adaptive, cascade: samples between two looks.", 4, min=1)
    quick: int = flag(SPARING, "cascade: samples without thinking that come first.", 4, min=1)
    sure_at: float = flag(
        SPARING, "cascade: those are trusted if they are this sure.", 0.95, min=0.5, max=1.0
    )
    at_once: str | None = flag(
        SPARING, f"cascade: asks for an answer without thinking; may be empty. {BY_MODEL}"
    )
    budget: float | None = flag(
        SPARING,
        "auto: tokens a question, in the mean. (default: as few as are told to be no worse than "
        "any more)",
        min=1.0,
    )
    policy: str | None = flag(
        SPARING, "auto: do as learned before: a run of `vote --strategy auto`, or its policy.json."
    )
    tune: bool = flag(SPARING, "Choose --stop-at and --sure-at on the validation split.", False)
    thought_tokens: int | None = flag(
        LONGER,
        "budget: a thought is closed after this many tokens. (default: three quarters of "
        "--max-completion-tokens)",
        min=1,
    )
    waits: int = flag(
        LONGER, "budget: how often a thought that would end goes on instead.", 1, min=0
    )
    wait_text: str | None = flag(LONGER, f"budget: what it then goes on with. {BY_MODEL}")
    beam_width: int = flag(
        LONGER,
        "beam: in how many ways a beginning that is kept goes on; dvts: size of a tree.",
        4,
        min=1,
    )
    step_ends: list[str] | None = flag(
        LONGER, f"beam, dvts, rebase: a text that ends a step; may be repeated. {BY_MODEL}"
    )
    completions: str | None = flag(RECORDED, "Vote among the completions of this JSONL file.")
    fields: list[str] | None = flag(
        RECORDED,
        "Its columns: question=…,reference=…,completions=…,scores=…,tokens=…; a.b is nested.",
    )
    also: list[str] | None = flag(EVALUATION, "Measure this strategy too; may be repeated.")
    baselines: bool = flag(
        EVALUATION, "Measure one greedy completion too, with and without the wording.", True
    )
    longer: bool | None = flag(
        EVALUATION,
        "Sample with the wording too: longer thoughts against more of them. "
        "(default: for a model here)",
    )
