"""On-policy distillation through TRL's DistillationTrainer: a teacher grades the student's tokens.

The student samples, and at each of its tokens its distribution is drawn towards the teacher's by
the reverse Kullback-Leibler divergence (Agarwal et al., arXiv:2306.13649, with λ = 1, β = 1): it is
told about its own mistakes, in the places where it makes them. Rollouts are ours; checkpoints, best
epoch and resuming are those of `reasonkit.training.epochs`.

Leaves out teachers with another tokenizer, and runs over several processes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import DistillationConfig, DistillationTrainer

from reasonkit.config import DistillConfig
from reasonkit.generation import Sampling
from reasonkit.generation.local import ROWS, LocalEngine
from reasonkit.models import precision
from reasonkit.runs import Run
from reasonkit.training import epochs
from reasonkit.training.adapters import adapter
from reasonkit.training.checked import Checked
from reasonkit.training.settings import shared
from reasonkit.training.trackers import trl_trackers
from reasonkit.types import Example

REVERSE_KL = 1.0
"""TRL's ``beta``: 0 is the forward divergence, 1 the reverse one."""


class Trainer(Checked, DistillationTrainer):  # type: ignore[misc]
    """DistillationTrainer with our sampling."""

    config: DistillConfig
    watch: epochs.Watch

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *multimodal: Any, **more: Any
    ) -> list[list[int]]:
        config = self.config
        assert config.max_completion_tokens
        model = self.accelerator.unwrap_model(self.model)
        engine = LocalEngine(model, self.processing_class, products=precision.products(config))
        started = time.perf_counter()
        place = config.seed * 1_000_003 + self.state.global_step
        sampled: list[list[int]] = []
        for block, start in enumerate(range(0, len(prompt_ids), ROWS)):
            sampling = Sampling(
                config.max_completion_tokens,
                config.temperature,
                top_p=config.top_p,
                seed=(place << 20) + block,
            )
            drawn = dict(engine.sample_ids(prompt_ids[start : start + ROWS], 1, sampling))
            sampled += [list(drawn[i][0].token_ids) for i in range(len(drawn))]
        counters, tokens = self.watch.counters, sum(map(len, sampled))
        counters.rollout_seconds += time.perf_counter() - started
        counters.tokens_sampled += tokens
        counters.tokens_trained += tokens + sum(map(len, prompt_ids))
        self._metrics["train"]["completion_tokens"].append(tokens / len(sampled))
        return sampled

    def publish(self, written: Path) -> None:
        """As a checkpoint; old ones go, but not the best."""
        epochs.publish(self.run, self.config, written)


def batches(config: DistillConfig, examples: int) -> tuple[int, int]:
    """Completions an update, and a forward and backward pass, if each were as long as it may be."""
    assert config.batch_tokens and config.micro_batch_tokens and config.max_completion_tokens
    longest = config.max_completion_tokens
    batch = min(max(1, config.batch_tokens // longest), examples)
    most = min(max(1, config.micro_batch_tokens // longest), batch)
    return batch, max(d for d in range(1, most + 1) if batch % d == 0)


def arguments(
    config: DistillConfig, updates: int, batch: int, micro_batch: int, output: Path
) -> DistillationConfig:
    """TRL's settings from ours."""
    return DistillationConfig(
        **shared(config, output),
        max_steps=updates,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=batch // micro_batch,
        max_completion_length=config.max_completion_tokens,
        temperature=1.0,
        beta=REVERSE_KL,
        shuffle_dataset=False,
        logging_steps=1,
        report_to=trl_trackers(config),
        project="reasonkit",
        run_name=output.parent.parent.name,
    )


def lay_out(examples: Sequence[Example], batch: int, epochs: int, seed: int) -> list[Example]:
    """The prompts of a whole run, shuffled by seed and epoch; what fills no batch is left out."""
    whole = len(examples) // batch * batch
    laid: list[Example] = []
    for epoch in range(epochs):
        rng = random.Random(f"{seed} {epoch}")
        laid += rng.sample(list(examples), len(examples))[:whole]
    return laid


def train(
    model: PreTrainedModel,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    config: DistillConfig,
    run: Run,
    lora_targets: Sequence[str] | str,
    validate: Callable[[int, LocalEngine], dict[str, float]],
    report: Callable[[epochs.Record], None],
) -> epochs.Tuned:
    """Trains a student, from the run's newest whole checkpoint if it has one.

    Args:
        teacher: with the student's vocabulary.
        examples: whose prompts the student answers; at least one.
        config: fully resolved.
        lora_targets: modules that get an adapter where the config asks for LoRA.
        validate: called with the epoch and an engine over the student.
        report: called with each logged record.

    Raises:
        RunError: the best checkpoint is damaged.
    """
    assert config.epochs
    batch, micro_batch = batches(config, len(examples))
    laid = lay_out(examples, batch, config.epochs, config.seed)
    updates = len(laid) // batch
    written = epochs.staging(run)
    trainer = Trainer(
        model=model,
        teacher_model=teacher,
        args=arguments(config, updates, batch, micro_batch, written),
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [list(e.messages) for e in laid]}),
        peft_config=adapter(config, lora_targets, model),
    )
    engine = LocalEngine(trainer.model, tokenizer, products=precision.products(config))
    trainer.run, trainer.config = run, config
    trainer.watch = epochs.Watch(
        run,
        updates // config.epochs,
        config.epochs,
        lambda epoch: validate(epoch, engine),
        report,
        lambda logs: {name: logs[name] for name in ("entropy", "completion_tokens")},
    )
    return epochs.go_through(trainer, trainer.watch, config, written)
