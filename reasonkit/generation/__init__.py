"""Engines that sample completions, behind one protocol.

An engine's ``sample(examples, n, sampling)`` yields a `Group` for each example as soon as it is
finished, in an order of the engine's choosing. Work is cut into blocks that depend on the arguments
alone and each block has its own seed, so that the same call gives the same completions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from reasonkit.types import Example, Group


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn, as transformers defines it.

    Attributes:
        max_tokens: at most this many tokens a completion.
        temperature: 0 is greedy decoding.
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the likeliest tokens that sum to p.
        min_p: drop tokens less likely than this share of the likeliest.
        seed: of the drawing.
    """

    max_tokens: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0


class Engine(Protocol):
    """What samples completions."""

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example."""
        ...
