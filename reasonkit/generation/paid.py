"""Engines whose samples cost money, and those among them that are behind a server.

Leaves out what asks a server: `reasonkit.generation.endpoint`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from reasonkit.generation.engine import Engine, Sampling
from reasonkit.types import Completion, Example, Weighing


@dataclass(frozen=True, slots=True)
class Wish:
    """Samples that are wanted of an example, by number; of at most ``most`` tokens, if any."""

    example: Example
    places: Sequence[int]
    most: int | None = None


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


class ServerEngine(PaidEngine, Protocol):
    """An engine behind a server, which says what it can do; that it can't is a `RefusedError`."""

    @property
    def model(self) -> str:
        """The model's name, as the server calls it."""

    @property
    def tells(self) -> frozenset[Weighing]:
        """As of `TokenEngine`."""

    def require(self, sampling: Sampling) -> None:
        """Asks the server, the first time, whether it samples so, and refuses where it doesn't."""

    def takes(self, sampling: Sampling) -> bool:
        """Whether the server samples so."""

    def asked_by(self, gone: threading.Event, extra: Mapping[str, Any]) -> ServerEngine:
        """The same for one caller, with fields of its own, asked no further once it has gone."""

    def require_continuing(self) -> None:
        """Refuses a server that doesn't go on with what an assistant's last message begins."""

    def counts_prompt_tokens(self, example: Example) -> bool:
        """Whether the server tells how many tokens a prompt has."""

    def prompt_tokens(self, examples: Sequence[Example]) -> list[int]:
        """How many tokens each prompt has; a server that doesn't tell is refused."""
