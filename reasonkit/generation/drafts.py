"""Completions that are written piece by piece, as searches and budgets need it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reasonkit.generation.engine import Sampling, TokenSampler
from reasonkit.types import Completion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Draft:
    """A completion in the making; ``logprob`` is the sum over its sampled tokens, NaN
    where a server tells none."""

    prompt: list[int]
    text: str = ""
    tokens: int = 0
    logprob: float = 0.0
    ended: bool = False

    def grown(self, made: Completion, ended: bool) -> Draft:
        """With what was sampled next."""
        mean = math.nan if made.mean_logprob is None else made.mean_logprob
        return replace(
            self,
            text=self.text + made.text,
            tokens=self.tokens + made.tokens,
            logprob=self.logprob + mean * made.tokens,
            ended=ended,
        )

    def completion(self, opened: str, count: int) -> Completion:
        """The completion; ``count`` tokens were sampled for it, dropped ones included."""
        finish, mean = "stop" if self.ended else "length", self.logprob / max(1, self.tokens)
        told = None if math.isnan(mean) else mean
        return Completion(opened + self.text, (), finish, told, count)  # type: ignore[arg-type]


def ends_step(text: str, ends: Sequence[str]) -> bool:
    """Whether what was written since the last step holds one of the texts that end one."""
    return any(end in text for end in ends)


def step_ends(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], ends: Sequence[str]
) -> list[int]:
    """The places of the tokens that end a step of a completion; the last one always does."""
    places, text = [], ""
    for place, id in enumerate(ids):
        text += _piece(tokenizer, id)
        if ends_step(text, ends) or place == len(ids) - 1:
            places.append(place)
            text = ""
    return places


@functools.lru_cache(maxsize=1 << 18)
def _piece(tokenizer: PreTrainedTokenizerBase, id: int) -> str:
    return str(tokenizer.decode([id]))


def continued(
    engine: TokenSampler, drafts: Sequence[Draft], n: int, sampling: Sampling, seeds: Sequence[int]
) -> Iterator[tuple[int, list[Completion]]]:
    """Each draft's number with ``n`` ways in which the model goes on with it."""
    read = engine.tokenizer
    ids = [d.prompt + read(d.text, add_special_tokens=False).input_ids for d in drafts]
    yield from engine.sample_ids(ids, n, sampling, seeds)
