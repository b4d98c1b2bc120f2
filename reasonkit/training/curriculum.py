"""A curriculum by observed pass rate: prompts that are sometimes solved are drawn more often.

A group teaches nothing where all its completions are right or all are wrong; the variance of a
right-or-wrong reward, p (1 - p), says how much it can teach. A prompt that was seen has its own
last pass rate; one that was not has the running mean of prompts of like length. Leaves out any
measure of difficulty that is given from outside, and dropping prompts
(`reasonkit.training.dynamic_sampling`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from reasonkit.types import Example

BUCKETS = 8
"""Prompts are sorted by length into this many parts of equal size."""

MEMORY = 0.8
"""How much of a bucket's running mean is kept when a new pass rate comes in."""

UNKNOWN = 0.5
FLOOR = 0.02
"""Added to p (1 - p), so that no prompt is lost for good."""


class Curriculum:
    """Draws prompts, given what was observed.

    Its state is the observations alone, in order, so that a resumed run rebuilds it from its log.

    Args:
        examples: the training split.
        seed: of the drawing.
    """

    def __init__(self, examples: Sequence[Example], seed: int) -> None:
        self.examples = list(examples)
        self.seed = seed
        by_length = sorted(self.examples, key=lambda e: (len(e.question), e.id))
        size = -(-len(by_length) // BUCKETS)
        self._bucket = {e.id: place // size for place, e in enumerate(by_length)}
        self._mean = [UNKNOWN] * BUCKETS
        self._own: dict[str, float] = {}

    def observe(self, pass_rates: Mapping[str, float]) -> None:
        """Takes in the share of right completions of each prompt of a step, by example id."""
        for id, rate in pass_rates.items():
            bucket = self._bucket[id]
            self._mean[bucket] = MEMORY * self._mean[bucket] + (1 - MEMORY) * rate
            self._own[id] = rate

    def weight(self, example: Example) -> float:
        """How likely a prompt is drawn, beside the others."""
        rate = self._own.get(example.id, self._mean[self._bucket[example.id]])
        return rate * (1 - rate) + FLOOR

    def draw(self, step: int, count: int) -> list[Example]:
        """The prompts of a step, without repetition where there are enough of them."""
        rng = random.Random(f"curriculum {self.seed} {step}")
        # Efraimidis and Spirakis (2006): the largest u^(1/w) are a weighted sample without
        # replacement.
        keyed = sorted(
            self.examples, key=lambda e: rng.random() ** (1 / self.weight(e)), reverse=True
        )
        return [keyed[i % len(keyed)] for i in range(count)]
