"""The completions that are put before a reward: honest ones, attacks, and what nobody can see."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reasonkit.rewards.linter.attacks import ATTACKS, BLIND_SPOTS, Attack
from reasonkit.rewards.linter.solutions import Solution, solutions
from reasonkit.types import Completion, Example

LOGPROB = -0.5
"""Mean log-probability of every completion, in nats: what a policy thinks of it isn't known."""

_PIECE = re.compile(r"\s?\w{1,5}|\s?[^\w\s]|\s")
_OPTION = re.compile(r"(?<!\w)\(?([A-J])[).:]")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A completion, and what it is.

    Attributes:
        completion: its text may be no text, from an attack that is odd.
        source: the honest solution or the attack that it comes from.
        blind: whether the attack is one of `BLIND_SPOTS`.
    """

    completion: Completion
    source: Solution | Attack
    blind: bool = False

    @property
    def solution(self) -> Solution | None:
        """The honest solution that it is."""
        return self.source if isinstance(self.source, Solution) else None

    @property
    def attack(self) -> Attack | None:
        """The attack that it is; None for a blind spot too."""
        return self.source if isinstance(self.source, Attack) and not self.blind else None


def candidates(example: Example, *, first: bool) -> list[Candidate]:
    """All completions for an example, the honest ones in front.

    Args:
        first: whether it is the first example, on which slow attacks are tried as well.
    """
    honest = [Candidate(completion(s.text), s) for s in solutions(example)]
    attacks = [
        Candidate(completion(text), attack)
        for attack in ATTACKS
        if first or not attack.once
        for text in attack.texts(example)
    ]
    blind = [
        Candidate(completion(text), attack, blind=True)
        for attack in BLIND_SPOTS
        for text in attack.texts(example)
    ]
    return [*honest, *blind, *attacks]


def completion(text: Any) -> Completion:
    """A finished completion; its tokens are words, cut after five letters."""
    pieces = _PIECE.findall(text) if isinstance(text, str) else []
    ids = tuple(zlib.crc32(piece.encode("utf-8", "replace")) % 50_000 for piece in pieces)
    return Completion(text, ids, "stop", LOGPROB)


def choose(examples: Sequence[Example], count: int) -> list[Example]:
    """Examples spread over the sequence, without those that an attack would solve by luck."""
    fair = [example for example in examples if not _is_lucky(example)] or list(examples)
    step = max(1, len(fair) // count)
    return fair[::step][:count]


def _is_lucky(example: Example) -> bool:
    """Whether the reference answer stands where whoever echoes the question ends or begins."""
    reference = example.answer.strip().strip("()")
    for pattern in (_NUMBER, _OPTION):
        found = pattern.findall(example.question)
        if reference in found[:1] + found[-1:]:
            return True
    return False
