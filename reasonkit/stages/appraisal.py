"""What a policy is like beside its accuracy: how it writes, and how it answers general prompts."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import fmean
from typing import Any, Literal

from reasonkit import processes
from reasonkit.evaluation import Evaluation
from reasonkit.generation import Engine, Sampling
from reasonkit.plan import Plan
from reasonkit.rewards import language, readability
from reasonkit.rewards.guard import Guard
from reasonkit.running import measure
from reasonkit.runs import Run
from reasonkit.statistics import Mean, interval_of_means
from reasonkit.types import Example


def form(done: Evaluation) -> dict[str, float]:
    """Shares, means over the completions: in the format, of the language, written out."""
    texts = [verdict.text for verdict in done.verdicts]
    return {
        "format": done.format,
        "language": fmean(map(language.share, texts)),
        "readability": fmean(map(readability.share, texts)),
    }


def appraise(run: Run, name: str, engine: Engine, plan: Plan[Any]) -> dict[str, Any]:
    """A policy on the validation split: a row of ``stages`` in ``summary.json``.

    Greedily, and under ``sampled`` with one completion a question at temperature 1, which shows
    what a greedy completion hides; under ``general`` what it makes of general prompts.

    Args:
        name: of the measurements in the run.
    """
    examples, longest = plan.splits.validation, plan.config.max_completion_tokens
    assert longest
    greedy = measure(run, name, engine, examples, longest, allow_weaker=plan.allow_weaker)
    sampled = measure(
        run,
        f"{name}-sampled",
        engine,
        examples,
        longest,
        allow_weaker=plan.allow_weaker,
        temperature=1.0,
    )
    means = general(run, f"{name}-general", engine, plan, "validation")
    return {
        **asdict(greedy.accuracy),
        **form(greedy),
        "mean_tokens": greedy.mean_tokens,
        "sampled": {**asdict(sampled.accuracy), **form(sampled)},
        "general": {reward: asdict(mean) for reward, mean in means.items()},
    }


def general(
    run: Run,
    name: str,
    engine: Engine,
    plan: Plan[Any],
    split: Literal["validation", "test"],
) -> dict[str, Mean]:
    """How greedy answers to the plan's general prompts score, by the rewards of their task.

    Kept in the run under a name, with the completions; read from there where it was measured.
    Empty where there are no such prompts.
    """
    if plan.general is None:
        return {}
    path = run.evaluations / f"{name}.json"
    prompts: list[Example] = getattr(plan.general, split)

    def kept() -> list[dict[str, Any]]:
        if not path.exists():
            completions = _completions(prompts, engine, plan)
            run.write_json(f"evaluations/{name}.json", {"completions": completions})
        saved: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["completions"]
        return saved

    saved = processes.from_main(kept)
    columns = {reward: [c["rewards"][reward] for c in saved] for reward in saved[0]["rewards"]}
    return {
        reward: interval_of_means([value for value in column if value is not None])
        for reward, column in columns.items()
    }


def _completions(prompts: list[Example], engine: Engine, plan: Plan[Any]) -> list[dict[str, Any]]:
    """A greedy answer to each general prompt, with its rewards."""
    weighted = [w for w in plan.rewards if w.task == prompts[0].task]
    assert plan.config.max_completion_tokens
    sampling = Sampling(plan.config.max_completion_tokens, temperature=0)
    sampled = {group.example.id: group for group in engine.sample(prompts, 1, sampling)}
    groups = [sampled[prompt.id] for prompt in prompts]
    scored = Guard(weighted, plan.config.reward_timeout).score_all(groups)
    return [
        {
            "prompt": group.example.question,
            "completion": group.completions[0].text,
            "tokens": group.completions[0].tokens,
            "rewards": {reward: values[0] for reward, values in scores.items()},
        }
        for group, scores in zip(groups, scored, strict=True)
    ]
