"""What a policy is worth: measured once under a name, and read from the run from then on.

Accuracy before, between and after; how it writes; and how it answers general prompts.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from reasonkit import console, processes
from reasonkit.answers.reading import answer_part
from reasonkit.answers.work import declines
from reasonkit.errors import DataError
from reasonkit.evaluation import Evaluation, evaluate, paired
from reasonkit.generation.engine import Engine, Sampling, TokenEngine
from reasonkit.generation.pool import Pool
from reasonkit.plan import Plan
from reasonkit.plan.policy import longest_of
from reasonkit.prompts import WORDINGS, baselines
from reasonkit.rewards import language, readability
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.sandbox import isolation
from reasonkit.statistics import Mean, interval_of_means
from reasonkit.types import Example, Group


def measure(
    run: Run,
    name: str,
    engine: Engine,
    plan: Plan[Any],
    examples: Sequence[Example],
    temperature: float = 0.0,
) -> Evaluation:
    """Accuracy of one completion a question, kept under a name.

    Each process answers its share of the questions. It is read from the run where it was measured
    already. The isolation that programs run under is kept in ``run.json``.

    Args:
        temperature: 0 for greedy completions.

    Raises:
        DataError: there are no examples.
    """
    if not examples:
        raise DataError("there are no examples to evaluate on: choose a split that has some")
    path = run.evaluations / f"{name}.json"
    if processes.from_main(path.exists):
        return Evaluation.load(path)
    if any(example.tests for example in examples):
        run.update(sandbox=isolation())
    sampling = Sampling(plan.longest, temperature=temperature)
    # It shares out by itself what it samples.
    pooled = isinstance(engine, Pool)
    own = examples if pooled else processes.share(examples)
    with console.progress(len(own), f"evaluating {name}") as reached:
        answered = evaluate(engine, own, sampling, plan.allow_weaker, reached)
    parts = [answered] if pooled else processes.gathered(answered)
    verdicts = tuple(verdict for part in parts for verdict in part.verdicts)
    done = Evaluation(verdicts, max(part.seconds for part in parts))
    if run.leads:
        done.save(path)
    console.note(f"{name}: {done.accuracy}")
    return done


@dataclass(frozen=True, slots=True)
class Before:
    """The untrained model on the test questions.

    Attributes:
        asked: directly.
        prompted: with each of `prompts.baselines`, by its name; empty where that isn't measured.
    """

    asked: Evaluation
    prompted: dict[str, Evaluation]

    def compared(self, after: Evaluation, *others: Evaluation) -> dict[str, Any]:
        """Before, after and their paired differences, as they stand in ``summary.json``.

        Args:
            others: evaluations whose tokens are counted too.
        """
        best = max(self.prompted.values(), key=lambda e: e.accuracy.accuracy, default=None)
        measured = (self.asked, *self.prompted.values(), after, *others)
        return {
            "before": self.asked.to_summary(),
            "after": after.to_summary(),
            "baselines": {name: e.to_summary() for name, e in self.prompted.items()},
            "paired": asdict(paired(self.asked.verdicts, after.verdicts)),
            "paired_with_best_wording": best and asdict(paired(best.verdicts, after.verdicts)),
            "tokens_evaluated": sum(e.tokens for e in measured),
            "evaluation_seconds": sum(e.seconds for e in measured),
            "peak_memory_bytes": max(processes.gathered(peak_memory())),
        }


def measure_before(run: Run, engine: TokenEngine, plan: Plan[Any]) -> Before:
    """Measures the untrained model on test; with ``--baselines`` in other prompts too.

    Those are of `prompts.baselines`, without any that leaves no room for a completion.
    """
    test = plan.splits.test
    asked = measure(run, "before", engine, plan, test)
    if not plan.config.baselines:
        return Before(asked, {})
    prompted = {}
    for name, led in baselines(test, plan.splits.train, plan.model.entry.shots).items():
        if longest_of(led, engine.tokenizer) <= plan.config.max_prompt_tokens:
            prompted[name] = measure(run, f"before-{name}", engine, plan, led)
    return Before(asked, prompted)


def times(plan: Plan[Any]) -> int:
    """How often `measure_before` and what is measured after ask the test's questions, at most."""
    return 2 + (len(WORDINGS) + len(plan.model.entry.shots) if plan.config.baselines else 0)


