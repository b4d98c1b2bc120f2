"""GRPO as one writes it with TRL alone: what `reasonkit grpo` is timed against.

The same model, data, rewards and settings, TRL's own generation and update. Every ``--save-every``
steps the policy and the seconds of training until then, those of rollouts apart, go to the folder;
saving is off the clock::

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
from reasonkit.models import entry_for
from reasonkit.models.resolving import resolve
from reasonkit.prompts import led_by
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


def reward_letters(completions: list[Any], **_: Any) -> list[float]:
    """Counts a letter, which spreads the rewards of all groups; takes text and messages."""
    texts = (text if isinstance(text, str) else text[0]["content"] for text in completions)
    return [float(text.count("e")) for text in texts]


reward_letters.needs_answer = False  # type: ignore[attr-defined]

REWARDS = {
    "task": ([reward_answer, reward_format], [1.0, 0.2]),
    "letters": ([reward_letters], [1.0]),
}


class Timed(GRPOTrainer):  # type: ignore[misc]
    """Counts the seconds of rollouts, rewards included."""

    rollout_seconds = 0.0

    def _generate_and_score_completions(self, *inputs: Any) -> Any:
        started = time.perf_counter()
        made = super()._generate_and_score_completions(*inputs)
        self.rollout_seconds += time.perf_counter() - started
        return made


class Clock(TrainerCallback):
    """Saves the policy with the seconds of training so far, off the clock."""

    def __init__(self, folder: Path, every: int, trainer: Timed) -> None:
        self.folder, self.every, self.trainer = folder, every, trainer
        self.seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.since = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **passed: Any) -> None:
        if state.global_step % self.every:
            return
        self.seconds += time.perf_counter() - self.since
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        passed["model"].save_pretrained(self.folder / f"step-{state.global_step}")
        record = {
            "step": state.global_step,
            "seconds": self.seconds,
            "rollout_seconds": self.trainer.rollout_seconds,
            "peak_memory_bytes": peak,
        }
        with (self.folder / "clock.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        self.since = time.perf_counter()


def main(
    folder: Path,
    seed: int,
    steps: int,
    learning_rate: float,
    save_every: int,
    model: str,
    task: str,
    reward: str,
    prompts_per_step: int | None,
) -> None:
    """Trains."""
    folder.mkdir(parents=True)
    source, entry = resolve(model).source, entry_for(model)
    rl = entry.rl
    rows = (prompts_per_step or rl.prompts_per_step) * rl.group_size
    tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
    policy = AutoModelForCausalLM.from_pretrained(source, dtype="float32")
    examples = led_by(entry.system_prompt, load(task).train)
    # Given messages instead of text, TRL takes the thought out of what the rewards see.
    prompts = [
        tokenizer.apply_chat_template(e.messages, tokenize=False, add_generation_prompt=True)
        for e in examples
    ]
    dataset = Dataset.from_dict({"prompt": prompts, "answer": [e.answer for e in examples]})
    functions, weights = REWARDS[reward]
    trainer = Timed(
        model=policy,
        processing_class=tokenizer,
        train_dataset=dataset,
        reward_funcs=functions,
        args=GRPOConfig(
            output_dir=str(folder / "trainer"),
            max_steps=steps,
            per_device_train_batch_size=rl.micro_batch,
            gradient_accumulation_steps=rows // rl.micro_batch,
            num_generations=rl.group_size,
            max_completion_length=rl.max_completion_tokens,
            temperature=entry.temperature,
            reward_weights=weights,
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
    trainer.add_callback(Clock(folder, save_every, trainer))
    trainer.train()
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--save-every", type=int, default=5)
    parser.add_argument("--model", default="abacus")
    parser.add_argument("--task", default="arithmetic")
    parser.add_argument("--reward", choices=REWARDS, default="task")
    parser.add_argument("--prompts-per-step", type=int)
    main(**vars(parser.parse_args()))
