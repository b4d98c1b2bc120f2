"""Which of a teacher's completions are worth learning from, and what each filter took.

The filters are pure functions of what was sampled, so that they can be changed without sampling
again. Their order is that of `filters`: what is cheap and drops most comes first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, quantiles
from typing import Any

from rapidfuzz.distance import Indel

from reasonkit.config import DistillConfig
from reasonkit.errors import RefusedError
from reasonkit.plan import Plan
from reasonkit.rewards import Reward, WeightedReward, parse
from reasonkit.rewards.guard import Guard
from reasonkit.tasks import describe
from reasonkit.tasks.recorded import normal
from reasonkit.types import Completion, Example, Group, Trace

WORDS = 8
"""Words in a row that a question may not share with a held-out one, on real data."""

QUARTERS = 4

OVERLONG = "overlong"
ADVICE = {
    "finished": "raise --max-completion-tokens",
    OVERLONG: "raise --max-completion-tokens",
    "held out": "take another train split",
}
"""What to do where a filter took everything, if not to loosen it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A completion that may become a trace.

    Attributes:
        trace: the example and the completion.
        scores: its value by each reward that is asked for; None where there is no verdict.
        quarter: of its question by difficulty, 0 to 3: by the mean length of what was sampled for
            it, right or wrong, among all the questions that were asked.
    """

    trace: Trace
    scores: Mapping[str, float | None]
    quarter: int


@dataclass(frozen=True, slots=True)
class Filter:
    """A step of the sieve.

    Attributes:
        name: a word or two.
        what: what it takes, in a line.
        keep: the candidates that stay, in their order.
    """

    name: str
    what: str
    keep: Callable[[Sequence[Candidate]], Sequence[Candidate]]


@dataclass(frozen=True, slots=True)
class Step:
    """What a filter did; a row of the table.

    Attributes:
        name: of the filter; ``sampled`` for the first row.
        what: what it takes.
        lost: traces that it took.
        left: traces that are left.
        questions: questions that still have one.
    """

    name: str
    what: str
    lost: int
    left: int
    questions: int


@dataclass(frozen=True, slots=True)
class Sifted:
    """The traces that are left, and how it came to that.

    Attributes:
        traces: in the order in which they were sampled.
        steps: what was sampled, and then each filter.
        failures: failed calls by name of the reward.
    """

    traces: list[Trace]
    steps: list[Step]
    failures: dict[str, int]

    @property
    def complaint(self) -> str:
        """Which filters took what there was, where nothing is left; else empty."""
        if self.traces:
            return ""
        took = ", ".join(f"{s.name!r} took {s.lost} ({s.what})" for s in self.steps if s.lost)
        worst = max(self.steps, key=lambda step: step.lost)
        hint = ADVICE.get(worst.name, "loosen it: with --traces nothing has to be sampled again")
        return f"no trace of {self.steps[0].left} survives the filters: {took}; {hint}"

    def rows(self) -> list[dict[str, Any]]:
        """The steps as plain values, as they stand in ``summary.json``."""
        return [asdict(step) for step in self.steps]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A reward and the least value that a trace must have."""

    reward: Reward
    least: float


def thresholds(specs: Sequence[str]) -> list[Threshold]:
    """What ``NAME=LEAST`` stands for; ``NAME`` alone asks for the reward's highest value.

    Raises:
        RefusedError: no such reward, given twice, or a value that is no number.
    """
    made = []
    split = [spec.rpartition("=") if "=" in spec else (spec, "", "") for spec in specs]
    for weighted, (name, _, value) in zip(parse([n for n, _, _ in split]), split, strict=True):
        try:
            least = float(value) if value else weighted.reward.range[1]
        except ValueError:
            raise RefusedError(
                f"--keep {name}={value}: expected a number, as in answer=1"
            ) from None
        made.append(Threshold(weighted.reward, least))
    return made


def filters(
    keep: Sequence[Threshold],
    held_out: Sequence[Example],
    shared_words: bool,
    similar: float,
    per_question: int,
    balance: float,
    best: Sequence[WeightedReward],
) -> list[Filter]:
    """The usual filters, in their order.

    Args:
        keep: rewards that a trace must earn.
        held_out: examples of the validation and test splits.
        shared_words: whether `WORDS` words in a row count as meeting a held-out question. They do
            for real data; questions that are made from templates share them with any other.
        similar: traces of a question that are at least so alike (0 to 1) are one; 0 is off.
        per_question: at most so many traces a question; 0 is no limit.
        balance: a quarter of the questions by difficulty keeps at most so many times its even
            share; 0 is off.
        best: which traces of a question come first where they are too many.
    """
    made = [
        Filter("finished", "cut off, or a thought that is never closed", _finished),
        *(_at_least(threshold) for threshold in keep),
        Filter("held out", "question meets validation or test", _apart(held_out, shared_words)),
    ]
    if similar:
        alike = f"alike by {similar:.0%} with one of the same question"
        made.append(Filter("duplicates", alike, lambda c: _distinct(c, similar)))
    if per_question:
        most = f"more than {per_question} of a question"
        made.append(Filter("per question", most, lambda c: _first(c, per_question, best)))
    if balance:
        share = f"more than {balance:g} times its share for a quarter by difficulty"
        made.append(Filter("difficulty", share, lambda c: _balanced(c, balance)))
    return made


