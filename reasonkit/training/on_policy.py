"""On-policy distillation through TRL's DistillationTrainer: a teacher grades the student's tokens.

The student samples, and at each of its tokens its distribution is drawn towards the teacher's by
the reverse Kullback-Leibler divergence (Agarwal et al., arXiv:2306.13649, with λ = 1, β = 1): it is
told about its own mistakes, in the places where it makes them. Several processes share out the
prompts of an update. Leaves out teachers with another tokenizer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel
from trl import DistillationConfig, DistillationTrainer

from reasonkit import processes
from reasonkit.config import DistillConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.engine import Engine, TokenEngine, drawn_by, seed_of
from reasonkit.generation.local import ROWS
from reasonkit.runs import Run
from reasonkit.training import checkpoints
from reasonkit.training.adapters import adapter
from reasonkit.training.callbacks import Record, Watch
from reasonkit.training.trainer import RunTrainer, Trained, shared
from reasonkit.types import Example

REVERSE_KL = 1.0
"""TRL's ``beta``: 0 is the forward divergence, 1 the reverse one."""


class Trainer(RunTrainer, DistillationTrainer):  # type: ignore[misc]
    """DistillationTrainer with our sampling."""

    config: DistillConfig

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], *multimodal: Any, **more: Any
    ) -> list[list[int]]:
        config = self.config
        started = time.perf_counter()
        engine = self.sampler()
        place = config.seed * 1_000_003 + self.state.global_step
        # Of an update's prompts, of which the processes have a part each, in the order of ranks.
        numbers = range(processes.rank() * len(prompt_ids), processes.size() * len(prompt_ids))
        seeds = [
            seed_of((place << 20) + number // ROWS, number % ROWS)
            for number in numbers[: len(prompt_ids)]
        ]
        sampled: list[list[int]] = []
        for start in range(0, len(prompt_ids), ROWS):
            part = slice(start, start + ROWS)
            drawn = dict(
                engine.sample_ids(prompt_ids[part], 1, drawn_by(config, place), seeds[part])
            )
            sampled += [list(drawn[i][0].token_ids) for i in range(len(drawn))]
        counters, count = self.watch.counters, len(sampled) * processes.size()
        tokens = sum(processes.gathered(sum(map(len, sampled))))
        counters.rollout_seconds += time.perf_counter() - started
        counters.tokens_sampled += tokens
        counters.tokens_trained += tokens + sum(processes.gathered(sum(map(len, prompt_ids))))
        self.note("completion_tokens", tokens / count)
        return sampled


def batches(config: DistillConfig, examples: int) -> tuple[int, int]:
    """Completions an update, and a forward and backward pass, if each were as long as it may be.

    Raises:
        RefusedError: the processes can't share out the former.
    """
    assert config.batch_tokens and config.micro_batch_tokens and config.max_completion_tokens
    longest = config.max_completion_tokens
    batch = min(max(1, config.batch_tokens // longest), examples)
    own, left = divmod(batch, processes.size())
    if left:
        raise RefusedError(
            f"{batch} completions an update (--batch-tokens {config.batch_tokens}) can't be shared "
            f"out evenly among {processes.size()} processes: try --batch-tokens "
            f"{(own + 1) * processes.size() * longest}"
        )
    most = min(max(1, config.micro_batch_tokens // longest), own)
    return batch, max(d for d in range(1, most + 1) if own % d == 0)


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
    engine: TokenEngine,
    examples: Sequence[Example],
    config: DistillConfig,
    run: Run,
    lora_targets: Sequence[str] | str,
    validate: Callable[[int, Engine], dict[str, float]],
    report: Callable[[Record], None],
) -> Trained:
    """Trains a student; arguments and errors are those of `sft.train`, but for these.

    Args:
        teacher: with the student's vocabulary.
        examples: whose prompts the student answers; at least one.
    """
    assert config.epochs
    batch, micro_batch = batches(config, len(examples))
    laid = lay_out(examples, batch, config.epochs, config.seed)
    updates = len(laid) // batch
    trainer = Trainer(
        model=model,
        teacher_model=teacher,
        args=DistillationConfig(
            **shared(config, checkpoints.emptied(run), updates),
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=batch // (micro_batch * processes.size()),
            max_completion_length=config.max_completion_tokens,
            temperature=1.0,
            beta=REVERSE_KL,
            shuffle_dataset=False,
        ),
        processing_class=engine.tokenizer,
        train_dataset=Dataset.from_dict({"prompt": [list(e.messages) for e in laid]}),
        peft_config=adapter(config, lora_targets, model),
    )
    watch = Watch(
        run,
        report,
        lambda logs: {name: logs[name] for name in ("loss", "entropy", "completion_tokens")},
        validate,
        validate_every=updates // config.epochs,
        by_epoch=True,
    )
    return trainer.fit(config, watch, engine)
