"""What a policy is like beside its accuracy: how it writes, and how it answers general prompts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from reasonkit.evaluation import Evaluation, Mean, interval_of_means
from reasonkit.generation import Engine, Sampling
from reasonkit.plan import Plan
from reasonkit.rewards import language, readability
from reasonkit.rewards.guard import Guard
from reasonkit.running import measure
from reasonkit.runs import Run
from reasonkit.types import Example


def form(done: Evaluation) -> dict[str, float]:
    """Shares, means over the completions: in the format, of the language, written out."""
    texts = [verdict.text for verdict in done.verdicts]
    return {
        "format": done.format,
        "language": fmean(map(language.share, texts)),
        "readability": fmean(map(readability.share, texts)),
    }


def appraise(
    run: Run,
    name: str,
    engine: Engine,
    plan: Plan[Any],
    general: Sequence[Example],
    guard: Guard,
) -> dict[str, Any]:
    """A policy on the validation split: a row of ``stages`` in ``summary.json``.

    Greedily, and under ``sampled`` with one completion a question at temperature 1, which shows
    what a greedy completion hides; under ``general`` what it makes of general prompts.

    Args:
        name: of the measurements in the run.
        general: prompts of a second task; empty where there is none.
        guard: with the rewards of that task.
    """
    examples, longest = plan.splits.validation, plan.config.max_completion_tokens
    assert longest
    greedy = measure(run, name, engine, examples, longest, passes=plan.passes)
    sampled = measure(
        run, f"{name}-sampled", engine, examples, longest, passes=plan.passes, temperature=1.0
    )
    means = appraise_general(run, f"{name}-general", engine, general, guard, longest)
    return {
        **asdict(greedy.accuracy),
        **form(greedy),
        "mean_tokens": greedy.mean_tokens,
        "sampled": {**asdict(sampled.accuracy), **form(sampled)},
        "general": {reward: asdict(mean) for reward, mean in means.items()},
    }


def appraise_general(
    run: Run, name: str, engine: Engine, prompts: Sequence[Example], guard: Guard, longest: int
) -> dict[str, Mean]:
    """How greedy answers to general prompts score, by the rewards of their task.

    Kept in the run under a name, with the completions; read from there where it was measured.

    Args:
        prompts: of one task; at least two, or none, of which nothing is known.
        guard: has rewards that belong to that task.
        longest: tokens of a completion.
    """
    if not prompts:
        return {}
    path = run.evaluations / f"{name}.json"
    if not path.exists():
        groups = list(engine.sample(prompts, 1, Sampling(longest, temperature=0)))
        rewards = [w.reward.name for w in guard.rewards if w.task == prompts[0].task]
        scored = guard.score_all(groups)
        values = {name: [s[name][0] for s in scored] for name in rewards}
        means = {
            name: asdict(interval_of_means([v for v in column if v is not None]))
            for name, column in values.items()
        }
        completions = [
            {
                "prompt": group.example.question,
                "completion": group.completions[0].text,
                "tokens": group.completions[0].tokens,
                "rewards": {name: values[name][i] for name in rewards},
            }
            for i, group in enumerate(groups)
        ]
        run.write_json(f"evaluations/{name}.json", {"means": means, "completions": completions})
    saved = json.loads(path.read_text(encoding="utf-8"))["means"]
    return {name: Mean(**mean) for name, mean in saved.items()}
