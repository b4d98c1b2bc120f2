"""The full recipe beside pure GRPO: the same base, the same number of RL steps, three seeds.

Runs ``reasonkit grpo`` and ``reasonkit sft-rl`` for each seed, those that are there already aside,
and answers the test questions with each policy: greedily and with one completion a question at
temperature 1. Prints means over seeds of accuracy and of how completions are written, and the
difference on the same questions with Student's interval over seeds; and what the last stage makes
of general test prompts, less the stage before it, with an interval over prompts::

    python tests/benchmarks/sft_rl.py FOLDER
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from reasonkit import runs
from reasonkit.config import SftRlConfig
from reasonkit.evaluation import Evaluation
from reasonkit.generation.local import LocalEngine
from reasonkit.measuring import general, measure
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.plan.sft_rl import settle
from reasonkit.rewards import language, readability
from reasonkit.statistics import Mean, interval_of_means
from reasonkit.tasks import load

SEEDS = (0, 1, 2)
COMMANDS = ("grpo", "sft-rl")
LONGEST = 160
CALL = [sys.executable, "-c", "from reasonkit.cli import main; main()"]
MEASURES = {
    "right": lambda verdict: float(verdict.correct),
    "format": lambda verdict: float(verdict.format),
    "language": lambda verdict: language.share(verdict.text),
    "readability": lambda verdict: readability.share(verdict.text),
    "tokens": lambda verdict: float(verdict.tokens),
}


def measured(folder: Path, command: str, seed: int) -> dict[str, Evaluation]:
    """The test questions, answered greedily and sampled, by the policy of a run."""
    path = folder / f"{command}-{seed}"
    if not (path / "summary.json").exists():
        how = ["--resume"] if path.exists() else ["--no-baselines", "--seed", str(seed)]
        subprocess.run([*CALL, command, "--run-dir", str(path), *how], check=True)
    resolved, run = resolve(str(path)), runs.open_run(path)
    engine = LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])
    test = load("arithmetic", train=1, validation=1, test=500).test
    plan = settle(SftRlConfig(max_completion_tokens=LONGEST))
    return {
        "greedy": measure(run, "after", engine, plan, test),
        "sampled": measure(run, "after-sampled", engine, plan, test, temperature=1.0),
    }


def moved(folder: Path, seed: int) -> dict[str, Mean]:
    """What the last stage adds to each reward of the general test prompts, a mean over prompts."""
    plan = settle(SftRlConfig())
    rewards: dict[str, list[dict[str, float]]] = {}
    for stage in ("rejection", "final-rl"):
        path = folder / f"sft-rl-{seed}" / "stages" / stage
        resolved, run = resolve(str(path)), runs.open_run(path)
        tokenizer = load_tokenizer(resolved)[0]
        engine = LocalEngine(load_model(resolved, "cpu", "float32"), tokenizer)
        general(run, "general-test", engine, plan, "test")
        saved = json.loads((run.evaluations / "general-test.json").read_text())
        rewards[stage] = [completion["rewards"] for completion in saved["completions"]]
    return {
        name: interval_of_means([b[name] - a[name] for a, b in zip(*rewards.values(), strict=True)])
        for name in rewards["rejection"][0]
    }


def main(folder: Path) -> None:
    """Measures what is missing and prints the tables."""
    found = {c: [measured(folder, c, seed) for seed in SEEDS] for c in COMMANDS}
    steps = {
        "grpo": runs.open_run(folder / "grpo-0").config["steps"],
        "sft-rl": sum(
            runs.open_run(folder / "sft-rl-0" / "stages" / name).config["steps"]
            for name in ("rl", "final-rl")
        ),
    }
    print(f"RL steps: {steps}")
    for how in ("greedy", "sampled"):
        for name, value in MEASURES.items():
            means = {
                c: [fmean(map(value, seed[how].verdicts)) for seed in found[c]] for c in COMMANDS
            }
            gap = interval_of_means(
                [b - a for a, b in zip(means["grpo"], means["sft-rl"], strict=True)]
            )
            shown = ", ".join(f"{c} {fmean(means[c]):.4g}" for c in COMMANDS)
            interval = f"{gap.low:+.4f} to {gap.high:+.4f}"
            print(f"{how} {name}: {shown}, difference {gap.mean:+.4f} ({interval})")
    for seed in SEEDS:
        for name, gap in moved(folder, seed).items():
            interval = f"{gap.low:+.3f} to {gap.high:+.3f}, n = {gap.n}"
            print(f"seed {seed}: the last stage adds {gap.mean:+.3f} ({interval}) to {name}")
    for command in COMMANDS:
        seconds = [
            json.loads((folder / f"{command}-{seed}/summary.json").read_text())["seconds"]
            for seed in SEEDS
        ]
        print(f"{command}: {', '.join(f'{s:.0f}' for s in seconds)} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    main(**vars(parser.parse_args()))
