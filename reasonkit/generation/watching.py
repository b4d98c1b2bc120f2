"""Stops completions as soon as they lose confidence: DeepConf, online.

Some completions of a question are sampled in full; of how sure each is where it is least sure, its
lowest group confidence, a low percentile is the question's floor. Any further one is stopped where
its group confidence falls below (Fu et al., arXiv:2508.15260, section 3.3), and what was below at
some place has no vote. Leaves out stopping once the votes agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reasonkit.generation.engine import Engine, Floor, Sampling, TokenSampler, seed_of
from reasonkit.models.chat import encode_prompts
from reasonkit.types import Completion, Example, Group

WARM_UP = 0.25
"""The share of a question's completions that set its floor."""

KEPT = 90
"""Percent of those that are as sure as the floor: the paper's DeepConf-high."""


def group_confidences(confidences: Sequence[float], window: int) -> npt.NDArray[np.float64]:
    """The mean confidence of each window of so many tokens; a shorter completion is one window."""
    width = min(window, len(confidences))
    sums = np.cumsum([0.0, *confidences])
    means: npt.NDArray[np.float64] = (sums[width:] - sums[:-width]) / width
    return means


def warm_up(n: int) -> int:
    """How many of so many completions of a question set its floor."""
    return max(1, round(WARM_UP * n))


@dataclass(frozen=True, slots=True)
class WatchingEngine:
    """Gives completions that were as sure as the floor throughout; the others' text is empty.

    Attributes:
        drawing: gives those that set it, drawn as ``drawn`` says; what it has given it gives again.
        engine: samples the others, and tells of each token how sure it is.
        window: tokens whose confidence is looked at together.
    """

    drawing: Engine
    engine: TokenSampler
    window: int
    drawn: Sampling

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example; a stopped one has the tokens so far."""
        full = warm_up(n)
        warm = {
            g.example.id: g.completions for g in self.drawing.sample(examples, full, self.drawn)
        }
        lows = ([self._lowest(c) for c in warm[example.id]] for example in examples)
        floors = [float(np.percentile(low, 100 - KEPT)) for low in lows]
        prompts, opened = encode_prompts(self.engine.tokenizer, examples)
        seeds = [seed_of(sampling.seed, e.task, e.id, "watched") for e in examples]
        watched = [Floor(floor, self.window) for floor in floors]
        left = self.engine.sample_ids(prompts, n - full, sampling, seeds, watched)
        made = left if n > full else ((i, []) for i in range(len(examples)))
        for i, more in made:
            more = [replace(completion, text=opened[i] + completion.text) for completion in more]
            both = [*warm[examples[i].id], *more]
            told = [c if self._lowest(c) >= floors[i] else replace(c, text="") for c in both]
            yield Group(examples[i], told)

    def _lowest(self, completion: Completion) -> float:
        known = completion.confidences
        return float(group_confidences(known, self.window).min()) if known else math.inf
