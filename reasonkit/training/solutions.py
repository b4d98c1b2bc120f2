"""A generator's own solutions, labelled, as a verifier learns from them. Not their sampling.

Every token has the label of its solution, whether the answer is right. Or each step has its own:
the share of its continuations that end right, Math-Shepherd's soft estimation (Wang et al.,
arXiv:2312.08935, equation 4); the last step keeps that of the solution. There only the token that
ends a step is learned from; here all of its tokens are: what may still become of one of them is, in
the mean, what becomes of its step.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from reasonkit.generation.drafts import step_ends
from reasonkit.models.chat import encode_prompts, text_of
from reasonkit.tasks.splits import normal
from reasonkit.training.encoding import IGNORED
from reasonkit.types import Completion, Example, Group

NEIGHBOURS = 50
"""Batches among which solutions are sorted by length, so that little of a batch is padding."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A completion, as token ids like its prompt, and how likely to be right by each token."""

    prompt: Sequence[int]
    completion: Sequence[int]
    labels: Sequence[float]

    @property
    def right(self) -> bool:
        """Whether it turned out so."""
        return self.labels[-1] == 1

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


def begun(
    tokenizer: PreTrainedTokenizerBase, groups: Sequence[Group], ends: Sequence[str]
) -> list[Example]:
    """The questions with every beginning of a solution that ends a step, each once."""
    found = {
        example.id: example
        for group in groups
        for completion in group.completions
        for _, example in _steps(tokenizer, group.example, completion, ends)[:-1]
    }
    return list(found.values())


def _steps(
    tokenizer: PreTrainedTokenizerBase,
    example: Example,
    completion: Completion,
    ends: Sequence[str],
) -> list[tuple[int, Example]]:
    """Where each step ends, and the question with all that is written by then."""
    steps = []
    for place in step_ends(tokenizer, completion.token_ids, ends):
        text = text_of(tokenizer, completion.token_ids[: place + 1])
        messages = (*example.messages, {"role": "assistant", "content": text})
        steps.append((place, replace(example, id=f"{example.id} {text}", messages=messages)))
    return steps


def label(
    tokenizer: PreTrainedTokenizerBase,
    groups: Sequence[Group],
    right: Callable[[Group], Sequence[bool | None]],
    ends: Sequence[str] = (),
    continued: Sequence[Group] = (),
) -> list[Solution]:
    """The completions of groups with what ``right`` says of them, where it says anything.

    Args:
        ends: texts that end a step.
        continued: continuations of what `begun` gives; without any all steps are as right as
            their solution.
    """
    chances: dict[str, float] = {}
    for group in continued:
        if known := [value for value in right(group) if value is not None]:
            chances[group.example.id] = fmean(known)
    prompts, _ = encode_prompts(tokenizer, [group.example for group in groups])
    solutions = []
    for group, prompt in zip(groups, prompts, strict=True):
        for completion, value in zip(group.completions, right(group), strict=True):
            if value is None:
                continue
            labels: list[float] = []
            for place, step in _steps(tokenizer, group.example, completion, ends)[:-1]:
                labels += [chances.get(step.id, value)] * (place + 1 - len(labels))
            labels += [value] * (len(completion.token_ids) - len(labels))
            solutions.append(Solution(prompt, completion.token_ids, labels))
    return solutions


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

        A label is between 0 and 1 at each token of a completion and `IGNORED` elsewhere.
        """

        def tensor(of: Callable[[Solution], list[Any]], filler: int) -> torch.Tensor:
            rows = [torch.tensor(of(solution)) for solution in solutions]
            return pad_sequence(rows, batch_first=True, padding_value=filler)

        return {
            "input_ids": tensor(lambda s: [*s.prompt, *s.completion], self.pad),
            "attention_mask": tensor(lambda s: [1] * len(s), 0),
            "labels": tensor(
                lambda s: [float(IGNORED)] * len(s.prompt) + [*map(float, s.labels)], IGNORED
            ),
        }
