"""Measures how a step of ``reasonkit grpo`` grows, and what a second process brings.

Varies one thing at a time: group size, completion length, prompts a step, vocabulary and model.
Each row is a short run in a process of its own, on one thread, of a Qwen3 with random weights that
never ends a completion; the first step is left out. Printed are seconds a step (median and range
over steps; rollout and update apart), seconds a thousand sampled tokens, peak memory, and by how
much time and memory grow for each doubling of the work: floating-point operations of the linear
layers and of attention, of which a rollout needs one part and an update three. What lies above 2
grows faster than its work. Last come two one-thread processes beside one, by turns. Writes it all
as JSON::

    python tests/benchmarks/growth.py --size full --output growth.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import string
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rollouts import SHAPES, flops, qwen3, spread
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from reasonkit.models.loading import quiet

STEPS = 4
UPDATE_COST = 3
"""Forward and backward pass, in forward passes."""

REWARD = """
def spread(group):
    return [sum(made.token_ids) % 7 / 7 for made in group.completions]
"""
"""Differs within every group, as rows of a group of equal rewards aren't computed."""

TOGETHER = {
    "whole copies": ("--processes=2",),
    "parts": ("--processes=2", "--shard=fsdp"),
}
"""How two processes hold the model: flags."""


@dataclass(frozen=True)
class Case:
    """What is run."""

    model: str = "2M"
    vocabulary: int = 106
    prompts: int = 8
    group: int = 8
    length: int = 64


@dataclass(frozen=True)
class Measured:
    """What a step took; ranges are (lowest, median, highest) over steps.

    Attributes:
        work: floating-point operations of a step.
        memory: bytes, the most that the process held.
    """

    seconds: tuple[float, float, float]
    rollout: tuple[float, float, float]
    update: tuple[float, float, float]
    tokens: int
    work: float
    memory: int


PLANS = {
    "small": {
        "group": (2, 8),
        "length": (16, 64),
        "prompts": (2, 8),
        "vocabulary": (106, 8_000),
        "model": ("2M", "20M"),
    },
    "full": {
        "group": (4, 8, 16, 32),
        "length": (32, 64, 128, 256, 512),
        "prompts": (4, 8, 16, 32),
        "vocabulary": (106, 8_000, 32_000, 128_000),
        "model": ("2M", "20M", "100M"),
    },
}
SHARED_OUT = ("2M", "20M")


def cases(what: str, values: Sequence[int | str]) -> list[Case]:
    """One thing varied; a model comes with its own vocabulary."""
    if what == "model":
        return [Case(name, SHAPES[name][-1]) for name in map(str, values)]
    return [replace(Case(), **{what: value}) for value in values]


def saved(case: Case, folder: Path) -> Path:
    """The folder of a case's model, whose completions are never ended."""
    path = folder / f"{case.model}-{case.vocabulary}"
    if path.exists():
        return path
    end = case.vocabulary - 1
    model = qwen3(case.model, case.vocabulary, [end])
    with torch.no_grad():
        # All that is read points one way, and the end the other: it is never drawn.
        weights = model.get_input_embeddings().weight
        weights[:, 0], weights[end] = 1.0, 0.0
        weights[end, 0] = -10.0
    words = ["<pad>", *sorted(string.printable)]
    words = [*words, *(f"<{i}>" for i in range(len(words), end))][:end]
    split = Tokenizer(models.WordLevel({word: i for i, word in enumerate([*words, "<end>"])}))
    split.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=split, pad_token="<pad>", eos_token="<end>", unk_token="<pad>"
    )
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    (path / "flops").write_text(str(flops(model)))
    return path


