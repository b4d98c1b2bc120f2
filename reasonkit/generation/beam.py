"""Searches for a completion step by step, as a verifier scores the steps.

Beam search over steps (Snell et al., arXiv:2408.03314, section 5.2): n beginnings are sampled; the
best of them are kept after every step, and gone on with in several ways each, so that there are n
again. Those that come to an end take their place among the results. Leaves out looking ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from reasonkit.generation import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.local.drawing import seed_of
from reasonkit.models.chat import encode_prompts
from reasonkit.types import Completion, Example, Group

MOST_STEPS = 64
"""A search that isn't over by then gives what it has."""


@dataclass(frozen=True, slots=True)
class _Beam:
    """A completion that is being written: its text, tokens, and their log-probabilities' sum.

    Attributes:
        ended: by itself.
        full: whether there is no room for more.
    """

    text: str = ""
    tokens: int = 0
    logprob: float = 0.0
    ended: bool = False
    full: bool = False


@dataclass(slots=True)
class _Search:
    """The search for one question.

    Attributes:
        live: beginnings that go on, best first.
        done: those that came to an end.
        sampled: tokens in all, dropped beams included.
    """

    example: Example
    prompt: list[int]
    opened: str
    live: list[_Beam] = field(default_factory=lambda: [_Beam()])
    done: list[_Beam] = field(default_factory=list)
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
        engine: LocalEngine,
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
        searches = [_Search(*each) for each in zip(examples, prompts, opened, strict=True)]
        for step in range(MOST_STEPS):
            going = [search for search in searches if search.live and len(search.done) < n]
            if not going:
                break
            self._step(going, n, replace(sampling, stop=self.ends), step)
            for search in going:
                self._prune(search, n)
        for search in searches:
            yield Group(search.example, _completions(search, n))

    def _step(self, searches: Sequence[_Search], n: int, sampling: Sampling, step: int) -> None:
        """Goes on with every live beam, by one step, in as many ways as there is place for."""
        tokenizer = self.engine.tokenizer
        begun = [(search, beam) for search in searches for beam in search.live]
        ids = [
            search.prompt + tokenizer(beam.text, add_special_tokens=False).input_ids
            for search, beam in begun
        ]
        seeds = [
            seed_of(sampling.seed, search.example.task, search.example.id, step, number)
            for number, (search, _) in enumerate(begun)
        ]
        ways = self.width if step else n
        for search in searches:
            search.live = []
        for i, made in self.engine.sample_ids(ids, ways, sampling, seeds):
            search, beam = begun[i]
            for completion in made:
                search.sampled += completion.tokens
                search.live.append(self._grown(beam, completion, sampling.max_tokens))

    def _grown(self, beam: _Beam, made: Completion, limit: int) -> _Beam:
        ended = made.finish_reason == "stop" and not any(end in made.text for end in self.ends)
        tokens = beam.tokens + made.tokens
        return _Beam(
            beam.text + made.text,
            tokens,
            beam.logprob + (made.mean_logprob or 0.0) * made.tokens,
            ended and tokens <= limit,
            made.finish_reason == "length" or tokens >= limit,
        )

    def _prune(self, search: _Search, n: int) -> None:
        """Puts aside what has ended or is too long, and keeps the best of the rest."""
        over = [beam for beam in search.live if beam.ended or beam.full]
        search.done += over[: n - len(search.done)]
        going = [beam for beam in search.live if beam not in over]
        places = n - len(search.done)
        partial = [Completion(search.opened + beam.text, (), "length") for beam in going]
        scores = self.score(Group(search.example, partial)) if partial else []
        ranked = sorted(
            zip(going, scores, strict=True),
            key=lambda pair: -float("inf") if pair[1] is None else pair[1],
            reverse=True,
        )
        search.live = [beam for beam, _ in ranked[: -(-places // self.width)]]


def _completions(search: _Search, n: int) -> list[Completion]:
    """The search's results: those that ended, then the best that didn't; n of them."""
    found = (search.done + search.live)[:n] or [_Beam()]
    found += [found[-1]] * (n - len(found))
    share, rest = divmod(search.sampled, n)
    return [
        Completion(
            text=search.opened + beam.text,
            token_ids=(),
            finish_reason="stop" if beam.ended else "length",
            mean_logprob=beam.logprob / max(1, beam.tokens),
            count=share + (place < rest),
        )
        for place, beam in enumerate(found)
    ]
