"""How a reward behaves as a function, whatever it pays: what it returns, and whether again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from reasonkit.rewards import WeightedReward
from reasonkit.rewards.linter.calls import Calls
from reasonkit.rewards.linter.candidates import Candidate, completion
from reasonkit.rewards.linter.checks import CLOSE, FREE
from reasonkit.rewards.linter.findings import Facts, Finding
from reasonkit.rewards.linter.solutions import asks_for_program, committed, wrong_answer
from reasonkit.types import Completion, Example, Group

SIZE = 8
"""Completions a call, as in a training run."""

PATIENCE = 3
"""Completions on which a reward may hang before it is given up."""

BROKEN = ("\\frac{1}{", "nan", "5/0", "\\boxed{}", "$$")
"""Reference answers without a value; no task lets an empty one in."""

RETURNS = "returns a value for whatever a policy writes"
REPEATS = "is a function of the completions"
"""The rules that a reward may break, whatever it pays."""

Values = list[float | None]
_Compared = Callable[[Values], tuple[Values, Values]]


@dataclass
class Scorer:
    """One reward under attack.

    Attributes:
        index: its place in the process that it runs in.
        seconds: what each call with candidates took.
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

    def values(self, example: Example, completions: Sequence[Completion]) -> Values | None:
        """What it gives some completions; None where it fails."""
        return self.calls.score(self.index, Group(example, list(completions))).values

    def score(
        self, example: Example, candidates: Sequence[Candidate], findings: list[Finding]
    ) -> Values:
        """A value for each candidate, None where there is none; adds what goes wrong."""
        values: Values = [None] * len(candidates)

        def score(places: Sequence[int]) -> None:
            """Scores candidates together, and one by one where that fails."""
            places = [p for p in places if candidates[p].name not in self.harmful]
            if not places or self.given_up:
                return
            group = Group(example, [candidates[place].completion for place in places])
            reply = self.calls.score(self.index, group)
            self.seconds.append(reply.seconds)
            if reply.changed_group:
                findings.append(Finding(self.name, "changes the group it is given", RETURNS))
            if reply.values and (len(places) == 1 or not reply.changed_python):
                for place, value in zip(places, reply.values, strict=True):
                    values[place] = value
            elif len(places) > 1:
                for place in places:
                    score([place])
                return
            candidate = candidates[places[0]]
            shown = repr(candidate.completion.text)
            if reply.changed_python:
                what = "lets a completion replace Python's built-ins"
                findings.append(Finding(self.name, what, RETURNS, shown))
            if reply.failure and not (candidate.odd and reply.failure == "raised"):
                findings.append(Finding(self.name, reply.said, RETURNS, shown))
            if reply.changed_python or reply.failure in ("ended", "late"):
                self.harmful.add(candidate.name)
                self.late += reply.failure == "late"
                self.given_up |= candidate.attack is None or self.late >= PATIENCE

        usual = [place for place, candidate in enumerate(candidates) if not candidate.odd]
        for start in range(0, len(usual), SIZE):
            score(usual[start : start + SIZE])
        for place, candidate in enumerate(candidates):
            if candidate.odd:
                score([place])
        return values


def repeats(scorer: Scorer, example: Example, put: Sequence[Completion]) -> Iterator[Finding]:
    """The same completions get the same values: called again, in another order, and as copies."""
    first = scorer.values(example, put)
    if first is None:
        return
    copies = [scored for scored in put for _ in range(2)]
    orders: tuple[tuple[str, Sequence[Completion], _Compared], ...] = (
        ("other values when called again", put, lambda v: (first, v)),
        ("values depend on the order in the group", put[::-1], lambda v: (first, v[::-1])),
        ("other values for a copy of a completion", copies, lambda v: (v[::2], v[1::2])),
    )
    for what, asked, compared in orders:
        values = scorer.values(example, asked)
        if values is not None and (changed := _difference(put, *compared(values))):
            yield Finding(scorer.name, what, REPEATS, changed)
            return


def counts(scorer: Scorer, example: Example) -> Iterator[Finding]:
    """A group without completions has no values; raising is fine."""
    reply = scorer.calls.score(scorer.index, Group(example, []))
    if reply.failure == "returned":
        what = "values for a group without completions"
        yield Finding(scorer.name, what, REPEATS, reply.said)


def keeps_range(
    weighted: WeightedReward, candidates: Sequence[Candidate], values: Values
) -> Iterator[Finding]:
    """Every value is in the range that the reward declares."""
    low, high = weighted.reward.range
    for candidate, value in zip(candidates, values, strict=True):
        if value is not None and not low - CLOSE <= value <= high + CLOSE:
            what = f"a value outside its range, {low:g} to {high:g}"
            shown = f"{value:g} for {candidate.completion.text}"
            yield Finding(weighted.reward.name, what, REPEATS, shown)


def withstands_broken_references(scorer: Scorer, example: Example) -> Iterator[Finding]:
    """With a reference answer that has no value, or without tests, nothing pays.

    Raising is fine, and so is what the same completion gets beside a sound reference.
    """
    texts = (committed(wrong_answer(example)), "", "<answer></answer>", committed("unknown"))
    group = [completion(text) for text in texts]
    if asks_for_program(example):
        what, damaged = "an example without tests", {"no tests": replace(example, tests=())}
    else:
        what = "a reference without a value"
        damaged = {f"reference {text!r}": replace(example, answer=text) for text in BROKEN}
    usual = scorer.values(example, group) or [None] * len(group)
    for damage, asked in damaged.items():
        values = scorer.values(asked, group) or [None] * len(group)
        for scored, value, before in zip(group, values, usual, strict=True):
            paid = scorer.weighted.weight * (value or 0.0)
            allowed = max(0.0, scorer.weighted.weight * (before or 0.0))
            if paid > allowed + CLOSE:
                shown = f"{scored.text} ({damage})"
                yield Finding(scorer.name, what, FREE, shown, paid, allowed, None)


def _difference(completions: Sequence[Completion], one: Values, other: Values) -> str | None:
    """The first completion with two values, in words; None where there is none."""
    for scored, a, b in zip(completions, one, other, strict=True):
        if (a is None) != (b is None) or abs((a or 0.0) - (b or 0.0)) > CLOSE:
            return f"{a} and {b} for {scored.text}"
    return None