def measure(case: Case, folder: Path, shared: Sequence[str] = ()) -> Measured:
    """A short run; ``shared`` are the flags of several processes."""
    model = saved(case, folder)
    run = Path(tempfile.mkdtemp(dir=folder))
    (run / "reward.py").write_text(REWARD)
    flags = {
        "model": model,
        "run-dir": run / "run",
        "reward": f"{run / 'reward.py'}:spread",
        "steps": STEPS,
        "group-size": case.group,
        "prompts-per-step": case.prompts,
        "max-completion-tokens": case.length,
        "validate-every": 0,
        "save-every": 0,
        "test-size": 1,
        "validation-size": 1,
        "device": "cpu",
    }
    argv = [f"--{name}={value}" for name, value in flags.items()]
    with (run / "log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "reasonkit", "grpo", "--no-baselines", *argv, *shared],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit((run / "log").read_text())
    records = [json.loads(line) for line in (run / "run/metrics.jsonl").read_text().splitlines()]
    summary = json.loads((run / "run/summary.json").read_text())
    pairs = list(itertools.pairwise(records))

    def each(name: str) -> list[float]:
        return [after[name] - before[name] for before, after in pairs]

    seconds, rollout, reward = map(each, ("seconds", "rollout_seconds", "reward_seconds"))
    update = [s - r - w for s, r, w in zip(seconds, rollout, reward, strict=True)]
    completions, tokens = case.prompts * case.group, int(each("tokens_sampled")[0])
    prompt = (each("tokens_trained")[0] - tokens) / completions
    _, layers, heads, _, width, _, _ = SHAPES[case.model]
    linear = int((model / "flops").read_text()) * (tokens + case.prompts * prompt)
    seen = completions * case.length * (prompt + case.length / 2)
    # A launcher's own memory is not that of what it launches.
    scale = 1 if sys.platform == "darwin" else 1024
    return Measured(
        spread(seconds),
        spread(rollout),
        spread(update),
        tokens,
        (1 + UPDATE_COST) * (linear + 4 * layers * heads * width * seen),
        summary["peak_memory_bytes"] if shared else usage.ru_maxrss * scale,
    )


def growth(values: Sequence[float], works: Sequence[float]) -> float:
    """By how much a value grows where the work doubles, from the first row to the last."""
    exponent = math.log(values[-1] / values[0]) / math.log(works[-1] / works[0])
    return 2.0**exponent


def line(name: object, row: Measured) -> str:
    """A row of the table."""
    low, middle, high = row.seconds
    return (
        f"{name!s:>10}  {middle:8.3f} ({low:.3f} to {high:.3f})  {row.rollout[1]:8.3f}"
        f"  {row.update[1]:8.3f}  {1000 * middle / row.tokens:8.3f}"
        f"  {row.work / low / 1e9:7.1f}  {row.memory / 2**20:7.0f}"
    )


def main(size: str, rounds: int, output: Path | None) -> None:
    """Measures and prints everything."""
    quiet()
    record: dict[str, object] = {}
    head = "seconds a step (range), rollout, update, seconds a 1000 tokens, GFLOP/s, MiB at most"
    with tempfile.TemporaryDirectory() as scratch:
        folder, known = Path(scratch), dict[Case, Measured]()
        for what, values in PLANS[size].items():
            print(f"{what}: {head}", flush=True)
            rows = []
            for value, case in zip(values, cases(what, values), strict=True):
                known[case] = known.get(case) or measure(case, folder)
                rows.append(known[case])
                print(line(value, known[case]), flush=True)
            works = [row.work for row in rows]
            # Whatever else the machine does only adds to a time.
            factors = {
                "rollout": growth([row.rollout[0] for row in rows], works),
                "update": growth([row.update[0] for row in rows], works),
                "memory": growth([row.memory for row in rows], works),
            }
            said = ", ".join(f"{part} x {factor:.2f}" for part, factor in factors.items())
            print(f"{'':>10}  for twice the work: {said}", flush=True)
            record[what] = {
                "rows": [
                    {"value": value, **asdict(row)} for value, row in zip(values, rows, strict=True)
                ],
                "growth": factors,
            }
        print("two one-thread processes beside one: steps a second, ratio (range)")
        for name, held in itertools.product(SHARED_OUT, TOGETHER):
            case = Case(name, SHAPES[name][-1])
            ratios, memory = [], []
            for _ in range(rounds):
                one, two = (measure(case, folder, shared) for shared in ((), TOGETHER[held]))
                ratios.append(one.seconds[1] / two.seconds[1])
                memory.append(two.memory / one.memory)
            low, middle, high = spread(ratios)
            share = statistics.median(memory)
            print(
                f"{name:>10}, {held}:  {middle:.2f} x ({low:.2f} to {high:.2f}); "
                f"each holds {share:.2f} of the memory of one alone",
                flush=True,
            )
            record[f"two processes, {name}, {held}"] = {
                "ratio": [low, middle, high],
                "memory": share,
            }
    if output is not None:
        output.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=tuple(PLANS), default="small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    main(**vars(parser.parse_args()))
