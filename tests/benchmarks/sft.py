"""Times supervised fine-tuning of the embedded student beside TRL's plain SFTTrainer.

The same traces, one epoch, about as many tokens an update: SFTTrainer with padded batches, with its
own packing, and ours, by turns. Prints tokens of traces and prompts a second and the ratio to plain
SFTTrainer, medians over rounds with their range, and writes them as JSON::

    python tests/benchmarks/sft.py --traces RUN/traces.jsonl --rounds 5 --output sft.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import transformers
from datasets import Dataset
from rollouts import spread
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import SFTConfig, SFTTrainer

from reasonkit import runs
from reasonkit.config import DistillConfig
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import recorded
from reasonkit.training import sft
from reasonkit.training.encoding import Row, encode
from reasonkit.types import Trace

BATCH = 4096
"""Tokens an update."""


def plain(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, traces: Sequence[Trace],
    folder: Path, **settings: object,
) -> Callable[[], None]:  # fmt: skip
    """A run of SFTTrainer, ready to go."""
    answers = [[{"role": "assistant", "content": t.completion.text}] for t in traces]
    columns = {"prompt": [list(t.example.messages) for t in traces], "completion": answers}
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            str(folder), num_train_epochs=1, learning_rate=1e-3, use_cpu=True, bf16=False,
            gradient_checkpointing=False, save_strategy="no", logging_steps=1, report_to="none",
            disable_tqdm=True, **settings,
        ),
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict(columns),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer.train


def ours(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], folder: Path
) -> Callable[[], None]:
    """A run of ours, ready to go: its layout and its check before the first step count too."""
    config = DistillConfig(
        max_completion_tokens=160, epochs=1, batch_tokens=BATCH, micro_batch_tokens=BATCH,
        learning_rate=1e-3, save_every=0,
    )  # fmt: skip
    run = runs.create("distill", "abacus-mini", "arithmetic", {"seed": 0}, folder, [])
    looks = {"validation": 0.5, "validation_low": 0.4, "validation_high": 0.6}

    def train() -> None:
        sft.train(
            model,
            LocalEngine(model, tokenizer),
            rows,
            config,
            run,
            (),
            lambda epoch, engine: looks,
            lambda record: None,
        )

    return train


def main(traces: Path, count: int, rounds: int, output: Path | None) -> None:
    """Measures each in turn, several times."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    resolved = resolve("abacus-mini")
    tokenizer, _ = load_tokenizer(resolved)
    groups = recorded.read(traces, [])
    chosen = [
        Trace(group, i)
        for group in groups
        for i, completion in enumerate(group.completions)
        if completion.finish_reason == "stop"
    ]
    encoded = [(t, row) for t, row in zip(chosen, encode(tokenizer, chosen), strict=True) if row]
    kept, rows = [t for t, _ in encoded[:count]], [row for _, row in encoded[:count]]
    tokens = sum(len(row.ids) for row in rows)
    size = BATCH // (tokens // len(rows))
    rates: dict[str, list[float]] = {}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            ready = {
                name: make(
                    load_model(resolved, "cpu", "float32"), Path(folder) / f"{number} {name}"
                )
                for name, make in {
                    "SFTTrainer": lambda model, path: plain(
                        model, tokenizer, kept, path, per_device_train_batch_size=size
                    ),
                    "SFTTrainer, packing": lambda model, path: plain(
                        model,
                        tokenizer,
                        kept,
                        path,
                        packing=True,
                        max_length=1024,
                        per_device_train_batch_size=BATCH // 1024,
                    ),
                    "reasonkit": lambda model, path: ours(model, tokenizer, rows, path),
                }.items()
            }
            for name, train in ready.items():
                started = time.perf_counter()
                train()
                took = time.perf_counter() - started
                rates.setdefault(name, []).append(tokens / took)
    print(f"{len(rows)} traces, {tokens:,} tokens, about {BATCH} an update")
    record = {}
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(values, rates["SFTTrainer"], strict=True)]
        record[name] = {"tokens_per_second": spread(values), "ratio": spread(ratios)}
        low, middle, high = spread(ratios)
        print(
            f"{name:20} {statistics.median(values):10,.0f} tokens/s, "
            f"{middle:.2f} times ({low:.2f} to {high:.2f})"
        )
    if output is not None:
        output.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    main(**vars(parser.parse_args()))