def validation(run: Run, name: str, engine: Engine, plan: Plan[Any]) -> dict[str, float]:
    """Accuracy on the validation split, as it stands in ``metrics.jsonl``."""
    done = measure(run, name, engine, plan, plan.splits.validation)
    return {
        "validation": done.accuracy.accuracy,
        "validation_low": done.accuracy.low,
        "validation_high": done.accuracy.high,
        "validation_tokens": done.mean_tokens,
    }


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

    Greedily, and under ``sampled`` with one completion a question at the model's temperature, which
    shows what a greedy completion hides; under ``general`` what it makes of general prompts.

    Args:
        name: of the measurements in the run.
    """
    examples = plan.splits.validation
    greedy = measure(run, name, engine, plan, examples)
    heat = plan.model.entry.temperature
    sampled = measure(run, f"{name}-sampled", engine, plan, examples, temperature=heat)
    means = general(run, f"{name}-general", engine, plan, "validation")
    return {
        **asdict(greedy.accuracy),
        **form(greedy),
        "mean_tokens": greedy.mean_tokens,
        "sampled": {**asdict(sampled.accuracy), **form(sampled)},
        "general": {reward: asdict(mean) for reward, mean in means.items()},
    }


def general(
    run: Run, name: str, engine: Engine, plan: Plan[Any], split: Literal["validation", "test"]
) -> dict[str, Mean]:
    """How greedy answers to the plan's general prompts score, by the rewards of their task.

    Kept in the run under a name, with the completions; read from there where it was measured.
    Empty where there are no such prompts.
    """
    if plan.general is None:
        return {}
    path = run.evaluations / f"{name}.json"
    prompts: list[Example] = getattr(plan.general, split)
    if not processes.from_main(path.exists):
        groups = answered(engine, prompts, plan.longest)

        def keep() -> None:
            run.write_json(f"evaluations/{name}.json", {"completions": _scored(groups, plan)})

        processes.from_main(keep)
    saved: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["completions"]
    columns = {reward: [c["rewards"][reward] for c in saved] for reward in saved[0]["rewards"]}
    return {
        reward: interval_of_means([value for value in column if value is not None])
        for reward, column in columns.items()
    }


def manner(run: Run, name: str) -> dict[str, Any]:
    """How general prompts were answered under a name (`general`), whatever rewards say.

    Lengths in tokens, and shares of answers: those that decline, and of words in English.
    """
    saved = run.evaluations / f"{name}.json"
    if not processes.from_main(saved.exists):
        return {}
    completions = json.loads(saved.read_text(encoding="utf-8"))["completions"]
    texts = [answer_part(c["completion"]) or c["completion"] for c in completions]
    values = {
        "tokens": [float(c["tokens"]) for c in completions],
        "declines": [float(declines(text)) for text in texts],
        "English": [language.share(text) for text in texts],
    }
    return {what: asdict(interval_of_means(found)) for what, found in values.items()}


def answered(engine: Engine, prompts: Sequence[Example], longest: int) -> list[Group]:
    """A greedy answer to each prompt; each process gives those to its share of them."""
    sampling = Sampling(longest, temperature=0)
    own = list(engine.sample(processes.share(prompts), 1, sampling))
    sampled = {group.example.id: group for part in processes.gathered(own) for group in part}
    return [sampled[prompt.id] for prompt in prompts]


def _scored(groups: Sequence[Group], plan: Plan[Any]) -> list[dict[str, Any]]:
    """Answers to general prompts, with their rewards."""
    weighted = [w for w in plan.rewards if w.task == groups[0].example.task]
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


def peak_memory() -> int:
    """Bytes: the most that was held, on the GPU where there is one, else by this process."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * processes.KIBIBYTE
