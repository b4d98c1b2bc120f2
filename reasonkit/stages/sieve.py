"""The filters of traces: each keeps some candidates, in their order, and takes the others.

They are pure functions of what was sampled, so that they can be changed without sampling again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from reasonkit.answers.reading import read
from reasonkit.rewards import Reward, WeightedReward
from reasonkit.tasks.splits import normal
from reasonkit.types import Completion, Example, Trace

WORDS = 8
"""Words in a row that a question may not share with a held-out one, on real data."""

QUARTERS = 4


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
class Threshold:
    """A reward and the least value that a trace must have."""

    reward: Reward
    least: float


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


def is_finished(completion: Completion) -> bool:
    """Whether it ended by itself, says something, and closes the thought that it opens."""
    said = read(completion.text).answer
    return completion.finish_reason == "stop" and bool(said and said.strip())


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

    def meets(example: Example) -> bool:
        asked = [m["content"] for m in example.messages if m["role"] == "user"]
        return any(
            normal(text) in questions or not grams.isdisjoint(_grams(text)) for text in asked
        )

    return lambda candidates: [c for c in candidates if not meets(c.trace.example)]


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
