"""Batches that go on for as long as prompts come: one for each way of sampling, step by step.

What waits is let in within a few steps, beside what runs, and rows that end make room at once.
Few ways are under way at a time, since each has memory of its own; others wait for one to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from reasonkit.generation.engine import Sampling
from reasonkit.generation.local.batch import Batch, Prompt, Row
from reasonkit.generation.together import Request
from reasonkit.types import Completion

GATHER = 4
"""Steps in which prompts gather beside rows that run: each time they are read costs a pass."""

WAYS = 4
"""Ways of sampling under way at once, at most."""


class LocalFlow:
    """A `reasonkit.generation.together.Flow` of our own sampler.

    Args:
        make: a batch for a way of sampling, in which the token limit is ``longest``.
        ways: that there is memory for.
    """

    def __init__(
        self,
        make: Callable[[Sampling], Batch],
        completion: Callable[[Row], Completion],
        longest: int,
        ways: int,
    ) -> None:
        self.make, self.completion = make, completion
        self.longest, self.ways = longest, min(ways, WAYS)
        self.steps = 0
        self.batches: dict[Sampling, Batch] = {}
        self.waiting: dict[int, tuple[Sampling, Prompt]] = {}

    def add(self, number: int, asked: Request) -> None:
        """As of `Flow`."""
        way = replace(asked.sampling, max_tokens=self.longest, seed=0)
        most = asked.sampling.max_tokens
        self.waiting[number] = way, Prompt(asked.ids, asked.seed, asked.n, most, asked.floor)

    def step(self) -> Iterator[tuple[int, list[Completion]]]:
        """As of `Flow`."""
        self.steps += 1
        running = any(batch.is_busy for batch in self.batches.values())
        gathers = running and self.steps % GATHER
        for number, (way, prompt) in () if gathers else [*self.waiting.items()]:
            if batch := self._batch(way):
                del self.waiting[number]
                batch.add(number, prompt)
        for batch in [*self.batches.values()]:
            if batch.is_busy:
                for number, rows in batch.step():
                    yield number, [self.completion(row) for row in rows]

    def drawn(self, number: int) -> list[int]:
        """As of `Flow`."""
        held = (batch for batch in self.batches.values() if number in batch.prompts)
        batch = next(held, None)
        return batch.drawn(number) if batch else []

    def drop(self, number: int) -> None:
        """As of `Flow`."""
        self.waiting.pop(number, None)
        for batch in self.batches.values():
            batch.drop(number)

    def _batch(self, way: Sampling) -> Batch | None:
        """The batch of a way; None while others take all the room there is."""
        if way not in self.batches:
            if len(self.batches) >= self.ways:
                idle = next((w for w, batch in self.batches.items() if not batch.is_busy), None)
                if idle is None:
                    return None
                del self.batches[idle]
            self.batches[way] = self.make(way)
        return self.batches[way]
