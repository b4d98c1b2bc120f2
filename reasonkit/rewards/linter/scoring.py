"""Scores candidates with one reward, whatever it does to the calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from reasonkit.rewards import WeightedReward
from reasonkit.rewards.linter.attacks import Attack
from reasonkit.rewards.linter.calls import Calls, Reply
from reasonkit.rewards.linter.candidates import Candidate
from reasonkit.rewards.linter.findings import Facts, Finding
from reasonkit.types import Example, Group

SIZE = 8
"""Completions a call, as in a training run."""

PATIENCE = 3
"""Completions on which a reward may hang before it is given up."""

LONGEST = 60
"""Characters that are kept of an error."""

RULE = "returns a value for whatever a policy writes"


@dataclass
class Scorer:
    """One reward under attack.

    Attributes:
        calls: the process that it runs in.
        index: its place there.
        weighted: the reward.
        seconds: what each call took.
        late: on how many completions it hung.
        harmful: attacks that ended or spoiled the process; they aren't repeated.
        given_up: whether it hangs too often to go on.
    """

    calls: Calls
    index: int
    weighted: WeightedReward
    seconds: list[float] = field(default_factory=list)
    late: int = 0
    harmful: set[str] = field(default_factory=set)
    given_up: bool = False

    @property
    def name(self) -> str:
        """Of the reward."""
        return self.weighted.reward.name

    @property
    def facts(self) -> Facts:
        """What a table shows of it."""
        return Facts(
            self.name,
            self.weighted.reward.claim,
            self.weighted.weight,
            len(self.seconds),
            fmean(self.seconds) if self.seconds else 0.0,
            max(self.seconds, default=0.0),
        )

    def score(
        self, example: Example, candidates: Sequence[Candidate], findings: list[Finding]
    ) -> list[float | None]:
        """A value for each candidate, None where there is none; adds what goes wrong.

        Raises:
            RunError: the process can't be started.
        """
        values: list[float | None] = [None] * len(candidates)
        for places in _batches(candidates):
            places = [p for p in places if _name(candidates[p]) not in self.harmful]
            if not places or self.given_up:
                continue
            reply = self._call(example, candidates, places)
            if reply.changed_group:
                findings.append(self._fault("changes the group it is given", ""))
            if reply.values is not None and not reply.changed_python:
                for place, value in zip(places, reply.values, strict=True):
                    values[place] = value
                continue
            for place in places:
                values[place] = self._alone(example, candidates, place, findings)
        return values

    def _alone(
        self,
        example: Example,
        candidates: Sequence[Candidate],
        place: int,
        findings: list[Finding],
    ) -> float | None:
        candidate = candidates[place]
        if self.given_up or _name(candidate) in self.harmful:
            return None
        reply = self._call(example, candidates, [place])
        shown = repr(candidate.completion.text)
        if reply.changed_python:
            findings.append(self._fault("lets a completion replace Python's built-ins", shown))
        if reply.failure and not (_is_odd(candidate) and reply.failure == "raised"):
            findings.append(self._fault(_said(reply), shown))
        if reply.changed_python or reply.failure in ("ended", "late"):
            self.harmful.add(_name(candidate))
            self.late += reply.failure == "late"
            self.given_up |= candidate.solution is not None or self.late >= PATIENCE
        return reply.values[0] if reply.values else None

    def _call(
        self, example: Example, candidates: Sequence[Candidate], places: Sequence[int]
    ) -> Reply:
        completions = [candidates[place].completion for place in places]
        reply = self.calls.score(self.index, Group(example, completions))
        self.seconds.append(reply.seconds)
        return reply

    def _fault(self, what: str, text: str) -> Finding:
        return Finding(self.name, what, RULE, text)


def _batches(candidates: Sequence[Candidate]) -> Iterator[list[int]]:
    """Places of candidates that are scored together; odd ones stand alone."""
    usual = [place for place, candidate in enumerate(candidates) if not _is_odd(candidate)]
    for start in range(0, len(usual), SIZE):
        yield usual[start : start + SIZE]
    for place, candidate in enumerate(candidates):
        if _is_odd(candidate):
            yield [place]


def _is_odd(candidate: Candidate) -> bool:
    return isinstance(candidate.source, Attack) and candidate.source.odd


def _name(candidate: Candidate) -> str:
    return candidate.source.name if isinstance(candidate.source, Attack) else ""


def _said(reply: Reply) -> str:
    match reply.failure:
        case "ended":
            return "ends the process"
        case "late":
            return "hangs"
        case "raised":
            return f"raises {reply.said[:LONGEST]}"
    return reply.said[:LONGEST]
