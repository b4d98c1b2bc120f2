"""Engines that sample completions, behind one protocol.

An engine's ``sample(examples, n, sampling)`` yields a `Group` for each example as soon as it is
finished, in an order of the engine's choosing; close the iterator to stop early. The same call
gives the same completions. What costs money promises no such thing (`PaidEngine`):
`reasonkit.generation.pool` keeps what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from reasonkit.types import Completion, Example, Group


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn, as transformers defines it.

    ``temperature`` 0 is greedy decoding, ``top_k`` 0 keeps all tokens, and strings of ``stop``,
    which end a completion, stay part of it.
    """

    max_tokens: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()


class Engine(Protocol):
    """What samples completions."""

    def gives_logprobs(self) -> bool:
        """Whether completions come with a mean log-probability, the confidence of a vote.

        Raises:
            ReasonkitError: it takes a server to tell, and that can't be asked.
        """
        ...

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """Samples that are wanted of an example, by number."""

    example: Example
    places: Sequence[int]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample: the completion that takes a place of an example."""

    example: Example
    place: int
    completion: Completion


@runtime_checkable
class PaidEngine(Engine, Protocol):
    """An engine whose samples come one by one, cost money and can't be drawn a second time."""

    def draw(
        self, wishes: Iterable[Wish], sampling: Sampling, keep: Callable[[Drawn], None]
    ) -> Iterator[Drawn]:
        """Yields every sample that is wished for, in the order in which they arrive.

        Args:
            keep: called with each sample the moment it arrives, from one thread at a time, also
                while nothing is taken from the iterator and after another sample has failed.
        """
        ...
