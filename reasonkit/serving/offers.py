"""Models by name: the plain one, and a strategy of `vote` before it as ``NAME:STRATEGY@SAMPLES``.

A strategy that is new in the table is offered here by itself. What chooses one for each question
(`auto`, by a policy that was learned) is one of them, and answers under the plain name where
requests are routed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from reasonkit.answering import Respondent
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.generation.paid import ServerEngine
from reasonkit.voting import routing
from reasonkit.voting.strategies import STRATEGIES, Strategy

PLAIN = "plain"
"""The model itself, where its name stands for something else, and in what is counted."""

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
        route: whether the plain name stands for what the policy chooses.
    """

    def __init__(self, respondent: Respondent, name: str, most: int, route: bool = False) -> None:
        self.name, self.most = name, most
        self.plain = f"{name}:{PLAIN}" if route else name
        self.strategies = {s.name: s for s in STRATEGIES.values() if _can_be_had(s, respondent)}

    def __iter__(self) -> Iterator[Offer]:
        """What the name stands for, the plain one if that is another, then each strategy with its
        usual number of samples."""
        for id in dict.fromkeys((self.name, self.plain)):
            yield self.find(id)
        for strategy in sorted(self.strategies.values(), key=lambda s: not _counts(s)):
            yield self._offer(strategy)

    def find(self, id: str, open: bool = True) -> Offer:
        """What a name stands for.

        Args:
            open: whether a request leaves to the server how it is answered. One that doesn't isn't
                routed.

        Raises:
            UnknownNameError: nothing, or for more samples than a request may have.
        """
        if id == self.plain or (id == self.name and not open):
            return Offer(id)
        if id == self.name:
            return Offer(id, self.strategies["auto"])
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


def require_routing(policy: str | None) -> None:
    """Refuses to route by what looks at no question.

    Raises:
        RefusedError: there is no policy, or it spends the same on all.
        DataError: it can't be read.
    """
    if policy is None:
        raise RefusedError("--route needs --policy: a run of `reasonkit vote --strategy auto`")
    if not routing.read(Path(policy)).look.count:
        raise RefusedError(
            f"--route: {policy} spends the same on every question: learn a policy on questions of "
            "the kinds that will be asked, easy ones too"
        )


def _counts(strategy: Strategy) -> bool:
    """Whether it takes a number of samples; a policy has its own."""
    return not strategy.single and strategy.name != "auto"


def _can_be_had(strategy: Strategy, respondent: Respondent) -> bool:
    source = respondent.source
    if strategy.searches:
        return source.scores_steps and not source.config.endpoint
    if strategy.watches:
        return source.watches
    if strategy.name == "budget" and source.config.endpoint:
        with suppress(RefusedError):
            cast(ServerEngine, source.engine).require_continuing()
            return True
        return False
    if strategy.name == "auto":
        return source.config.policy is not None
    return strategy.weighing in {"confidence", *source.known}
