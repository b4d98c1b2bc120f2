"""Rebuilds ``abacus-judge`` from ``abacus``: ``python -m reasonkit.training.abacus_judge DIR``.

A preference model is a language model's trunk with one output r (Ouyang et al., 2022). It learns by
the Bradley-Terry loss of arXiv:2203.02155, equation 1, with a pull of the rewards to mean zero
(arXiv:2312.09244, equation 2), without which those of one prompt could not be told from those of
another::

    loss = -log σ(r_chosen - r_rejected) + c (r_chosen + r_rejected)²

It stands here and not beside the scripts of the other embedded models because it needs TRL, which
only this room imports. The same versions and thread count give the same bytes.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, PreTrainedModel, set_seed
from transformers import PreTrainedTokenizerBase as Tokenizer
from trl import RewardConfig, RewardTrainer

from reasonkit.models.loading import load_tokenizer
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.tasks.preferences import Pair, pairs

THREADS = 2
SEED = 22
PAIRS = 30_000
BATCH = 32


def main(directory: Path, count: int = PAIRS) -> None:
    """Trains the judge and saves it as bfloat16 safetensors with its tokenizer.

    Args:
        count: pairs to learn from; fewer for a quick trial.
    """
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    start = resolve("abacus")
    tokenizer, _ = load_tokenizer(start)
    learned = list(islice(pairs(SEED, "corpus", "train"), count))
    model = train(start, tokenizer, learned)
    model.to(torch.bfloat16).save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def train(start: ResolvedModel, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> PreTrainedModel:
    """A preference model that starts from a language model's weights, in float32 on the CPU.

    Args:
        tokenizer: of the language model, with a chat template and a padding token.
        pairs: each is learned from once.
    """
    set_seed(SEED)
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
    # A batch has rows of one length, so that padding is rare.
    rows.sort(key=lambda row: max(map(len, row.values())))
    batches = [rows[first : first + BATCH] for first in range(0, len(rows), BATCH)]
    random.Random(SEED).shuffle(batches)
    with tempfile.TemporaryDirectory() as output:
        arguments = RewardConfig(
            output_dir=output,
            learning_rate=3e-3,
            lr_scheduler_type="linear",
            adam_beta2=0.98,
            warmup_steps=10,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            center_rewards_coefficient=0.01,
            max_length=None,
            train_sampling_strategy="sequential",
            seed=SEED,
            use_cpu=True,
            # TRL's defaults are made for GPUs: on a CPU both cost time.
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = RewardTrainer(
            model=model,
            args=arguments,
            processing_class=tokenizer,
            train_dataset=Dataset.from_list([row for batch in batches for row in batch]),
        )
        trainer.train()
    return trainer.model


def _ids(tokenizer: Tokenizer, prompt: str, answer: str) -> list[int]:
    chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False).input_ids)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--count", type=int, default=PAIRS, help="pairs to learn from")
    main(**vars(parser.parse_args()))
