"""Measures what each choice does to GRPO: the table of recipes/grpo/README.md.

Runs ``recipes/grpo/abacus-arithmetic-*.yaml`` for several seeds, several at a time with a share of
the cores each, and prints a line a choice: means over seeds with Student's 95 % intervals. Runs
that are there already are read and not repeated::

    python tests/benchmarks/grpo_choices.py FOLDER --seeds 3 --jobs 2
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from reasonkit.evaluation import interval_of_means

RECIPES = Path(__file__).parents[2] / "recipes/grpo"
PREFIX = "abacus-arithmetic-"
TARGET = 0.9


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
    missing = float("nan")
    return {
        "steps to 90 %": reached["step"] if reached else missing,
        "seconds to 90 %": reached["seconds"] if reached else missing,
        "test accuracy, %": 100 * summary["after"]["accuracy"],
        "tokens an answer": summary["after"]["mean_tokens"],
        "last below best, points": 100
        * (max(r["validation"] for r in validated) - validated[-1]["validation"]),
        "training, s": records[-1]["seconds"],
    }


def main(folder: Path, seeds: int, jobs: int, only: list[str] | None) -> None:
    """Runs what is missing and prints the table."""
    folder.mkdir(parents=True, exist_ok=True)
    names = only or sorted(p.stem.removeprefix(PREFIX) for p in RECIPES.glob(f"{PREFIX}*.yaml"))
    cores = max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        wanted = [(name, seed) for seed in range(seeds) for name in names]
        paths = list(pool.map(lambda pair: run(*pair, folder, cores), wanted))
    found = {pair: measures(path) for pair, path in zip(wanted, paths, strict=True)}
    columns = list(next(iter(found.values())))
    print("| |", " | ".join(columns), "|")
    print("|---|" + "---|" * len(columns))
    for name in names:
        cells = []
        for column in columns:
            mean = interval_of_means([found[name, seed][column] for seed in range(seeds)])
            cells.append(f"{mean.mean:.1f} ± {mean.high - mean.mean:.1f}")
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of choices")
    main(**vars(parser.parse_args()))
