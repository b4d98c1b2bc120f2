"""Our own sampler over a transformers model in this process.

`batch` is the loop, `flow` the same for prompts that come one by one, `forward` reads prompts and
takes steps (`quick`: those of the Llama family), `cache` holds keys and values, `drawing` draws
tokens and `stopping` tells where a completion ends. A prompt is read once for its whole group, rows
that have ended make room for others, and a step costs what the rows that are running cost. Leaves
out compiled graphs, paged caches, keys and values that a group's rows share, and more than one
device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.generation.engine import Floor, Named, Sampling, TokenEngine
from reasonkit.generation.local.batch import Batch, Prompt, Row
from reasonkit.generation.local.flow import LocalFlow
from reasonkit.generation.local.forward import evaluating
from reasonkit.models.chat import text_of
from reasonkit.types import Completion, Weighing

__all__ = ["ROWS", "LocalEngine", "evaluating"]

ROWS = 384
"""Completions that are sampled at once: enough to keep two cores busy, few enough for memory."""


class LocalEngine(TokenEngine):
    """Samples from any causal language model of transformers in this process.

    Args:
        tokenizer: with a chat template.
        rows: completions sampled at once; fewer where they have more tokens than ``columns``, so
            that they take no more memory.
        products: what products are computed in (`reasonkit.models.precision`).
        trains, sure: as of `reasonkit.generation.engine.open_engine`.

    The same call gives the same bytes.
    """

    name = "local"
    watches = True

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: int = ROWS,
        products: torch.dtype | None = None,
        trains: bool = False,
        sure: bool = False,
        columns: int = 0,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.rows = rows
        self.products = products
        self.trains = trains
        self.sure = sure
        known: set[Weighing] = {"confidence"}
        self.tells = frozenset(known | {"steady", "certainty"} if sure else known)
        self.columns = columns

    @property
    def origin(self) -> dict[str, str]:
        """Where and in what the weights are."""
        return {"device": str(self.model.device), "dtype": str(self.model.dtype)}

    def use(
        self,
        model: PreTrainedModel,
        products: torch.dtype | None = None,
        named: Named | None = None,
    ) -> None:
        """As of `TokenEngine`; nothing is copied."""
        self.model, self.products = model, products

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int],
        floors: Sequence[Floor | None] = (),
    ) -> Iterator[tuple[int, list[Completion]]]:
        """As of `TokenEngine`."""
        if not prompts:
            return
        held = floors or [None] * len(prompts)
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        asked = [Prompt(prompts[i], seeds[i], floor=held[i]) for i in order]
        widest = max(map(len, prompts), default=0) + sampling.max_tokens
        rows = self.rows
        if self.columns and widest > self.columns:
            rows = max(1, rows * self.columns // widest)
        how = rows, self.products, self.trains, self.sure
        batch = Batch(self.model, self.tokenizer, asked, n, sampling, *how)
        for number, drawn in batch:
            yield order[number], [self._completion(row) for row in drawn]

    def flow(self, widest: int, longest: int, rows: int = 1) -> LocalFlow:
        """As of `TokenEngine`."""

        def make(way: Sampling) -> Batch:
            how = way, rows, self.products, self.trains, self.sure, widest
            return Batch(self.model, self.tokenizer, (), 1, *how)

        return LocalFlow(make, self._completion, longest, max(1, self.rows // rows))

    def _completion(self, row: Row) -> Completion:
        text = text_of(self.tokenizer, row.token_ids)
        return Completion(
            text,
            tuple(row.token_ids),
            row.finish,
            fmean(row.logprobs),
            logprobs=tuple(row.logprobs) if self.trains else (),
            confidences=tuple(round(of, 3) for of, _ in row.sureness),
            certainty=fmean(of for _, of in row.sureness) if row.sureness else None,
        )
