"""What the linter found, in the form in which it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reasonkit.types import Claim


@dataclass(frozen=True, slots=True)
class Finding:
    """A completion that was paid for nothing, or another fault of a reward.

    Attributes:
        what: the attack, or the fault.
        text: the completion of which ``paid`` is said, or with which the fault shows.
        paid: what it got, times the weight; None for a fault that is no payment.
        wrong: what the best paid honest wrong answer got.
        right: what a reference solution got.
        questions: on how many questions.
    """

    reward: str
    what: str
    rule: str
    text: str = ""
    paid: float | None = None
    wrong: float | None = None
    right: float | None = None
    questions: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """A reward that was checked; seconds are those of a call with at most `SIZE` completions."""

    name: str
    claim: Claim
    weight: float
    calls: int
    seconds_mean: float
    seconds_worst: float


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check.

    Attributes:
        questions: how many examples were taken.
        unseen: what was paid like a solution and can't be told from one by such rewards.
        checked: what the rewards were held to, in words.
        answered: whether right answers were held against wrong ones.
    """

    task: str
    questions: int
    completions: int
    rewards: tuple[Facts, ...]
    findings: tuple[Finding, ...]
    unseen: tuple[Finding, ...]
    checked: tuple[str, ...]
    answered: bool
    notes: tuple[str, ...]


def merged(questions: Iterable[Iterable[Finding]]) -> tuple[Finding, ...]:
    """One finding for each reward, fault and rule: that with the largest gain, and the shortest."""
    kept: dict[tuple[str, str, str], Finding] = {}
    for findings in questions:
        worst: dict[tuple[str, str, str], Finding] = {}
        for finding in findings:
            key = (finding.reward, finding.what, finding.rule)
            worst[key] = max(worst.get(key, finding), finding, key=_weight)
        for key, finding in worst.items():
            held = kept.get(key, replace(finding, questions=0))
            count = held.questions + finding.questions
            kept[key] = replace(max(held, finding, key=_weight), questions=count)
    return tuple(kept.values())


def _weight(finding: Finding) -> tuple[float, int]:
    """What it gains, and of equal gains the one that is seen at a glance."""
    return (finding.paid or 0.0) - (finding.wrong or 0.0), -len(finding.text)
