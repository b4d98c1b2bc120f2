"""Seconds to 90 % validation accuracy on arithmetic, beside a plain TRL script.

For each seed runs ``plain_trl.py``, `reasonkit grpo` with the same settings and `reasonkit grpo`
with a schedule of its own in turn, and answers the validation questions with each saved policy, off
the clock. Of the learning rates 3e-4 and 5e-4 it is the one with which `reasonkit grpo` was there
sooner with seeds 10 and 11. Prints seconds to the target and of all updates, peak memory and the
ratios, and writes them as JSON. Runs that are there already are read and not repeated::

    python tests/benchmarks/time_to_skill.py FOLDER --size full
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from reasonkit.evaluation import evaluate
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load
from reasonkit.types import Example

TARGET = 0.9
EVERY = 2
LEARNING_RATE = 5e-4
SIZES = {"small": (1, 20), "full": (3, 40)}
"""Seeds, and the updates that the learning rate decays over."""

PLAIN = Path(__file__).parent / "plain_trl.py"
OURS = [sys.executable, "-c", "from reasonkit.cli import main; main()", "grpo"]
SCHEDULES = {"same settings": [], "own schedule": ["--curriculum"]}


@dataclass(frozen=True)
class Timed:
    """One run.

    Attributes:
        step: at which the target was met, if it was.
        seconds: until then.
        total: of all updates.
        peak: bytes.
    """

    step: int | None
    seconds: float | None
    total: float
    peak: int


def plain(folder: Path, seed: int, steps: int, validation: list[Example]) -> Timed:
    """TRL alone; stopped by nothing, judged afterwards."""
    path = folder / f"plain-{seed}"
    if not (path / "tokenizer.json").exists():
        flags = ["--learning-rate", LEARNING_RATE, "--save-every", EVERY]
        run([sys.executable, PLAIN, path, "--seed", seed, "--steps", steps, *flags])
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
    return Timed(reached, seconds, records[-1]["seconds"], records[-1]["peak_memory_bytes"])


def ours(folder: Path, schedule: str, seed: int, steps: int, validation: list[Example]) -> Timed:
    """`reasonkit grpo`; its own validation is off the clock."""
    path = folder / f"{schedule.replace(' ', '-')}-{seed}"
    if not (path / "summary.json").exists():
        flags = ["--validate-every", EVERY, "--validation-size", len(validation), "--no-baselines"]
        flags += ["--seed", seed, "--steps", steps, "--learning-rate", LEARNING_RATE]
        run([*OURS, *flags, *SCHEDULES[schedule], "--test-size", 100, "--run-dir", path])
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    clock = {int(r["step"]): r["seconds"] - r["validation_seconds"] for r in records}
    looks = [r for r in records if "validation" in r]
    reached = next((int(r["step"]) for r in looks if r["validation"] >= TARGET), None)
    summary: dict[str, Any] = json.loads((path / "summary.json").read_text())
    seconds = None if reached is None else clock[reached]
    return Timed(reached, seconds, clock[max(clock)], summary["peak_memory_bytes"])


def run(command: list[object]) -> None:
    """Runs a program to its end, quietly."""
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def main(folder: Path, size: str) -> None:
    """Runs what is missing, prints and writes the comparison."""
    seeds, steps = SIZES[size]
    folder = folder / f"{steps}-updates-at-{LEARNING_RATE:g}"
    folder.mkdir(parents=True, exist_ok=True)
    validation = load("arithmetic", validation=200).validation
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        peer = plain(folder, seed, steps, validation)
        rows.append({"seed": seed, "what": "plain TRL", **asdict(peer)})
        print(rows[-1], flush=True)
        for schedule in SCHEDULES:
            mine = ours(folder, schedule, seed, steps, validation)
            shares = {
                f"share_of_{name}": getattr(mine, name) / getattr(peer, name)
                if getattr(mine, name) and getattr(peer, name)
                else None
                for name in ("seconds", "total", "peak")
            }
            rows.append({"seed": seed, "what": schedule, **asdict(mine), **shares})
            print(rows[-1], flush=True)
    for schedule in SCHEDULES:
        for name in ("share_of_seconds", "share_of_total", "share_of_peak"):
            values = [row[name] for row in rows if row["what"] == schedule and row[name]]
            if values:
                print(f"{schedule}, {name}: {median(values):.2f}, the median of {len(values)}")
    (folder / "time_to_skill.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="small")
    main(**vars(parser.parse_args()))
