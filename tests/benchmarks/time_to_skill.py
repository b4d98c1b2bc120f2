"""Seconds to a validation accuracy and accuracy at the end, beside a plain TRL script.

For each seed runs ``plain_trl.py`` and `reasonkit grpo` with the same settings, and on `abacus`
`reasonkit grpo` with a schedule of its own too, by turns, and answers the questions of validation
and test, greedily, with each saved policy, off the clock. Of the learning rates 3e-4 and 5e-4 it is
for `abacus` the one with which `reasonkit grpo` was there sooner with seeds 10 and 11. Prints
seconds to the target and of all updates, accuracy, peak memory and the ratios, and writes them as
JSON. Runs that are there already are read and not repeated::

    python tests/benchmarks/time_to_skill.py FOLDER --size full
    python tests/benchmarks/time_to_skill.py FOLDER --size sums
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from reasonkit.evaluation import evaluate
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models import entry_for
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.prompts import led_by
from reasonkit.tasks import Splits, load
from reasonkit.types import Example


@dataclass(frozen=True)
class Size:
    """What is run.

    Attributes:
        steps: updates, which the learning rate decays over.
        every: steps between two looks at validation.
        target: accuracy on validation.
        schedules: names in SCHEDULES.
    """

    seeds: int
    steps: int
    every: int = 2
    target: float = 0.9
    learning_rate: float = 5e-4
    model: str = "abacus"
    task: str = "arithmetic"
    schedules: tuple[str, ...] = ("same settings", "own schedule")


SUMS = "arithmetic:digits=2,operands=2,operators=+"
SIZES = {
    "small": Size(seeds=1, steps=20),
    "full": Size(seeds=3, steps=40),
    "sums": Size(3, 12, 4, 0.4, 1e-5, "smollm2", SUMS, ("same settings",)),
}

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
        accuracy: on the test questions, after the last of them.
        peak: bytes.
    """

    step: int | None
    seconds: float | None
    total: float
    accuracy: float
    peak: int


def plain(path: Path, size: Size, seed: int, split: Splits) -> Timed:
    """TRL alone; stopped by nothing, judged afterwards."""
    if not (path / "tokenizer.json").exists():
        run([sys.executable, PLAIN, path, *shared(size, seed), "--save-every", size.every])
    records = [json.loads(line) for line in (path / "clock.jsonl").read_text().splitlines()]
    clock = {record["step"]: record["seconds"] for record in records}
    looks = ((step, accuracy(path / f"step-{step}", split.validation, size)) for step in clock)
    reached = next((step for step, seen in looks if seen >= size.target), None)
    last = accuracy(path / f"step-{max(clock)}", split.test, size)
    seconds = None if reached is None else clock[reached]
    peak = records[-1]["peak_memory_bytes"]
    return Timed(reached, seconds, records[-1]["seconds"], last, peak)


def accuracy(policy: Path, questions: Sequence[Example], size: Size) -> float:
    """Share of the questions that it answers, greedily, as after a run of `reasonkit grpo`."""
    entry = entry_for(size.model)
    model = load_model(resolve(str(policy)), "cpu", "float32")
    tokenizer, _ = load_tokenizer(resolve(size.model))
    asked = led_by(entry.system_prompt, questions)
    sampling = Sampling(entry.rl.max_completion_tokens, temperature=0)
    return evaluate(LocalEngine(model, tokenizer), asked, sampling).accuracy.accuracy


def ours(path: Path, schedule: str, size: Size, seed: int, split: Splits) -> Timed:
    """`reasonkit grpo`; its own validation is off the clock."""
    if not (path / "summary.json").exists():
        looks = ["--validate-every", size.every, "--validation-size", len(split.validation)]
        looks += ["--test-size", len(split.test), "--no-baselines", "--run-dir", path]
        run([*OURS, *shared(size, seed), *SCHEDULES[schedule], *looks])
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    clock = {int(r["step"]): r["seconds"] - r["validation_seconds"] for r in records}
    seen = [r for r in records if "validation" in r]
    reached = next((int(r["step"]) for r in seen if r["validation"] >= size.target), None)
    summary: dict[str, Any] = json.loads((path / "summary.json").read_text())
    seconds = None if reached is None else clock[reached]
    last = summary["after"]["accuracy"]
    return Timed(reached, seconds, clock[max(clock)], last, summary["peak_memory_bytes"])


def shared(size: Size, seed: int) -> list[object]:
    """Flags that both sides know."""
    return [
        *("--model", size.model, "--task", size.task, "--seed", seed),
        *("--steps", size.steps, "--learning-rate", size.learning_rate),
    ]


def run(command: list[object]) -> None:
    """Runs a program to its end, quietly."""
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)


def main(folder: Path, name: str) -> None:
    """Runs what is missing, prints and writes the comparison."""
    size = SIZES[name]
    folder = folder / f"{size.model}-{size.steps}-updates-at-{size.learning_rate:g}"
    folder.mkdir(parents=True, exist_ok=True)
    split = load(size.task, validation=200, test=200)
    rows: list[dict[str, Any]] = []
    for seed in range(size.seeds):
        peer = plain(folder / f"plain-{seed}", size, seed, split)
        rows.append({"seed": seed, "what": "plain TRL", **asdict(peer)})
        print(rows[-1], flush=True)
        for schedule in size.schedules:
            path = folder / f"{schedule.replace(' ', '-')}-{seed}"
            mine = ours(path, schedule, size, seed, split)
            shares = {
                f"share_of_{name}": getattr(mine, name) / getattr(peer, name)
                if getattr(mine, name) and getattr(peer, name)
                else None
                for name in ("seconds", "total", "peak")
            }
            rows.append({"seed": seed, "what": schedule, **asdict(mine), **shares})
            print(rows[-1], flush=True)
    for schedule in size.schedules:
        for share in ("share_of_seconds", "share_of_total", "share_of_peak"):
            values = [row[share] for row in rows if row["what"] == schedule and row[share]]
            if values:
                print(f"{schedule}, {share}: {median(values):.2f}, the median of {len(values)}")
    (folder / "time_to_skill.json").write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="small")
    given = parser.parse_args()
    main(given.folder, given.size)
