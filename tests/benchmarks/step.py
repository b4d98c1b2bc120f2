"""Times a step of `reasonkit grpo` beside plain TRL's (`plain_trl`) on a real model.

Both by turns, with the settings of the model's entry, and the first step, in which everything is
done for the first time, left out. One reward spreads all groups; that of the task leaves some
without, which have no gradient and which our update doesn't compute. Prints seconds a step, those
of rollouts and updates apart, medians with their range, and peak memory, and writes them as JSON::

    python tests/benchmarks/step.py FOLDER --model smollm2 --task letter-count
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from plain_trl import REWARDS
from rollouts import spread
from time_to_skill import OURS, PLAIN, run

from reasonkit.models import entry_for


def plain(folder: Path, flags: list[object], reward: str) -> dict[str, Any]:
    """TRL alone."""
    run([sys.executable, PLAIN, folder, *flags, "--save-every", 1, "--reward", reward])
    return taken(read(folder / "clock.jsonl"))


def ours(folder: Path, flags: list[object], reward: str) -> dict[str, Any]:
    """`reasonkit grpo`, with no validation and next to no test."""
    few = ["--validate-every", 0, "--validation-size", 1, "--test-size", 1, "--no-baselines"]
    own = ["--reward", f"{PLAIN}:reward_letters"] if reward == "letters" else []
    run([*OURS, *flags, *few, *own, "--save-every", 0, "--run-dir", folder])
    records = read(folder / "metrics.jsonl")
    for record in records:
        record["rollout_seconds"] += record["reward_seconds"]
    summary = json.loads((folder / "summary.json").read_text())
    records[-1]["peak_memory_bytes"] = summary["peak_memory_bytes"]
    return {**taken(records), "zero_spread": [r.get("zero_spread") for r in records]}


def read(path: Path) -> list[dict[str, Any]]:
    """Lines of JSON."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def taken(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Seconds of each step but the first, in all and by part."""
    total, rollout = (
        [after[name] - before[name] for before, after in pairwise(records)]
        for name in ("seconds", "rollout_seconds")
    )
    update = [a - b for a, b in zip(total, rollout, strict=True)]
    peak = records[-1]["peak_memory_bytes"]
    return {"step": total, "rollout": rollout, "update": update, "peak": peak}


def shown(parts: Iterable[dict[str, Any]]) -> str:
    """Medians with ranges over all steps."""
    parts = list(parts)
    cells = []
    for name in ("step", "rollout", "update"):
        low, middle, high = spread([s for part in parts for s in part[name]])
        cells.append(f"{name} {middle:.1f} s ({low:.1f} to {high:.1f})")
    return f"{', '.join(cells)}, {max(part['peak'] for part in parts) / 2**30:.2f} GiB"


def main(
    folder: Path,
    model: str,
    task: str,
    steps: int,
    rounds: int,
    reward: list[str],
    prompts_per_step: int | None,
) -> None:
    """Measures by turns."""
    rl = entry_for(model).rl
    flags = ["--model", model, "--task", task, "--steps", steps]
    flags += ["--learning-rate", rl.learning_rate]
    flags += ["--prompts-per-step", prompts_per_step or rl.prompts_per_step]
    folder.mkdir(parents=True, exist_ok=True)
    for kind in reward:
        seen: dict[str, list[dict[str, Any]]] = {"plain TRL": [], "reasonkit": []}
        for seed in range(rounds):
            for (name, parts), measure in zip(seen.items(), (plain, ours), strict=True):
                path = folder / f"{kind}-{name.replace(' ', '-')}-{seed}"
                parts.append(measure(path, [*flags, "--seed", seed], kind))
                print(f"{kind:8} {name:10} {shown(parts[-1:])}", flush=True)
        for name, parts in seen.items():
            print(f"{kind:8} {name:10} {shown(parts)}, in all")
        (folder / f"{kind}.json").write_text(json.dumps(seen, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--task", default="letter-count")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--reward", nargs="+", choices=REWARDS, default=list(REWARDS))
    parser.add_argument("--prompts-per-step", type=int, help="(default: of the model's entry)")
    main(**vars(parser.parse_args()))
