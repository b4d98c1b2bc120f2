"""Rebuilds an embedded model from nothing: ``python -m reasonkit.models.abacus.pretrain NAME DIR``.

Muon on the matrices, AdamW on the rest (Jordan et al., kellerjordan.github.io/posts/muon), linear
warm-up and decay, loss on what answers a prompt and on plain text. The same versions and thread
count give the same bytes. Leaves out validation loss: what the models can do is measured by
``reasonkit`` itself.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from reasonkit.models import MODELS
from reasonkit.models.abacus import tokenizer as abacus_tokenizer
from reasonkit.models.abacus.corpus import Document, Part, documents

THREADS = 2
TOKENS_PER_STEP = 3072
POOL = 4096
WARM_UP = 50
IGNORED = -100
PEAKS = (0.02, 4e-3)
"""Highest learning rates: of the matrices, and of embeddings and norms."""

QUINTIC, ITERATIONS, MOMENTUM = (3.4445, -4.7750, 2.0315), 5, 0.95
"""Of Muon: its Newton-Schulz iteration and its momentum."""


@dataclass(frozen=True, slots=True)
class Build:
    """How one embedded model is made, beside its shape in the registry.

    Attributes:
        steps: updates of `TOKENS_PER_STEP` tokens with the textbooks and with the web.
        seed: of the weights and of the corpus.
    """

    steps: dict[Part, int]
    seed: int


BUILDS = {
    "abacus": Build({"textbook": 2000, "web": 1800}, seed=20),
    "abacus-mini": Build({"textbook": 900, "web": 600}, seed=21),
}


def new_model(name: str, tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """A freshly initialised model, in float32."""
    torch.manual_seed(BUILDS[name].seed)
    _, layers, hidden, heads, kv_heads, head_dim, mlp, _ = MODELS[name].shape
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=mlp,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=head_dim,
            max_position_embeddings=512,
            rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    # As published models have it: a server that goes by this file would never sample otherwise.
    model.generation_config = GenerationConfig(
        do_sample=True,
        top_k=0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return model


Row = tuple[list[int], list[int]]


def encode(pages: list[Document], tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    """Token ids and labels of each document.

    What can't be foreseen carries no loss: a prompt, and the left-hand side of a number fact.
    """
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": page.prompt}], add_generation_prompt=True, tokenize=False
        )
        if page.prompt
        else ""
        for page in pages
    ]
    before = tokenizer(prompts).input_ids
    after = tokenizer([page.text + str(tokenizer.eos_token) for page in pages]).input_ids
    equals, newline = tokenizer.convert_tokens_to_ids(["=", "\n"])
    rows = []
    for page, b, a in zip(pages, before, after, strict=True):
        labels = list(a)
        if not page.prompt:
            given = True
            for i, token in enumerate(a):
                labels[i] = IGNORED if given else token
                given = token == newline or (given and token != equals)
        rows.append((b + a, [IGNORED] * len(b) + labels))
    return rows


def batches(
    seed: int, part: Part, tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless ``(ids, labels)`` of shape (rows, length), rows of similar length together."""
    rng = random.Random(seed)
    stream = documents(seed, part)
    while True:
        pool = sorted(encode(list(islice(stream, POOL)), tokenizer), key=lambda row: len(row[0]))
        cut: list[list[Row]] = [[]]
        for row in pool:
            if (len(cut[-1]) + 1) * len(row[0]) > TOKENS_PER_STEP:
                cut.append([])
            cut[-1].append(row)
        rng.shuffle(cut)
        for rows in cut:
            length = max(len(ids) for ids, _ in rows)
            yield (
                torch.tensor(
                    [ids + [tokenizer.pad_token_id] * (length - len(ids)) for ids, _ in rows]
                ),
                torch.tensor([labels + [IGNORED] * (length - len(labels)) for _, labels in rows]),
            )


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest semi-orthogonal matrix, roughly: five Newton-Schulz iterations.

    Args:
        matrix: shape (rows, columns).
    """
    a, b, c = QUINTIC
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.mT if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.addmm(a * x, torch.addmm(b * gram, gram, gram, beta=1, alpha=c), x)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, for matrices only, in float32.

    torch's own orthogonalises in bfloat16, which a CPU without bfloat16 arithmetic emulates some
    hundred times slower.
    """

    def __init__(self, params: Iterable[torch.Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                buffer = state.setdefault("momentum", torch.zeros_like(matrix))
                buffer.lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonalise(matrix.grad.lerp(buffer, MOMENTUM))
                scale = max(1.0, matrix.size(0) / matrix.size(1)) ** 0.5
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * scale)


def train(
    model: Qwen3ForCausalLM, build: Build, part: Part, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Trains on one part of the corpus; the learning rate falls to nothing over the web.

    Prints a line every 50 steps.
    """
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimizers: tuple[torch.optim.Optimizer, ...] = (
        Muon(matrices, lr=PEAKS[0], weight_decay=0.02),
        torch.optim.AdamW(others, lr=PEAKS[1], betas=(0.9, 0.95), weight_decay=0.0),
    )
    steps = build.steps[part]
    started, seen, losses = time.perf_counter(), 0, 0.0
    for step, (ids, labels) in enumerate(islice(batches(build.seed, part, tokenizer), steps)):
        decay = 1 - step / steps if part == "web" else 1.0
        for optimizer, peak in zip(optimizers, PEAKS, strict=True):
            optimizer.param_groups[0]["lr"] = peak * min(decay, (step + 1) / WARM_UP)
        logits = model(input_ids=ids).logits[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        seen += ids.numel()
        losses += loss.item()
        if (step + 1) % 50 == 0:
            rate = seen / (time.perf_counter() - started)
            print(
                f"{part} {step + 1}/{steps} loss {losses / 50:.3f} {rate:.0f} tokens/s", flush=True
            )
            losses = 0.0


def main(name: str, directory: Path, scale: float = 1.0) -> None:
    """Builds one embedded model and saves it as bfloat16 safetensors with its tokenizer.

    Args:
        scale: the share of the updates to make; below 1 for a quick trial.
    """
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    full = BUILDS[name]
    build = replace(full, steps={part: round(n * scale) for part, n in full.steps.items()})
    tokenizer = abacus_tokenizer.build()
    model = new_model(name, tokenizer)
    for part in build.steps:
        train(model, build, part, tokenizer)
    model.to(torch.bfloat16).save_pretrained(directory)
    tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(BUILDS))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the updates to make")
    main(**vars(parser.parse_args()))
