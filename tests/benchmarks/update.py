"""Times an update with TRL's padding and without it, on one rollout of the embedded model.

Prints seconds a forward and backward pass over all completions, the better of each, and their
ratio::

    python tests/benchmarks/update.py --rounds 5
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.chat import encode_prompts
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load
from reasonkit.training.scoring import without_padding

PROMPTS, GROUP, LONGEST, MICRO_BATCH = 16, 8, 160, 64


def main(rounds: int) -> None:
    """Measures both in turn, several times."""
    resolved = resolve("abacus")
    tokenizer, _ = load_tokenizer(resolved)
    model = load_model(resolved, "cpu", "float32")
    examples = load("arithmetic", columns=None, validation=100, test=100).train[:PROMPTS]
    engine = LocalEngine(model, tokenizer)
    groups = {g.example.id: g for g in engine.sample(examples, GROUP, Sampling(LONGEST))}
    prompts, _ = encode_prompts(tokenizer, examples)
    pairs = [
        (torch.tensor(prompt), torch.tensor(c.token_ids))
        for example, prompt in zip(examples, prompts, strict=True)
        for c in groups[example.id].completions
    ]
    # TRL shuffles the completions of a rollout before it cuts micro-batches.
    shuffled = [pairs[i] for i in torch.randperm(len(pairs)).tolist()]
    before = pad_sequence([p.flip(0) for p, _ in shuffled], batch_first=True, padding_value=-1)
    after = pad_sequence([c for _, c in shuffled], batch_first=True, padding_value=-1)
    laid = torch.cat([before.flip(1), after], 1)
    ids, mask, keep = laid.clamp(min=0), (laid >= 0).long(), after.size(1)

    def score(ids: Tensor, mask: Tensor, keep: int) -> tuple[Tensor, None]:
        logps = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
        return logps.gather(2, ids[:, 1:, None])[:, -keep:, 0], None

    def seconds(narrow: bool) -> float:
        started = time.perf_counter()
        for part, own in zip(ids.split(MICRO_BATCH), mask.split(MICRO_BATCH), strict=True):
            made = without_padding(score, part, own, keep) if narrow else score(part, own, keep)
            (made[0] * own[:, -keep:]).sum().backward()
        model.zero_grad()
        return time.perf_counter() - started

    timings = [(seconds(False), seconds(True)) for _ in range(rounds)]
    padded, narrow = (min(column) for column in zip(*timings, strict=True))
    share = float(mask.float().mean())
    print(f"{len(pairs)} completions in {tuple(laid.shape)}, {share:.0%} of it tokens")
    print(f"padded {padded:.2f} s, without padding {narrow:.2f} s: {padded / narrow:.2f} times")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    main(**vars(parser.parse_args()))
