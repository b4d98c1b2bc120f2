"""The nouns that every room shares. No torch."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from statistics import fmean
from typing import Any, Literal

Message = dict[str, str]
"""A chat message: ``{"role": "user" | "system" | "assistant", "content": text}``."""

LIKELIEST = 20
"""Tokens that a confidence looks at: as many as servers give, as the paper has it."""

FinishReason = Literal["stop", "length", "failed"]
Weighing = Literal["confidence", "scores", "steady", "certainty"]
"""What votes may weigh, each an array of `reasonkit.voting.ballots.Ballots`."""

Claim = Literal["correctness", "form", "shaping"]
"""What a reward claims to pay for: being right, the shape of the text, or neither."""

Scores = dict[str, list[float | None]]
"""Reward name → one value a completion of a group; None where there is no verdict."""


Part = enum.StrEnum("Part", ["all", "sft", "rl"])
"""Which of a task's train questions are used: all, or one of two disjoint halves."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question of a task.

    Attributes:
        id: stable across runs and machines; unique within a task.
        task: the name of the task that it belongs to.
        messages: the prompt, as chat messages.
        answer: the reference answer; where a program is asked for, one that is right, or nothing.
        tests: what tells if a program is right, as of `reasonkit.sandbox.run_tests`: objects with
            ``input`` and ``output``, or Python source. Empty where no program is asked for.
        entry_point: the function that the tests call; None where a program reads standard input, or
            where the tests call functions by their names.
        setup: Python that runs before a program: what the question shows of imports and functions.
        where: ``file:line`` or the like of the row that it was read from, for messages; empty where
            there is none.
        thinks: whether a chat template or a server that has a switch for thoughts is told to think,
            or not to; None leaves it as it is.
    """

    id: str
    task: str
    messages: tuple[Message, ...]
    answer: str
    tests: tuple[Mapping[str, Any], ...] | str = ()
    entry_point: str | None = None
    setup: str = ""
    where: str = field(default="", compare=False)
    thinks: bool | None = field(default=None, compare=False)

    @property
    def question(self) -> str:
        """The text of the last user message."""
        return next(m["content"] for m in reversed(self.messages) if m["role"] == "user")


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer.

    Attributes:
        text: decoded, with a thinking prefix that the prompt already opened put back in front.
        token_ids: as sampled, the end-of-sequence token included where there was one; empty where
            the engine knows only their number.
        finish_reason: ``stop`` (the model ended it), ``length`` (it was cut off) or ``failed`` (a
            server gave none: its text is empty, and it counts as one without an answer).
        mean_logprob: mean log-probability of its tokens, in nats; None where the engine can't tell.
        count: how many tokens were sampled, where their ids aren't known.
        failure: why there is none: a word for the kind, a colon, what was said; else empty.
        logprobs: of each token, in nats, under the arithmetic and the temperature that drew it;
            empty where the engine wasn't opened to train.
        confidences: how sure the model was of each token: minus the mean log-probability of the
            `LIKELIEST` tokens in its place, in nats, before temperature (Fu et al.,
            arXiv:2508.15260, equation 2). Empty where the engine wasn't asked or can't tell.
        certainty: how far its distributions are from knowing nothing, in the mean over its tokens:
            the divergence KL(uniform || model) over the vocabulary, in nats (Kang et al.,
            arXiv:2502.18581). None where the engine wasn't asked or can't tell.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    mean_logprob: float | None = None
    count: int | None = None
    failure: str = ""
    logprobs: tuple[float, ...] = field(default=(), compare=False, repr=False)
    confidences: tuple[float, ...] = field(default=(), compare=False, repr=False)
    certainty: float | None = field(default=None, compare=False)

    @property
    def tokens(self) -> int:
        """Number of tokens sampled."""
        return len(self.token_ids) if self.count is None else self.count


def token_confidence(logprobs: Iterable[float]) -> float:
    """As `Completion.confidences` has it, from log-probabilities with the likeliest among them."""
    return round(-fmean(nlargest(LIKELIEST, logprobs)), 3)


@dataclass(frozen=True, slots=True)
class Group:
    """An example with the completions that were sampled for it."""

    example: Example
    completions: Sequence[Completion]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What `reasonkit.judging` makes of a completion.

    Attributes:
        thought: what it thinks, without the tags; None where it doesn't.
        answer: what it says behind the thought; None while it is still thinking.
        extracted: its final answer, or its program; None where there is none.
        right: None, no verdict, where none was asked for or the reference has no value.
        why: what was taken for the answer, and how it compared.
    """

    thought: str | None
    answer: str | None
    extracted: str | None
    right: bool | None
    why: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A completion with its total reward and each reward by name; None where no verdict was.

    ``right`` is what `Guard.right` makes of it; None where that wasn't asked.
    """

    question: str
    text: str
    total: float | None
    rewards: Mapping[str, float | None]
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """A teacher's accepted completion of an example: the one at a place of a group."""

    group: Group
    place: int = 0

    @property
    def example(self) -> Example:
        """What it is a completion of."""
        return self.group.example

    @property
    def completion(self) -> Completion:
        """The completion, looked up; those of a long run are on disk."""
        return self.group.completions[self.place]
