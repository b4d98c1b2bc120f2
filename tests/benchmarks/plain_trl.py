"""GRPO on arithmetic as one writes it with TRL alone: what `reasonkit grpo` is timed against.

The same model, data, rewards and settings, TRL's own generation and update. Every ``--save-every``
steps the policy and the seconds of training until then go to the folder; saving is off the clock::

    python tests/benchmarks/plain_trl.py FOLDER --seed 0 --learning-rate 5e-4
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from reasonkit.answers import answers_match, extract_answer
from reasonkit.answers.reading import is_well_formed
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load


def reward_answer(completions: list[str], answer: list[str], **_: Any) -> list[float]:
    """1 for the right final answer."""
    return [
        float(answers_match(right, extract_answer(text)))
        for text, right in zip(completions, answer, strict=True)
    ]


def reward_format(completions: list[str], **_: Any) -> list[float]:
    """1 for the think-answer format."""
    return [float(is_well_formed(text)) for text in completions]


class Clock(TrainerCallback):
    """Saves the policy with the seconds of training so far, off the clock."""

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every
        self.seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.since = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **passed: Any) -> None:
        if state.global_step % self.every:
            return
        self.seconds += time.perf_counter() - self.since
        passed["model"].save_pretrained(self.folder / f"step-{state.global_step}")
        record = {
            "step": state.global_step,
            "seconds": self.seconds,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        with (self.folder / "clock.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.since = time.perf_counter()


def main(folder: Path, seed: int, steps: int, learning_rate: float, save_every: int) -> None:
    """Trains."""
    folder.mkdir(parents=True)
    source = resolve("abacus").source
    tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(source, dtype="float32")
    examples = load("arithmetic").train
    # Given messages instead of text, TRL takes the thought out of what the rewards see.
    prompts = [
        tokenizer.apply_chat_template(e.messages, tokenize=False, add_generation_prompt=True)
        for e in examples
    ]
    dataset = Dataset.from_dict({"prompt": prompts, "answer": [e.answer for e in examples]})
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=dataset,
        reward_funcs=[reward_answer, reward_format],
        args=GRPOConfig(
            output_dir=str(folder / "trainer"),
            max_steps=steps,
            per_device_train_batch_size=64,
            gradient_accumulation_steps=2,
            num_generations=8,
            max_completion_length=160,
            reward_weights=[1.0, 0.2],
            learning_rate=learning_rate,
            warmup_steps=3,
            beta=0.0,
            seed=seed,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            logging_steps=10,
            disable_tqdm=True,
        ),
    )
    trainer.add_callback(Clock(folder, save_every))
    trainer.train()
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--save-every", type=int, default=5)
    main(**vars(parser.parse_args()))
