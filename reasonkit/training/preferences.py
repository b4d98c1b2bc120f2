"""Training a preference model on pairs through TRL's RewardTrainer (Ouyang et al., 2022).

The model is a language model's trunk with one output r, and learns by the Bradley-Terry loss of
arXiv:2203.02155, equation 1, with a pull of the rewards to mean zero (arXiv:2312.09244, equation
2), without which those of one prompt could not be told from those of another::

    loss = -log σ(r_chosen - r_rejected) + c (r_chosen + r_rejected)²

Leaves out adapters, validation and resuming.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler, SequentialSampler
from transformers import AutoModelForSequenceClassification, PreTrainedModel, set_seed
from transformers import PreTrainedTokenizerBase as Tokenizer
from trl import RewardConfig, RewardTrainer

from reasonkit.models.loading import ResolvedModel
from reasonkit.tasks.preferences import Pair


@dataclass(frozen=True, slots=True)
class Settings:
    """How a preference model is trained.

    Attributes:
        learning_rate: at its peak; it falls to nothing.
        batch: pairs an update.
        warmup_steps: updates over which the rate rises.
        centering: c of the loss.
        adam_beta2: of AdamW's second moments.
        seed: of the new output and of the order of the batches.
    """

    learning_rate: float
    batch: int
    warmup_steps: int = 10
    centering: float = 0.01
    adam_beta2: float = 0.999
    seed: int = 0


class Trainer(RewardTrainer):  # type: ignore[misc]
    """RewardTrainer that keeps the order it is given."""

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)


def train(
    start: ResolvedModel, tokenizer: Tokenizer, pairs: Sequence[Pair], settings: Settings
) -> PreTrainedModel:
    """A preference model that starts from a language model's weights, in float32 on the CPU.

    Args:
        tokenizer: of the language model, with a chat template and a padding token.
        pairs: each is learned from once.
    """
    set_seed(settings.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        start.source, num_labels=1, dtype=torch.float32, use_safetensors=True
    )
    rows = [
        {
            "chosen_ids": _ids(tokenizer, p.prompt, p.chosen),
            "rejected_ids": _ids(tokenizer, p.prompt, p.rejected),
        }
        for p in pairs
    ]
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=model,
            args=_arguments(settings, output),
            processing_class=tokenizer,
            train_dataset=Dataset.from_list(_in_batches(rows, settings)),
        )
        trainer.train()
    return trainer.model


def _arguments(settings: Settings, output: str) -> RewardConfig:
    return RewardConfig(
        output_dir=output,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        adam_beta2=settings.adam_beta2,
        warmup_steps=settings.warmup_steps,
        per_device_train_batch_size=settings.batch,
        num_train_epochs=1,
        center_rewards_coefficient=settings.centering,
        max_length=None,
        seed=settings.seed,
        use_cpu=True,
        # TRL's defaults are made for GPUs: on a CPU both cost time.
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _ids(tokenizer: Tokenizer, prompt: str, answer: str) -> list[int]:
    chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def _in_batches(rows: list[dict[str, list[int]]], settings: Settings) -> list[dict[str, Any]]:
    """The rows in an order in which a batch has rows of one length, and padding is rare."""
    rows = sorted(rows, key=lambda row: max(map(len, row.values())))
    starts = list(range(0, len(rows), settings.batch))
    random.Random(settings.seed).shuffle(starts)
    return [row for start in starts for row in rows[start : start + settings.batch]]
