"""From a conversation to an answer, for whoever asks: a person in a terminal, a program by HTTP.

The prompt as the model is asked it, one completion as it comes or several, a strategy's vote among
samples, and a text with its thought apart. Leaves out how any of that is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock

from reasonkit import console
from reasonkit.answers.reading import TAGS, THOUGHTS
from reasonkit.config import VoteConfig
from reasonkit.generation.engine import Sampling
from reasonkit.generation.store import Store
from reasonkit.models.resolving import resolve
from reasonkit.plan import filled
from reasonkit.plan.vote import as_learned, settle
from reasonkit.runs import Run
from reasonkit.types import Example, Group, Message
from reasonkit.voting.drawing import Outcome, Poll, Score
from reasonkit.voting.sources import Source, askings, open_source, rules_of
from reasonkit.voting.strategies import STRATEGIES

OPENING, CLOSING = ({tags[i] for tags in THOUGHTS} for i in (0, 1))
MARKS = sorted({*OPENING, *CLOSING, *TAGS}, key=len, reverse=True)
"""Tags that aren't shown."""

AS_ASKED = ("system_prompt", "max_completion_tokens")
"""Settings of a run that its model is asked with."""


@dataclass(frozen=True, slots=True)
class Respondent:
    """A model that answers conversations, here or behind a server.

    Attributes:
        source: gives completions, and holds the settings that they are drawn by.
        system: put before a conversation that has no system prompt; empty for none.
        remembers: whether a question is asked behind the turns before it; a model that has learned
            single questions is asked the last alone.
    """

    source: Source
    system: str
    remembers: bool = True

    def prompt(self, messages: Sequence[Message]) -> Example:
        """A conversation, whose last message asks or begins an answer, as the model is asked it."""
        led = [m for m in messages if m["role"] == "system"]
        said = [m for m in messages if m["role"] != "system"]
        if not led and self.system:
            led = [{"role": "system", "content": self.system}]
        last = 2 if said[-1]["role"] == "assistant" else 1
        return Example("turn", "chat", (*led, *(said if self.remembers else said[-last:])), "")

    def vote(self, example: Example, strategy: str, source: Source | None = None) -> Outcome:
        """What a strategy elects, and from what, by the settings of a source.

        Raises:
            ReasonkitError: of the engine.
        """
        source = source or self.source
        config = dataclasses.replace(source.config, strategy=strategy)
        ways = askings(dataclasses.replace(source, config=config), Store(None, {}))
        assert config.window
        poll = Poll([example], ways, source.score, window=config.window)
        start = partial(STRATEGIES[strategy].procedure, rules_of(config), "asked")
        return poll.carry_out(start)[0]


def open_respondent(config: VoteConfig, system: str | None) -> Respondent:
    """A model that is ready to answer; a run's is asked as its run asked it.

    Args:
        system: its system prompt; by default its own, and none behind a server, which has its own.

    Raises:
        RefusedError: it isn't there, or can't be used.
    """
    remembers, config = True, as_learned(config)
    if not config.endpoint:
        resolved, path = resolve(config.model), Path(config.model)
        if (path / "run.json").exists():
            made = Run(path).config
            config = filled(config, **{name: made[name] for name in AS_ASKED})
        remembers = resolved.entry.source != "packaged"
    asked = system if system is not None else "" if config.endpoint else config.system_prompt
    rest = {"question": "Hello", "system_prompt": asked, "policy": None}
    source = open_source(settle(dataclasses.replace(config, **rest)))  # type: ignore[arg-type]
    kept = dataclasses.replace(source.config, policy=config.policy)
    source = dataclasses.replace(source, config=kept)
    if not remembers:
        console.note(f"{config.model} has learned single questions: each stands for itself")
    if source.score is not None:
        source = dataclasses.replace(source, score=_one_by_one(source.score))
    led = source.config.system_prompt if system is None else system
    return Respondent(source, led or "", remembers)


def _one_by_one(score: Score) -> Score:
    """What ranks completions, for callers of several threads."""
    lock = Lock()

    def scored(group: Group) -> Sequence[float | None]:
        with lock:
            return score(group)

    return scored


def drawn_from(config: VoteConfig, temperature: float | None = None) -> Sampling:
    """How one completion is drawn by the settings of a source."""
    assert config.max_completion_tokens and config.temperature is not None
    heat = config.temperature if temperature is None else temperature
    return Sampling(config.max_completion_tokens, heat, top_p=config.top_p, seed=config.seed)


def unfinished(text: str, marks: Iterable[str]) -> int:
    """Characters at the end of a text that may be the beginning of one of the marks."""
    sizes = (n for mark in marks for n in range(1, len(mark)) if text.endswith(mark[:n]))
    return max(sizes, default=0)


def parted(pieces: Iterable[str]) -> Iterator[tuple[bool, str]]:
    """A text that comes in pieces as (whether it is a thought, text), without the tags."""
    waiting, thinking = "", False
    for piece in pieces:
        waiting += piece
        while found := [mark for mark in MARKS if mark in waiting]:
            mark = min(found, key=waiting.index)
            before, _, waiting = waiting.partition(mark)
            if before:
                yield thinking, before
            thinking = mark in OPENING or (thinking and mark not in CLOSING)
        held = unfinished(waiting, MARKS)
        if told := waiting[: len(waiting) - held]:
            yield thinking, told
        waiting = waiting[len(waiting) - held :]
    if waiting:
        yield thinking, waiting
