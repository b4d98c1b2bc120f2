"""Searches for a completion step by step, as a verifier scores the steps.

Beam search over steps (Snell et al., arXiv:2408.03314, section 5.2): n beginnings are sampled; the
best of them are kept after every step, and gone on with in several ways each, so that there are n
again. Those that come to an end take their place among the results. Diverse verifier tree search
(DVTS, Beeching et al., Scaling test-time compute with open models, 2024) does so in several small
trees that know nothing of each other. REBASE (Wu et al., arXiv:2408.00724, section 3.2) keeps every
beginning that earns a way on, in so many ways as its share of the softmax of the scores. Leaves out
looking ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

import numpy as np
import numpy.typing as npt

from reasonkit.generation.drafts import Draft, continued, ends_step
from reasonkit.generation.engine import Sampling, TokenSampler, seed_of
from reasonkit.models.chat import encode_prompts
from reasonkit.types import Completion, Example, Group

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_STEPS = 64
"""A search that isn't over by then gives what it has."""

SHARPNESS = 0.2
"""Temperature of REBASE's softmax of scores between 0 and 1 (its section 4.1)."""

Kind = Literal["beam", "dvts", "rebase"]


@dataclass(slots=True)
class _Search:
    """The search for one question, or one of its trees.

    Attributes:
        tree: its number among those of the question.
        places: completions that it is for.
        live: beginnings that go on, best first, and in how many ways each does.
        over: those that have come to an end in this step.
        done: those that are results.
        sampled: tokens in all, dropped beams included.
    """

    example: Example
    opened: str
    tree: int
    places: int
    live: list[tuple[Draft, int]]
    over: list[Draft] = field(default_factory=list)
    done: list[Draft] = field(default_factory=list)
    sampled: int = 0


class BeamEngine:
    """Samples completions whose steps a verifier has chosen.

    Args:
        engine: samples.
        score: of each completion of a group, finished or not; None where it can't tell.
        width: in how many ways each beginning that is kept goes on; of DVTS the size of a tree.
        ends: texts that end a step.
        kind: of search.
    """

    def __init__(
        self,
        engine: TokenSampler,
        score: Callable[[Group], Sequence[float | None]],
        width: int,
        ends: Sequence[str],
        kind: Kind = "beam",
    ) -> None:
        self.engine = engine
        self.score = score
        self.width = width
        self.ends = tuple(ends)
        self.kind = kind

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example.

        The tokens of all that was sampled for it, dropped beams included, are shared out among
        its completions.
        """
        prompts, opened = encode_prompts(self.engine.tokenizer, examples)
        size = min(self.width, n) if self.kind == "dvts" else n
        trees = [size] * (n // size) + ([n % size] if n % size else [])
        searches = [
            _Search(example, open, tree, places, [(Draft(prompt), places)])
            for example, prompt, open in zip(examples, prompts, opened, strict=True)
            for tree, places in enumerate(trees)
        ]
        for step in range(MOST_STEPS):
            going = [search for search in searches if search.live]
            if not going:
                break
            self._step(going, replace(sampling, stop=self.ends), step)
        for i, example in enumerate(examples):
            own = searches[i * len(trees) : (i + 1) * len(trees)]
            yield Group(example, [found for search in own for found in _completions(search)])

    def _step(self, searches: Sequence[_Search], sampling: Sampling, step: int) -> None:
        """Goes on with every live beam, by one step."""
        begun = [(search, *live) for search in searches for live in search.live]
        for search in searches:
            search.live = []
        begun.sort(key=lambda one: one[2])
        for ways, several in groupby(enumerate(begun), key=lambda one: one[1][2]):
            self._continue([(n, *one[:2]) for n, one in several], ways, sampling, step)
        for search in searches:
            search.done += search.over[: search.places - len(search.done)]
            search.over = []
            search.live = self._kept(search)

    def _continue(
        self,
        begun: Sequence[tuple[int, _Search, Draft]],
        ways: int,
        sampling: Sampling,
        step: int,
    ) -> None:
        """Goes on with beams that have the same number of ways."""
        seeds = [
            seed_of(sampling.seed, s.example.task, s.example.id, s.tree, step, number)
            for number, s, _ in begun
        ]
        beams = [beam for *_, beam in begun]
        for i, made in continued(self.engine, beams, ways, sampling, seeds):
            _, search, beam = begun[i]
            for completion in made:
                search.sampled += completion.tokens
                tokens = beam.tokens + completion.tokens
                stopped = ends_step(completion.text, self.ends)
                ended = completion.finish_reason == "stop" and not stopped
                full = completion.finish_reason == "length" or tokens >= sampling.max_tokens
                draft = beam.grown(completion, ended and tokens <= sampling.max_tokens)
                if draft.ended or full:
                    search.over.append(draft)
                else:
                    search.live.append((draft, 1))

    def _kept(self, search: _Search) -> list[tuple[Draft, int]]:
        """The beams that are gone on with so that all places are filled, and in how many ways."""
        places = search.places - len(search.done)
        beams = [beam for beam, _ in search.live]
        partial = [beam.completion(search.opened, beam.tokens) for beam in beams]
        given = self.score(Group(search.example, partial)) if partial and places else []
        scores = np.array([-np.inf if score is None else score for score in given])
        order = np.argsort(-scores, kind="stable")
        if self.kind == "rebase":
            ways = shares(scores, places)
            return [(beams[i], int(ways[i])) for i in order if ways[i]]
        return [(beams[i], self.width) for i in order[: -(-places // self.width)]]


def shares(scores: Floats, places: int) -> Ints:
    """So many places shared out by the softmax of scores, the largest remainders rounded up.

    All alike where no score is known.
    """
    if not len(scores) or not places:
        return np.zeros(len(scores), dtype=np.int64)
    known = np.isfinite(scores)
    weights = np.ones(len(scores))
    if known.any():
        weights = np.exp((scores - scores[known].max()) / SHARPNESS)
    exact = places * weights / weights.sum()
    whole: Ints = np.floor(exact).astype(np.int64)
    rest = np.argsort(whole - exact, kind="stable")[: places - int(whole.sum())]
    whole[rest] += 1
    return whole


def _completions(search: _Search) -> list[Completion]:
    """The search's results: those that ended, then the best that didn't."""
    n = search.places
    found = (search.done + [beam for beam, _ in search.live])[:n] or [Draft([])]
    found += [found[-1]] * (n - len(found))
    share, rest = divmod(search.sampled, n)
    return [
        beam.completion(search.opened, share + (place < rest)) for place, beam in enumerate(found)
    ]
