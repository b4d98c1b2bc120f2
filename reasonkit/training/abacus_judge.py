"""Rebuilds ``abacus-judge`` from ``abacus``: ``python -m reasonkit.training.abacus_judge DIR``.

It stands here and not beside the scripts of the other embedded models because it needs TRL, which
only this room imports. The same versions and thread count give the same bytes.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import torch

from reasonkit.models.loading import load_tokenizer, resolve
from reasonkit.tasks.preferences import pairs
from reasonkit.training.preferences import Settings, train

THREADS = 2
SEED = 22
PAIRS = 30_000
SETTINGS = Settings(learning_rate=3e-3, batch=32, adam_beta2=0.98, seed=SEED)


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
    model = train(start, tokenizer, learned, SETTINGS)
    model.to(torch.bfloat16).save_pretrained(directory)
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--count", type=int, default=PAIRS, help="pairs to learn from")
    main(**vars(parser.parse_args()))
