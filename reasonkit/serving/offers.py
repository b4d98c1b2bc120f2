"""Models by name: the plain one, and a strategy of `vote` before it as ``NAME:STRATEGY@SAMPLES``.

A strategy that is new in the table is offered here by itself. What chooses one for each question
(`auto`, by a policy that was learned) is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reasonkit.answering import Respondent
from reasonkit.errors import UnknownNameError
from reasonkit.voting.strategies import STRATEGIES, Strategy

USUAL = {"adaptive": 16, "cascade": 16}
SAMPLES = 8
"""Samples where a name doesn't say how many; of other strategies."""

THOUGHTS = {"none": 0.0, "minimal": 1 / 16, "low": 0.25, "medium": 0.5, "high": 0.75, "xhigh": 1.0}
"""Of a plain model: the share of a completion's tokens that its thought may take, by effort."""

TIMES = {"none": 0.25, "minimal": 0.25, "low": 0.5, "medium": 1.0, "high": 2.0, "xhigh": 4.0}
"""Of a strategy: how many times its samples it takes, by effort. A longer thought would cost each
sample as much again, and a strategy is there because more of them pay more than longer ones."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be asked.

    Attributes:
        strategy: None for the plain model.
        n: samples, at most.
    """

    id: str
    strategy: Strategy | None = None
    n: int = 1

    @property
    def description(self) -> str:
        """What it does, in words."""
        return self.strategy.summary if self.strategy else "the model itself"

    def with_effort(self, effort: str | None, most: int) -> Offer:
        """With as many samples as an effort is worth."""
        if effort is None or self.strategy is None or not _counts(self.strategy):
            return self
        return replace(self, n=min(most, max(1, round(self.n * TIMES[effort]))))


class Menu:
    """All that one respondent offers.

    Args:
        name: of the plain model.
        most: samples of a request, at most.
    """

    def __init__(self, respondent: Respondent, name: str, most: int) -> None:
        self.name, self.most = name, most
        self.strategies = {s.name: s for s in STRATEGIES.values() if _can_be_had(s, respondent)}

    def __iter__(self) -> Iterator[Offer]:
        """The plain one, then each strategy with its usual number of samples."""
        yield Offer(self.name)
        for strategy in sorted(self.strategies.values(), key=lambda s: not _counts(s)):
            yield self._offer(strategy)

    def find(self, id: str) -> Offer:
        """What a name stands for.

        Raises:
            UnknownNameError: nothing, or for more samples than a request may have.
        """
        if id == self.name:
            return Offer(id)
        start, colon, wanted = id[: len(self.name)], *id[len(self.name) :].partition(":")[1:]
        strategy_name, at, count = wanted.partition("@")
        strategy = self.strategies.get(strategy_name) if start == self.name and colon else None
        known = [offer.id for offer in self]
        if strategy is None:
            raise UnknownNameError("model", id[:200], known)
        if not at:
            return self._offer(strategy, id)
        digits = count.isascii() and count.isdecimal() and len(count) < 5
        if not _counts(strategy) or not digits or not 1 <= int(count) <= self.most:
            raise UnknownNameError("model", id[:200], known, f"(up to @{self.most})")
        return Offer(id, strategy, int(count))

    def _offer(self, strategy: Strategy, id: str | None = None) -> Offer:
        if not _counts(strategy):
            return Offer(id or f"{self.name}:{strategy.name}", strategy)
        n = min(self.most, USUAL.get(strategy.name, SAMPLES))
        return Offer(id or f"{self.name}:{strategy.name}@{n}", strategy, n)


def _counts(strategy: Strategy) -> bool:
    """Whether it takes a number of samples; a policy has its own."""
    return not strategy.single and strategy.name != "auto"


def _can_be_had(strategy: Strategy, respondent: Respondent) -> bool:
    source = respondent.source
    if strategy.searches:
        return source.scores_steps and not source.config.endpoint
    if strategy.watches:
        return source.watches
    if strategy.name == "budget":
        return not source.config.endpoint
    if strategy.name == "auto":
        return source.config.policy is not None
    return strategy.weighing in {"confidence", *source.known}
