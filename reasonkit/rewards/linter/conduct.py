"""How a reward behaves as a function, whatever it pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from reasonkit.rewards import WeightedReward
from reasonkit.rewards.linter.calls import Calls
from reasonkit.rewards.linter.candidates import Candidate, completion
from reasonkit.rewards.linter.checks import CLOSE, FREE
from reasonkit.rewards.linter.findings import Finding
from reasonkit.rewards.linter.solutions import BRIEF, TAGS, asks_for_program, wrong_answer
from reasonkit.types import Completion, Example, Group

BROKEN = ("\\frac{1}{", "nan", "5/0", "\\boxed{}", "$$")
"""Reference answers without a value; no task lets an empty one in."""

RULE = "is a function of the completions"


def repeats(calls: Calls, index: int, name: str, group: Group) -> Iterator[Finding]:
    """The same completions get the same values: called again, in another order, and as copies."""
    completions = list(group.completions)
    backwards = Group(group.example, completions[::-1])
    twice = Group(group.example, [c for c in completions for _ in range(2)])
    first = calls.score(index, group).values
    if first is None:
        return
    again = calls.score(index, group).values
    if changed := _difference(completions, first, again):
        yield Finding(name, "other values when called again", RULE, changed)
        return
    turned = calls.score(index, backwards).values
    if changed := _difference(completions, first, turned and turned[::-1]):
        yield Finding(name, "values depend on the order in the group", RULE, changed)
    copies = calls.score(index, twice).values
    if copies is not None and (changed := _difference(completions, copies[::2], copies[1::2])):
        yield Finding(name, "other values for a copy of a completion", RULE, changed)


def counts(calls: Calls, index: int, name: str, example: Example) -> Iterator[Finding]:
    """A group without completions has no values; raising is fine."""
    reply = calls.score(index, Group(example, []))
    if reply.failure == "returned":
        yield Finding(name, "values for a group without completions", RULE, reply.said)


def keeps_range(
    weighted: WeightedReward, candidates: Sequence[Candidate], values: Sequence[float | None]
) -> Iterator[Finding]:
    """Every value is in the range that the reward declares."""
    low, high = weighted.reward.range
    for candidate, value in zip(candidates, values, strict=True):
        if value is not None and not low - CLOSE <= value <= high + CLOSE:
            what = f"a value outside its range, {low:g} to {high:g}"
            shown = f"{value:g} for {candidate.completion.text}"
            yield Finding(weighted.reward.name, what, RULE, shown)


def withstands_broken_references(
    calls: Calls, index: int, weighted: WeightedReward, example: Example
) -> Iterator[Finding]:
    """With a reference answer that has no value, or without tests, nothing pays.

    Raising is fine, and so is what the same completion gets beside a sound reference.
    """
    wrong = wrong_answer(example)
    texts = (TAGS.write(BRIEF, wrong), "", "<answer></answer>", TAGS.write(BRIEF, "unknown"))
    group = [completion(text) for text in texts]
    if asks_for_program(example):
        what, damaged = "an example without tests", [("no tests", replace(example, tests=()))]
    else:
        what = "a reference without a value"
        damaged = [(f"reference {text!r}", replace(example, answer=text)) for text in BROKEN]
    usual = calls.score(index, Group(example, group)).values or [None] * len(group)
    for damage, asked in damaged:
        values = calls.score(index, Group(asked, group)).values or [None] * len(group)
        for scored, value, before in zip(group, values, usual, strict=True):
            paid = weighted.weight * (value or 0.0)
            allowed = max(0.0, weighted.weight * (before or 0.0))
            if paid > allowed + CLOSE:
                shown = f"{scored.text} ({damage})"
                yield Finding(weighted.reward.name, what, FREE, shown, paid, allowed, None)


def _difference(
    completions: Sequence[Completion],
    one: Sequence[float | None],
    other: Sequence[float | None] | None,
) -> str | None:
    """The first completion with two values, in words; None where there is none."""
    for scored, a, b in zip(completions, one, other or one, strict=True):
        if (a is None) != (b is None) or abs((a or 0.0) - (b or 0.0)) > CLOSE:
            return f"{a} and {b} for {scored.text}"
    return None
