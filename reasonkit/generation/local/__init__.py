"""Our own sampler over a transformers model in this process.

`batch` is the loop, `forward` reads prompts and takes steps (`quick`: those of the Llama family),
`cache` holds keys and values, `drawing` draws tokens and `stopping` tells where a completion ends.
A prompt is read once for its whole group, rows that have ended make room for others, and a step
costs what the rows that are running cost. Leaves out compiled graphs, paged caches, keys and values
that a group's rows share, and more than one device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.generation import Sampling
from reasonkit.generation.local.batch import Batch, Prompt, Row
from reasonkit.generation.local.drawing import seed_of
from reasonkit.generation.local.forward import evaluating
from reasonkit.models.chat import encode_prompts, text_of
from reasonkit.types import Completion, Example, Group

__all__ = ["ROWS", "LocalEngine", "evaluating"]

ROWS = 384
"""Completions that are sampled at once: enough to keep two cores busy, few enough for memory."""


class LocalEngine:
    """Samples from any causal language model of transformers in this process.

    Args:
        tokenizer: with a chat template.
        rows: completions sampled at once.
        products: what products are computed in (`reasonkit.models.precision`).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: int = ROWS,
        products: torch.dtype | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.rows = rows
        self.products = products

    def gives_logprobs(self) -> bool:
        """Always."""
        return True

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example as soon as it is finished.

        What is drawn for an example depends on ``sampling``, on its task and id and on the place in
        the group. The examples that it is sampled with change its logits by no more than rounding;
        the same call gives the same bytes.
        """
        prompts, opened = encode_prompts(self.tokenizer, examples)
        seeds = [seed_of(sampling.seed, example.task, example.id) for example in examples]
        for i, completions in self.sample_ids(prompts, n, sampling, seeds):
            if opened[i]:
                completions = [replace(c, text=opened[i] + c.text) for c in completions]
            yield Group(examples[i], completions)

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Continues token ids: yields a prompt's number with its ``n`` completions.

        Args:
            prompts: token ids of each, none empty: a chat template's, or also the beginning of an
                answer that is to be gone on with.
            seeds: of each prompt, for which the same completions are drawn wherever it stands and
                of which a smaller ``n`` draws the first; by default from ``sampling.seed`` and
                the prompt's number.

        The completions hold what is new alone, without the prompt. The model's weights must stay as
        they are until the iterator has ended.
        """
        if seeds is None:
            seeds = [seed_of(sampling.seed, i) for i in range(len(prompts))]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        asked = [Prompt(prompts[i], seeds[i]) for i in order]
        batch = Batch(self.model, self.tokenizer, asked, n, sampling, self.rows, self.products)
        for number, rows in batch:
            yield order[number], [self._completion(row) for row in rows]

    def _completion(self, row: Row) -> Completion:
        text = text_of(self.tokenizer, row.token_ids)
        return Completion(text, tuple(row.token_ids), row.finish, fmean(row.logprobs))
