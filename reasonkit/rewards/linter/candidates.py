"""The completions that are put before a reward: honest ones, attacks, and what nobody can see."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reasonkit.rewards.linter.attacks import ATTACKS, BLIND_SPOTS, NUMBER, OPTION, Attack
from reasonkit.rewards.linter.solutions import solutions
from reasonkit.types import Completion, Example

LOGPROB = -0.5
"""Mean log-probability of every completion, in nats: what a policy thinks of it isn't known."""

_PIECE = re.compile(r"\s?\w{1,5}|\s?[^\w\s]|\s")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A completion, and what it is.

    Attributes:
        right: whether its answer is the reference answer.
        style: the name of an honest solution's style.
        attack: what it comes from, unless it is honest.
    """

    completion: Completion
    right: bool
    style: str = ""
    attack: Attack | None = None

    @property
    def name(self) -> str:
        """As in what the linter prints."""
        return self.attack.name if self.attack else "an honest wrong answer"

    @property
    def odd(self) -> bool:
        """Whether its text may be no text."""
        return self.attack is not None and self.attack.odd


def candidates(example: Example, *, first: bool) -> list[Candidate]:
    """All completions for an example, the honest ones in front; the first one's slow ones too."""
    honest = [
        Candidate(completion(text), right, style) for style, text, right in solutions(example)
    ]
    attacks = [
        Candidate(completion(text), attack.right, attack=attack)
        for attack in (*BLIND_SPOTS, *ATTACKS)
        if first or not attack.once
        for text in attack.texts(example)
    ]
    return [*honest, *attacks]


def completion(text: Any) -> Completion:
    """A finished completion; its tokens are words, cut after five letters."""
    pieces = _PIECE.findall(text) if isinstance(text, str) else []
    return Completion(text, tuple(map(_token, pieces)), "stop", LOGPROB)


@lru_cache(maxsize=1024)
def _token(piece: str) -> int:
    return zlib.crc32(piece.encode("utf-8", "replace")) % 50_000


def choose(examples: Sequence[Example], count: int) -> list[Example]:
    """Examples spread over the sequence, without those that an attack would solve by luck."""
    fair = [example for example in examples if not _is_lucky(example)] or list(examples)
    step = max(1, len(fair) // count)
    return fair[::step][:count]


def _is_lucky(example: Example) -> bool:
    """Whether the reference answer stands where whoever echoes the question ends or begins."""
    reference = example.answer.strip().strip("()")
    found = [pattern.findall(example.question) for pattern in (NUMBER, OPTION)]
    return any(reference in numbers[:1] + numbers[-1:] for numbers in found)
