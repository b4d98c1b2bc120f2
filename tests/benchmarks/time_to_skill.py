"""Seconds to 90 % validation accuracy on arithmetic, beside a plain TRL script.

For each seed runs ``plain_trl.py`` and `reasonkit grpo` with the same settings in turn, and answers
the validation questions with each saved policy, off the clock. Prints seconds to the target, the
seconds of the same number of updates, peak memory and the ratios, and writes them as JSON. Runs
that are there already are read and not repeated::

    python tests/benchmarks/time_to_skill.py FOLDER --size full
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from reasonkit.evaluation import evaluate
from reasonkit.generation import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer, resolve
from reasonkit.tasks import load
from reasonkit.types import Example

TARGET = 0.9
EVERY = 5
SIZES = {"small": (1, 40), "full": (3, 40)}
"""Seeds, and the updates that the learning rate decays over."""

PLAIN = Path(__file__).parent / "plain_trl.py"
OURS = [sys.executable, "-c", "from reasonkit.cli import main; main()", "grpo"]


@dataclass(frozen=True)
class Timed:
    """One run: the step and the seconds at which the target was met, seconds by step, memory."""

    step: int | None
    seconds: float | None
    clock: dict[int, float]
    peak: int


def plain(folder: Path, seed: int, steps: int, validation: list[Example]) -> Timed:
    """TRL alone; stopped by nothing, judged afterwards."""
    path = folder / f"plain-{seed}"
    if not (path / "tokenizer.json").exists():
        run([sys.executable, PLAIN, path, "--seed", seed, "--steps", steps, "--save-every", EVERY])
    records = [json.loads(line) for line in (path / "clock.jsonl").read_text().splitlines()]
    clock = {record["step"]: record["seconds"] for record in records}
    tokenizer, _ = load_tokenizer(resolve("abacus"))
    reached = None
    for step in clock:
        model = load_model(resolve(str(path / f"step-{step}")), "cpu", "float32")
        done = evaluate(LocalEngine(model, tokenizer), validation, Sampling(160, temperature=0))
        if done.accuracy.accuracy >= TARGET:
            reached = step
            break
    seconds = None if reached is None else clock[reached]
    return Timed(reached, seconds, clock, records[-1]["peak_memory_bytes"])


def ours(folder: Path, seed: int, steps: int, validation: list[Example]) -> Timed:
    """`reasonkit grpo`; its own validation is off the clock."""
    path = folder / f"reasonkit-{seed}"
    if not (path / "summary.json").exists():
        flags = ["--validate-every", EVERY, "--validation-size", len(validation), "--no-baselines"]
        run(
            [*OURS, "--seed", seed, "--steps", steps, "--run-dir", path, "--test-size", 100, *flags]
        )
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    clock = {int(r["step"]): r["seconds"] - r["validation_seconds"] for r in records}
    looks = [r for r in records if "validation" in r]
    reached = next((int(r["step"]) for r in looks if r["validation"] >= TARGET), None)
    summary: dict[str, Any] = json.loads((path / "summary.json").read_text())
    seconds = None if reached is None else clock[reached]
    return Timed(reached, seconds, clock, summary["peak_memory_bytes"])


def run(command: list[object]) -> None:
    """Runs a program to its end, quietly."""
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def main(folder: Path, size: str) -> None:
    """Runs what is missing, prints and writes the comparison."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds, steps = SIZES[size]
    validation = load("arithmetic", validation=200).validation
    pairs = [
        (plain(folder, seed, steps, validation), ours(folder, seed, steps, validation))
        for seed in range(seeds)
    ]
    rows = []
    for seed, (theirs, mine) in enumerate(pairs):
        last = max(theirs.clock.keys() & mine.clock.keys())
        row = {
            "seed": seed,
            "plain_step": theirs.step,
            "plain_seconds": theirs.seconds,
            "reasonkit_step": mine.step,
            "reasonkit_seconds": mine.seconds,
            "share_of_seconds_to_target": (
                mine.seconds / theirs.seconds if mine.seconds and theirs.seconds else None
            ),
            "share_of_seconds_at_same_updates": mine.clock[last] / theirs.clock[last],
            "share_of_memory": mine.peak / theirs.peak,
        }
        rows.append(row)
        print(row)
    shares = ("share_of_seconds_to_target", "share_of_seconds_at_same_updates", "share_of_memory")
    middle = {
        name: median(values) if (values := [r[name] for r in rows if r[name]]) else None
        for name in shares
    }
    print("median", middle)
    (folder / "time_to_skill.json").write_text(json.dumps({"rows": rows, "median": middle}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="small")
    main(**vars(parser.parse_args()))
