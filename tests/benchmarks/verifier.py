"""Measures what a trained verifier is worth: the verifier's table of the page on votes.

Makes a verifier of a generator in FOLDER (one that is there already is read), samples n completions
of every validation and test question, and prints accuracy with its 95 % interval for each election,
beside its paired difference from the majority. How many of the best-scored vote in the top-k vote
is chosen on the validation questions::

    python tests/benchmarks/verifier.py FOLDER --n 16 --test-size 600
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from reasonkit import runs
from reasonkit.answers import extract_answer, group_equal
from reasonkit.config import VerifierConfig, from_mapping, to_mapping
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.plan import policy
from reasonkit.plan.verifier import settle
from reasonkit.prompts import ask
from reasonkit.recipes import verifier as recipe
from reasonkit.rewards.correctness import answer
from reasonkit.statistics import paired_counts, wilson
from reasonkit.types import Example
from reasonkit.verifying import AGGREGATES, Verifier, load


@dataclass(frozen=True)
class Votes:
    """The samples of one question: each one's answer, None where there is none, score and label."""

    answers: Sequence[int | None]
    scores: Sequence[float]
    right: Sequence[bool]

    def elect(self, weights: Sequence[float]) -> bool:
        """Whether the answer with the largest sum of weights is right; ties go to the first."""
        sums: dict[int, float] = defaultdict(float)
        for given, weight in zip(self.answers, weights, strict=True):
            if given is not None:
                sums[given] += weight
        if not sums:
            return False
        return self.right[self.answers.index(max(sums, key=lambda given: sums[given]))]

    def top(self, k: int) -> bool:
        """Whether a vote among the k best-scored is right."""
        best = sorted(range(len(self.scores)), key=lambda i: -self.scores[i])[:k]
        return self.elect([float(i in best) for i in range(len(self.scores))])


def elections(k: int) -> Mapping[str, Callable[[Votes], bool]]:
    """What is compared: the first row is what the others are paired with."""
    return {
        "majority": lambda votes: votes.elect([1.0] * len(votes.scores)),
        "best of n": lambda votes: votes.top(1),
        f"top-{k} vote": lambda votes: votes.top(k),
        "weighted": lambda votes: votes.elect(votes.scores),
        "pass": lambda votes: any(votes.right),
    }


def poll(
    engine: LocalEngine, verifier: Verifier, examples: Sequence[Example], n: int, seed: int
) -> dict[str, list[Votes]]:
    """The votes on each question, for every way to put the scores of steps together."""
    polled: dict[str, list[Votes]] = {str(aggregate): [] for aggregate in AGGREGATES}
    sampled = tokens = 0
    started, scoring = time.perf_counter(), 0.0
    for group in engine.sample(examples, n, Sampling(160, seed=seed)):
        sampled += n
        tokens += sum(completion.tokens for completion in group.completions)
        found = [extract_answer(completion.text) for completion in group.completions]
        numbers = iter(group_equal([given for given in found if given is not None]))
        answers = [None if given is None else next(numbers) for given in found]
        right = [value == 1 for value in answer(group)]
        began = time.perf_counter()
        steps = verifier.step_scores(group)
        scoring += time.perf_counter() - began
        for aggregate, combine in AGGREGATES.items():
            scores = [combine(values) if values else 0.0 for values in steps]
            polled[str(aggregate)].append(Votes(answers, scores, right))
    whole = time.perf_counter() - started
    print(f"{sampled} samples, {tokens} tokens, {whole:.0f} s, {scoring:.0f} s of it scoring")
    return polled


def show(name: str, votes: Sequence[Votes], k: int) -> None:
    """A table: each election, and its difference from the first on the same questions."""
    print(f"\n{name}: {len(votes)} questions")
    print("| | accuracy | 95 % interval | from majority, points | 95 % interval | p |")
    print("|---|---|---|---|---|---|")
    first: list[bool] = []
    for election, wins in elections(k).items():
        won = [wins(one) for one in votes]
        first = first or won
        a, counts = wilson(sum(won), len(won)), Counter(zip(first, won, strict=True))
        line = f"| {election} | {a.accuracy:.1%} | {a.low:.1%} to {a.high:.1%} |"
        if won is not first:
            p = paired_counts(*(counts[x] for x in ((1, 1), (0, 1), (1, 0), (0, 0))))
            line += f" {100 * p.difference:+.1f} | {100 * p.low:+.1f} to {100 * p.high:+.1f} | "
            line += f"{p.p:.2g} |"
        print(line)


def main(folder: Path, n: int, test_size: int, settings: Sequence[str]) -> None:
    """Makes the verifier if need be, and prints the tables."""
    given = {name: yaml.safe_load(value) for name, value in (pair.split("=") for pair in settings)}
    sizes_of_splits = {"validation_size": 300, "test_size": test_size}
    wanted = from_mapping(VerifierConfig, {**sizes_of_splits, **given}, "--settings")
    plan, tokenizer, generator = policy.load(settle(wanted))
    engine = LocalEngine(generator, tokenizer)
    if not (folder / "final").exists():
        run = runs.create(
            "verifier", wanted.model, wanted.task, to_mapping(plan.config), folder, []
        )
        _, summary = recipe.make(run, plan, tokenizer, generator, engine)
        run.write_json("summary.json", summary)
        run.mark("finished")
    print(json.dumps(json.loads((folder / "summary.json").read_text()), indent=1))
    verifier = load(str(folder / "final"), "cpu", "float32", tokenizer)
    chosen = str(verifier.reading.aggregate)

    def asked(examples: Sequence[Example]) -> list[Example]:
        wording = plan.config.wording
        return [ask(example, wording) for example in examples] if wording else list(examples)

    validation = poll(engine, verifier, asked(plan.splits.validation), n, seed=1)
    sizes = {k: sum(votes.top(k) for votes in validation[chosen]) for k in range(2, n + 1)}
    k = max(sizes, key=lambda size: sizes[size])
    print(
        "top-k on validation:", {k: f"{v / len(validation[chosen]):.1%}" for k, v in sizes.items()}
    )
    for aggregate, votes in validation.items():
        show(f"validation, {aggregate}", votes, k)
    test = poll(engine, verifier, asked(plan.splits.test), n, seed=2)
    show(f"test, {chosen}", test[chosen], k)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=16)
    parser.add_argument("--test-size", type=int, default=600)
    parser.add_argument("--settings", nargs="*", default=(), help="NAME=VALUE of VerifierConfig")
    main(**vars(parser.parse_args()))
