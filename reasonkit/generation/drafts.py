"""Completions that are written piece by piece, as searches and budgets need it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reasonkit.generation.engine import Sampling, TokenSampler
from reasonkit.types import Completion


@dataclass(frozen=True, slots=True)
class Draft:
    """A completion in the making; ``logprob`` is the sum over its sampled tokens."""

    prompt: list[int]
    text: str = ""
    tokens: int = 0
    logprob: float = 0.0
    ended: bool = False

    def grown(self, made: Completion, ended: bool) -> Draft:
        """With what was sampled next."""
        return replace(
            self,
            text=self.text + made.text,
            tokens=self.tokens + made.tokens,
            logprob=self.logprob + (made.mean_logprob or 0.0) * made.tokens,
            ended=ended,
        )

    def completion(self, opened: str, count: int) -> Completion:
        """The completion; ``count`` tokens were sampled for it, dropped ones included."""
        finish, mean = "stop" if self.ended else "length", self.logprob / max(1, self.tokens)
        return Completion(opened + self.text, (), finish, mean, count)  # type: ignore[arg-type]


def continued(
    engine: TokenSampler, drafts: Sequence[Draft], n: int, sampling: Sampling, seeds: Sequence[int]
) -> Iterator[tuple[int, list[Completion]]]:
    """Each draft's number with ``n`` ways in which the model goes on with it."""
    read = engine.tokenizer
    ids = [d.prompt + read(d.text, add_special_tokens=False).input_ids for d in drafts]
    yield from engine.sample_ids(ids, n, sampling, seeds)