def sift(plan: Plan[DistillConfig], groups: Sequence[Group]) -> Sifted:
    """Puts what was sampled through the plan's filters, one after the other.

    Raises:
        RefusedError: a filter can't be used, by name.
        RunError: a reward failed too often.
    """
    config, splits = plan.config, plan.splits
    keep = thresholds(config.keep or [])
    sieve = filters(
        keep,
        held_out=(*splits.validation, *splits.test),
        shared_words=describe(config.task).source != "generated",
        similar=config.similar,
        per_question=config.per_question,
        balance=config.balance,
        best=plan.rewards,
    )
    guard = Guard([WeightedReward(t.reward) for t in keep], config.reward_timeout)
    left: Sequence[Candidate] = candidates(groups, guard)
    steps = [Step("sampled", "", 0, len(left), _questions(left))]
    for step in sieve:
        before, left = len(left), step.keep(left)
        steps.append(Step(step.name, step.what, before - len(left), len(left), _questions(left)))
    return Sifted([candidate.trace for candidate in left], steps, dict(guard.failures))


def candidates(groups: Sequence[Group], guard: Guard) -> list[Candidate]:
    """Every completion with its scores and the quarter of its question."""
    lengths = [fmean(c.tokens or len(c.text) for c in group.completions) for group in groups]
    edges = quantiles(lengths, n=QUARTERS, method="inclusive") if len(lengths) > 1 else []
    made = []
    for group, length in zip(groups, lengths, strict=True):
        scores = guard.score(group)
        quarter = sum(length > edge for edge in edges)
        for i, completion in enumerate(group.completions):
            own = {name: values[i] for name, values in scores.items()}
            made.append(Candidate(Trace(group.example, completion), own, quarter))
    return made


def _questions(candidates: Iterable[Candidate]) -> int:
    return len({candidate.trace.example.id for candidate in candidates})


def is_finished(completion: Completion) -> bool:
    """Whether it ended by itself, says something, and closes the thought that it opens."""
    text = completion.text
    return (
        completion.finish_reason == "stop"
        and text.strip() != ""
        and ("<think>" in text) <= ("</think>" in text)
    )


def _finished(candidates: Sequence[Candidate]) -> list[Candidate]:
    return [c for c in candidates if is_finished(c.trace.completion)]


def _at_least(threshold: Threshold) -> Filter:
    name, least = threshold.reward.name, threshold.least

    def keep(candidates: Sequence[Candidate]) -> list[Candidate]:
        return [c for c in candidates if (v := c.scores[name]) is not None and v >= least]

    return Filter(name, f"scores less than {least:g}, or has no verdict", keep)


def _apart(
    held_out: Sequence[Example], shared_words: bool
) -> Callable[[Sequence[Candidate]], list[Candidate]]:
    questions = {normal(example.question) for example in held_out}
    grams = {g for e in held_out for g in _grams(e.question)} if shared_words else set()

    def keep(candidates: Sequence[Candidate]) -> list[Candidate]:
        return [
            c
            for c in candidates
            if normal(c.trace.example.question) not in questions
            and grams.isdisjoint(_grams(c.trace.example.question))
        ]

    return keep


def _grams(question: str) -> Iterable[tuple[str, ...]]:
    words = re.findall(r"\w+", question.lower())
    return (tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1))


def _distinct(candidates: Sequence[Candidate], similar: float) -> list[Candidate]:
    """The first of each set of near-duplicates: alike by normalised indel similarity of words."""
    kept: dict[str, list[list[str]]] = defaultdict(list)
    chosen = []
    for candidate in candidates:
        tokens = re.findall(r"\w+|\W", candidate.trace.completion.text)
        others = kept[candidate.trace.example.id]
        if all(Indel.normalized_similarity(tokens, other) < similar for other in others):
            others.append(tokens)
            chosen.append(candidate)
    return chosen


def _first(
    candidates: Sequence[Candidate], most: int, best: Sequence[WeightedReward]
) -> list[Candidate]:
    def total(place: int) -> float:
        scores = candidates[place].scores
        return sum(w.weight * (scores.get(w.reward.name) or 0.0) for w in best)

    places: dict[str, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        places[candidate.trace.example.id].append(place)
    chosen = {
        place
        for own in places.values()
        for place in sorted(own, key=lambda place: (-total(place), place))[:most]
    }
    return [candidates[place] for place in sorted(chosen)]


def _balanced(candidates: Sequence[Candidate], balance: float) -> list[Candidate]:
    """Caps each quarter by difficulty at ``balance`` times an even share of what is left.

    Right answers are easier to come by for easy questions: without it those gain weight.
    """
    most = balance * len(candidates) / QUARTERS
    counts = [0] * QUARTERS
    chosen = []
    for candidate in candidates:
        if counts[candidate.quarter] < most:
            counts[candidate.quarter] += 1
            chosen.append(candidate)
    return chosen
