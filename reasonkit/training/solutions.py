"""A generator's own solutions, labelled, as a verifier learns from them.

Leaves out sampling them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerBase

from reasonkit.models.chat import encode_prompts
from reasonkit.tasks.splits import normal
from reasonkit.types import Group

IGNORED = -100
"""The label of a token that is read and not judged."""

NEIGHBOURS = 50
"""Batches among which solutions are sorted by length, so that little of a batch is padding."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A completion and whether its answer is right.

    Attributes:
        prompt: token ids.
        completion: token ids, as sampled.
        right: its label.
    """

    prompt: Sequence[int]
    completion: Sequence[int]
    right: bool

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


def label(
    tokenizer: PreTrainedTokenizerBase,
    groups: Sequence[Group],
    right: Callable[[Group], Sequence[bool | None]],
) -> list[Solution]:
    """The completions of groups with what ``right`` says of them.

    Those of which it says nothing are left out.
    """
    prompts, _ = encode_prompts(tokenizer, [group.example for group in groups])
    return [
        Solution(prompt, completion.token_ids, value)
        for group, prompt in zip(groups, prompts, strict=True)
        for completion, value in zip(group.completions, right(group), strict=True)
        if value is not None
    ]


def split_by_question(groups: Sequence[Group], share: float) -> tuple[list[Group], list[Group]]:
    """The groups to learn from, and about this share of them, held out.

    A stable hash of the question decides, so all of its completions are on one side, also where it
    occurs twice. Each side gets at least one of two different questions.
    """
    keys = [normal(group.example.question) for group in groups]
    ranked = sorted(set(keys), key=lambda key: hashlib.sha256(f"verifier {key}".encode()).digest())
    held = set(ranked[: max(1, round(share * len(ranked)))])
    sides: tuple[list[Group], list[Group]] = ([], [])
    for key, group in zip(keys, groups, strict=True):
        sides[key in held].append(group)
    return sides


def lay_out(lengths: Sequence[int], batch: int, epochs: int, seed: int) -> list[int]:
    """The places of the solutions in the order in which they are learned from, batch by batch.

    Every epoch is shuffled; solutions of like length share a batch. The last batch of an epoch is
    filled up with solutions of its beginning.
    """
    rng = random.Random(seed)
    order: list[int] = []
    for _ in range(epochs):
        places = rng.sample(range(len(lengths)), len(lengths))
        while len(places) % batch:
            places += places[: batch - len(places) % batch]
        size = NEIGHBOURS * batch
        batches = []
        for start in range(0, len(places), size):
            near = sorted(places[start : start + size], key=lambda place: lengths[place])
            batches += [near[i : i + batch] for i in range(0, len(near), batch)]
        rng.shuffle(batches)
        order += [place for chosen in batches for place in chosen]
    return order


class Collator:
    """Makes a batch of solutions.

    Args:
        pad: id of the padding token.
    """

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, solutions: Sequence[Solution]) -> dict[str, torch.Tensor]:
        """Ids, mask and labels, of shape (solutions, longest), padded on the right.

        A label is 1 or 0 at each token of a completion and `IGNORED` elsewhere.
        """
        longest = max(map(len, solutions))

        def tensor(rows: Sequence[list[int]], filler: int) -> torch.Tensor:
            return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])

        ids = [[*s.prompt, *s.completion] for s in solutions]
        labels = [[IGNORED] * len(s.prompt) + [int(s.right)] * len(s.completion) for s in solutions]
        return {
            "input_ids": tensor(ids, self.pad),
            "attention_mask": tensor([[1] * len(row) for row in ids], 0),
            "labels": tensor(labels, IGNORED),
        }
