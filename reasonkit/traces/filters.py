"""Which of a teacher's completions are worth learning from, and what each filter took.

The filters are pure functions of what was sampled: each keeps some candidates, in their order, and
takes the others. So they can be changed without sampling again.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from typing import Any

from rapidfuzz.distance import Indel

from reasonkit.answers.reading import read
from reasonkit.config import DistillConfig
from reasonkit.errors import RefusedError
from reasonkit.plan import Plan
from reasonkit.rewards import Reward, WeightedReward, parse, split
from reasonkit.rewards.guard import Guard
from reasonkit.tasks import describe
from reasonkit.tasks.splits import normal
from reasonkit.types import Completion, Example, Group, Trace

WORDS = 8
"""Words in a row that a question may not share with a held-out one, on real data; questions that
are made from templates share them with any other."""

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


Keep = Callable[[Sequence[Candidate]], Sequence[Candidate]]
"""A filter: the candidates that stay, in their order."""


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

    def without(self, name: str, what: str, traces: list[Trace]) -> Sifted:
        """The same after another filter, which has left these traces."""
        questions = len({trace.example.id for trace in traces})
        step = Step(name, what, len(self.traces) - len(traces), len(traces), questions)
        return Sifted(traces, [*self.steps, step], self.failures)


def thresholds(specs: Sequence[str], device: str = "auto") -> list[tuple[Reward, float]]:
    """The reward and the least value that a trace must have, for each ``NAME=LEAST``.

    ``NAME`` alone asks for the reward's highest value.

    Args:
        device: where rewards that are models are loaded.

    Raises:
        RefusedError: no such reward, given twice, or a value that is no number.
    """
    made = []
    halves = [split(spec) for spec in specs]
    rewards = parse([f"{name}=1" for name, _ in halves], device)
    for weighted, (name, value) in zip(rewards, halves, strict=True):
        try:
            least = float(value) if value else weighted.reward.range[1]
            if math.isnan(least):
                raise ValueError
        except ValueError:
            raise RefusedError(
                f"--keep {name}={value}: expected a number, as in answer=1"
            ) from None
        made.append((weighted.reward, least))
    return made


def sift(plan: Plan[DistillConfig], groups: Sequence[Group]) -> Sifted:
    """Puts what was sampled through the plan's filters, one after the other.

    Raises:
        RefusedError: a filter can't be used, by name.
        RunError: a reward failed too often.
    """
    keep = thresholds(plan.config.keep or [], str(plan.config.device))
    guard = Guard([WeightedReward(reward) for reward, _ in keep], plan.config.reward_timeout)
    left: Sequence[Candidate] = _candidates(groups, guard)
    everything = [candidate.trace for candidate in left]
    sifted = Sifted(everything, [], dict(guard.failures)).without("sampled", "", everything)
    for name, what, kept in _filters(plan, keep):
        left = kept(left)
        sifted = sifted.without(name, what, [candidate.trace for candidate in left])
    return sifted


def is_finished(completion: Completion) -> bool:
    """Whether it ended by itself, says something, and closes the thought that it opens."""
    said = read(completion.text).answer
    return completion.finish_reason == "stop" and bool(said and said.strip())


def _candidates(groups: Sequence[Group], guard: Guard) -> list[Candidate]:
    """Every completion with its scores and the quarter of its question."""
    lengths = [fmean(c.tokens or len(c.text) for c in group.completions) for group in groups]
    # Equal lengths are shared out among quarters, which would not be quarters otherwise.
    order = sorted(range(len(groups)), key=lambda place: (lengths[place], place))
    quarters = {place: rank * QUARTERS // len(groups) for rank, place in enumerate(order)}
    made = []
    for place, group in enumerate(groups):
        # Rewards look at a completion more than once, and it may be on disk.
        scores = guard.score(Group(group.example, list(group.completions)))
        for i in range(len(group.completions)):
            own = {name: values[i] for name, values in scores.items()}
            made.append(Candidate(Trace(group, i), own, quarters[place]))
    return made


def _filters(
    plan: Plan[DistillConfig], keep: Sequence[tuple[Reward, float]]
) -> list[tuple[str, str, Keep]]:
    """The usual filters in their order: a word or two, what it takes, and which stay."""
    config = plan.config
    similar, most, balance = config.similar, config.per_question, config.balance
    made: list[tuple[str, str, Keep]] = [
        (
            "finished",
            "cut off, or a thought that is never closed",
            lambda candidates: [c for c in candidates if is_finished(c.trace.completion)],
        ),
        *(
            (
                reward.name,
                f"scores less than {least:g}, or has no verdict",
                partial(_at_least, name=reward.name, least=least),
            )
            for reward, least in keep
        ),
        ("held out", "question meets validation or test", partial(_apart, plan=plan)),
    ]
    if similar:
        alike = f"alike by {similar:.0%} with one of the same question"
        made.append(("duplicates", alike, partial(_distinct, similar=similar)))
    if most:
        best = plan.rewards
        made.append(
            ("per question", f"more than {most} of a question", partial(_first, most=most, by=best))
        )
    if balance:
        share = f"more than {balance:g} times its share for a quarter by difficulty"
        made.append(("difficulty", share, partial(_balanced, balance=balance)))
    return made


def _at_least(candidates: Sequence[Candidate], name: str, least: float) -> list[Candidate]:
    return [c for c in candidates if (v := c.scores[name]) is not None and v >= least]


def _apart(candidates: Sequence[Candidate], plan: Plan[DistillConfig]) -> list[Candidate]:
    held_out = (*plan.splits.validation, *plan.splits.test)
    questions = {normal(example.question) for example in held_out}
    is_real = describe(plan.config.task).source != "generated"
    grams = {g for e in held_out for g in _grams(e.question)} if is_real else set()

    def meets(example: Example) -> bool:
        asked = [m["content"] for m in example.messages if m["role"] == "user"]
        return any(
            normal(text) in questions or not grams.isdisjoint(_grams(text)) for text in asked
        )

    return [c for c in candidates if not meets(c.trace.example)]


def _grams(question: str) -> Iterable[tuple[str, ...]]:
    words = re.findall(r"\w+", question.lower())
    return (tuple(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1))


def _distinct(candidates: Sequence[Candidate], similar: float) -> list[Candidate]:
    """The first of each set of near-duplicates: alike by normalised indel similarity of words."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, candidate in enumerate(candidates):
        places[candidate.trace.example.id].append(place)
    chosen = []
    for own in places.values():
        kept: list[list[str]] = []
        for place in own:
            words = re.findall(r"\w+|\W", candidates[place].trace.completion.text)
            if all(Indel.normalized_similarity(words, other) < similar for other in kept):
                kept.append(words)
                chosen.append(place)
    return [candidates[place] for place in sorted(chosen)]


def _first(
    candidates: Sequence[Candidate], most: int, by: Sequence[WeightedReward]
) -> list[Candidate]:
    """The best of each question by these rewards."""

    def total(place: int) -> float:
        scores = candidates[place].scores
        return sum(w.weight * (scores.get(w.reward.name) or 0.0) for w in by)

    taken: dict[str, int] = defaultdict(int)
    chosen = []
    for place in sorted(range(len(candidates)), key=lambda place: (-total(place), place)):
        question = candidates[place].trace.example.id
        taken[question] += 1
        if taken[question] <= most:
            chosen.append(place)
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
