"""Searches for a completion step by step, as a verifier scores the steps.

Beam search over steps (Snell et al., arXiv:2408.03314, section 5.2): n beginnings are sampled; the
best of them are kept after every step, and gone on with in several ways each, so that there are n
again. Those that come to an end take their place among the results. Leaves out looking ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from reasonkit.generation.drafts import Draft, continued
from reasonkit.generation.engine import Sampling, TokenSampler, seed_of
from reasonkit.models.chat import encode_prompts
from reasonkit.types import Completion, Example, Group

MOST_STEPS = 64
"""A search that isn't over by then gives what it has."""


@dataclass(slots=True)
class _Search:
    """The search for one question.

    Attributes:
        live: beginnings that go on, best first.
        over: those that have come to an end in this step.
        done: those that are results.
        sampled: tokens in all, dropped beams included.
    """

    example: Example
    opened: str
    live: list[Draft]
    over: list[Draft] = field(default_factory=list)
    done: list[Draft] = field(default_factory=list)
    sampled: int = 0


class BeamEngine:
    """Samples completions whose steps a verifier has chosen.

    Args:
        engine: samples.
        score: of each completion of a group, finished or not; None where it can't tell.
        width: in how many ways each beginning that is kept goes on.
        ends: texts that end a step.
    """

    def __init__(
        self,
        engine: TokenSampler,
        score: Callable[[Group], Sequence[float | None]],
        width: int,
        ends: Sequence[str],
    ) -> None:
        self.engine = engine
        self.score = score
        self.width = width
        self.ends = tuple(ends)

    def gives_logprobs(self) -> bool:
        """Always."""
        return True

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example.

        The tokens of all that was sampled for it, dropped beams included, are shared out among
        its completions.
        """
        prompts, opened = encode_prompts(self.engine.tokenizer, examples)
        searches = [
            _Search(example, open, [Draft(prompt)])
            for example, prompt, open in zip(examples, prompts, opened, strict=True)
        ]
        for step in range(MOST_STEPS):
            going = [search for search in searches if search.live and len(search.done) < n]
            if not going:
                break
            self._step(going, n, replace(sampling, stop=self.ends), step)
        for search in searches:
            yield Group(search.example, _completions(search, n))

    def _step(self, searches: Sequence[_Search], n: int, sampling: Sampling, step: int) -> None:
        """Goes on with every live beam, by one step, in as many ways as there is place for."""
        begun = [(search, beam) for search in searches for beam in search.live]
        seeds = [
            seed_of(sampling.seed, search.example.task, search.example.id, step, number)
            for number, (search, _) in enumerate(begun)
        ]
        for search in searches:
            search.live = []
        ways, beams = self.width if step else n, [beam for _, beam in begun]
        for i, made in continued(self.engine, beams, ways, sampling, seeds):
            search, beam = begun[i]
            for completion in made:
                search.sampled += completion.tokens
                tokens = beam.tokens + completion.tokens
                stopped = any(end in completion.text for end in self.ends)
                ended = completion.finish_reason == "stop" and not stopped
                full = completion.finish_reason == "length" or tokens >= sampling.max_tokens
                draft = beam.grown(completion, ended and tokens <= sampling.max_tokens)
                (search.over if draft.ended or full else search.live).append(draft)
        for search in searches:
            search.done += search.over[: n - len(search.done)]
            search.over = []
            search.live = self._best(search, n - len(search.done))

    def _best(self, search: _Search, places: int) -> list[Draft]:
        """The beams that are gone on with so that ``places`` are filled."""
        partial = [beam.completion(search.opened, beam.tokens) for beam in search.live]
        scores = self.score(Group(search.example, partial)) if partial else []
        ranked = sorted(
            zip(search.live, scores, strict=True),
            key=lambda pair: -float("inf") if pair[1] is None else pair[1],
            reverse=True,
        )
        return [beam for beam, _ in ranked[: -(-places // self.width)]]


def _completions(search: _Search, n: int) -> list[Completion]:
    """The search's results: those that ended, then the best that didn't; n of them."""
    found = (search.done + search.live)[:n] or [Draft([])]
    found += [found[-1]] * (n - len(found))
    share, rest = divmod(search.sampled, n)
    return [
        beam.completion(search.opened, share + (place < rest)) for place, beam in enumerate(found)
    ]
