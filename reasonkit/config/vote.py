"""The settings of ``reasonkit vote``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from reasonkit.config.base import BY_MODEL, EVALUATION, flag
from reasonkit.config.server import ServerConfig

SAMPLES, VOTES, SPARING, LONGER = "Samples", "Votes", "Spending less", "Thinking longer"
RECORDED = "Recorded completions"


@dataclass(frozen=True)
class VoteConfig(ServerConfig):
    """Settings of ``reasonkit vote``."""

    question: Annotated[
        str | None, typer.Argument(help="Answer this one question and show the ballots.")
    ] = None
    strategy: Annotated[
        str, flag(VOTES, "How the answer is found; `reasonkit strategies` lists them.")
    ] = "majority"
    n: Annotated[
        int | None,
        flag(
            SAMPLES, "Samples a question, at most. (default: 16, or as many as are recorded)", min=1
        ),
    ] = None
    temperature: Annotated[float, flag(SAMPLES, "Of the samples.", min=0.0, max=5.0)] = 1.0
    top_p: Annotated[
        float, flag(SAMPLES, "Keep the likeliest tokens that sum to this.", min=0.01, max=1.0)
    ] = 1.0
    step_by_step: Annotated[
        bool, flag(SAMPLES, "Ask for step-by-step work, whatever the strategy.")
    ] = False
    wording: Annotated[str, flag(SAMPLES, "How step-by-step work is asked for, by name.")] = (
        "step-by-step"
    )
    reward: Annotated[
        list[str] | None,
        flag(
            VOTES,
            "What weighted, best-of-n and top-k-vote rank by: NAME=WEIGHT or "
            "FILE.py:FUNCTION=WEIGHT; may be repeated. (default: confidence)",
        ),
    ] = None
    verifier: Annotated[
        str | None, flag(VOTES, "Rank by this verifier or reward model: a folder, run or hub id.")
    ] = None
    top_k: Annotated[int, flag(VOTES, "How many of the best-scored vote in top-k-vote.", min=1)] = 4
    stop_at: Annotated[
        float,
        flag(SPARING, "adaptive, cascade: stop once the leader is this sure.", min=0.5, max=1.0),
    ] = 0.95
    round_size: Annotated[
        int, flag(SPARING, "adaptive, cascade: samples between two looks.", min=1)
    ] = 4
    quick: Annotated[
        int, flag(SPARING, "cascade: samples without thinking that come first.", min=1)
    ] = 4
    sure_at: Annotated[
        float, flag(SPARING, "cascade: those are trusted if they are this sure.", min=0.5, max=1.0)
    ] = 0.95
    at_once: Annotated[
        str | None,
        flag(SPARING, f"cascade: asks for an answer without thinking; may be empty. {BY_MODEL}"),
    ] = None
    tune: Annotated[
        bool, flag(SPARING, "Choose --stop-at and --sure-at on the validation split.")
    ] = False
    thought_tokens: Annotated[
        int | None,
        flag(
            LONGER,
            "budget: a thought is closed after this many tokens. (default: three quarters of "
            "--max-completion-tokens)",
            min=1,
        ),
    ] = None
    waits: Annotated[
        int, flag(LONGER, "budget: how often a thought that would end goes on instead.", min=0)
    ] = 1
    wait_text: Annotated[
        str | None, flag(LONGER, f"budget: what it then goes on with. {BY_MODEL}")
    ] = None
    beam_width: Annotated[
        int, flag(LONGER, "beam: in how many ways a beginning that is kept goes on.", min=1)
    ] = 4
    step_ends: Annotated[
        list[str] | None,
        flag(LONGER, f"beam: a text that ends a step; may be repeated. {BY_MODEL}"),
    ] = None
    completions: Annotated[
        str | None, flag(RECORDED, "Vote among the completions of this JSONL file.")
    ] = None
    fields: Annotated[
        list[str] | None,
        flag(
            RECORDED,
            "Its columns: question=…,reference=…,completions=…,scores=…,tokens=…; a.b is nested.",
        ),
    ] = None
    also: Annotated[
        list[str] | None, flag(EVALUATION, "Measure this strategy too; may be repeated.")
    ] = None
    baselines: Annotated[
        bool, flag(EVALUATION, "Measure one greedy completion too, with and without the wording.")
    ] = True
    longer: Annotated[
        bool | None,
        flag(
            EVALUATION,
            "Sample with the wording too: longer thoughts against more of them. "
            "(default: for a model here)",
        ),
    ] = None
