"""Measures what each choice does to GRPO: the table of recipes/grpo/README.md.

Runs ``recipes/grpo/abacus-arithmetic-*.yaml`` for several seeds, several at a time with a share of
the cores each, and prints a line a choice: means over seeds with Student's 95 % intervals, but of
seconds the lowest, as whatever else the machine does only adds to them. A seed that never reaches
90 % on the validation split leaves the mean of those that do, and their number. Runs that are there
already are read and not repeated::

    python tests/benchmarks/grpo_choices.py FOLDER --seeds 3 --jobs 2
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from reasonkit.statistics import interval_of_means

RECIPES = Path(__file__).parents[2] / "recipes/grpo"
PREFIX = "abacus-arithmetic-"
TARGET = 0.9
SECONDS = ("seconds to 90 %", "training, s")
COLUMNS = (
    "steps to 90 %",
    "seconds to 90 %",
    "test accuracy, %",
    "tokens an answer",
    "last below best, points",
    "training, s",
)


def run(name: str, seed: int, folder: Path, cores: int) -> Path:
    """The directory of a finished run."""
    path = folder / f"{name}-{seed}"
    if not (path / "summary.json").exists():
        config = RECIPES / f"{PREFIX}{name}.yaml"
        command = [sys.executable, "-c", "from reasonkit.cli import main; main()", "grpo"]
        flags = ["--config", config, "--seed", seed, "--run-dir", path]
        with (folder / f"{name}-{seed}.log").open("w") as log:
            subprocess.run(
                [*command, *map(str, flags)],
                env={**os.environ, "OMP_NUM_THREADS": str(cores)},
                stdout=log,
                stderr=log,
                check=True,
            )
    return path


def measures(path: Path) -> dict[str, float]:
    """What the table shows of one run."""
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    summary: dict[str, Any] = json.loads((path / "summary.json").read_text())
    validated = [record for record in records if "validation" in record]
    reached = next((record for record in validated if record["validation"] >= TARGET), None)
    measured = {
        "test accuracy, %": 100 * summary["after"]["accuracy"],
        "tokens an answer": summary["after"]["mean_tokens"],
        "last below best, points": 100
        * (max(r["validation"] for r in validated) - validated[-1]["validation"]),
        "training, s": records[-1]["seconds"],
    }
    if reached is not None:
        measured["steps to 90 %"] = reached["step"]
        measured["seconds to 90 %"] = reached["seconds"]
    return measured


def cell(column: str, seeds: Sequence[Mapping[str, float]]) -> str:
    """A column of the table for the seeds of one choice."""
    values = [measured[column] for measured in seeds if column in measured]
    count = "" if len(values) == len(seeds) else f" ({len(values)} of {len(seeds)})"
    if len(values) < 2:
        return f"{values[0]:.1f}{count}" if values else "never"
    if column in SECONDS:
        return f"{min(values):.0f}{count}"
    mean = interval_of_means(values)
    return f"{mean.mean:.1f} ± {mean.high - mean.mean:.1f}{count}"


def main(folder: Path, seeds: int, jobs: int, only: list[str] | None) -> None:
    """Runs what is missing and prints the table."""
    folder.mkdir(parents=True, exist_ok=True)
    names = only or sorted(p.stem.removeprefix(PREFIX) for p in RECIPES.glob(f"{PREFIX}*.yaml"))
    cores = max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        wanted = [(name, seed) for seed in range(seeds) for name in names]
        paths = list(pool.map(lambda pair: run(*pair, folder, cores), wanted))
    found = {pair: measures(path) for pair, path in zip(wanted, paths, strict=True)}
    print("| |", " | ".join(COLUMNS), "|")
    print("|---|" + "---|" * len(COLUMNS))
    for name in names:
        rows = [found[name, seed] for seed in range(seeds)]
        print(f"| {name} |", " | ".join(cell(column, rows) for column in COLUMNS), "|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of choices")
    main(**vars(parser.parse_args()))
