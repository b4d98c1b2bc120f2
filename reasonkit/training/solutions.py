"""A generator's own solutions, labelled, as a verifier learns from them. Not their sampling."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from reasonkit.models.chat import encode_prompts
from reasonkit.tasks.splits import normal
from reasonkit.training.encoding import IGNORED
from reasonkit.types import Group

NEIGHBOURS = 50
"""Batches among which solutions are sorted by length, so that little of a batch is padding."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A completion, as token ids like its prompt, and whether its answer is right."""

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
    """The completions of groups with what ``right`` says of them, where it says anything."""
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


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes a batch of solutions, padded with the token of this id."""

    pad: int

    def __call__(self, solutions: Sequence[Solution]) -> dict[str, torch.Tensor]:
        """Ids, mask and labels, of shape (solutions, longest), padded on the right.

        A label is 1 or 0 at each token of a completion and `IGNORED` elsewhere.
        """

        def tensor(of: Callable[[Solution], list[int]], filler: int) -> torch.Tensor:
            rows = [torch.tensor(of(solution)) for solution in solutions]
            return pad_sequence(rows, batch_first=True, padding_value=filler)

        return {
            "input_ids": tensor(lambda s: [*s.prompt, *s.completion], self.pad),
            "attention_mask": tensor(lambda s: [1] * len(s), 0),
            "labels": tensor(
                lambda s: [IGNORED] * len(s.prompt) + [int(s.right)] * len(s.completion), IGNORED
            ),
        }
