"""The strategies: how each goes about a question, one entry of a table each.

A strategy's procedure asks for samples and is sent their ballots until it can elect an answer::

    def cascade(rules, way):
        quick = yield Draw("at-once", rules.quick)
        if they agree:
            return STRATEGIES["majority"].elect("at-once", quick, rules)
        return (yield from adaptive(rules, "thinking"))

It doesn't know where samples come from: a recipe draws them from a model for all questions side by
side, `playing.play` takes them from pools. Leaves out sampling itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Literal

from reasonkit.types import Weighing
from reasonkit.voting import selection
from reasonkit.voting.ballots import BLANK, Ballots, Floats, Ints
from reasonkit.voting.stopping import front_runners, stops, sureness

Way = Literal[
    "asked",
    "thinking",
    "at-once",
    "greedy",
    "greedy-thinking",
    "budget",
    "beam",
    "dvts",
    "rebase",
    "chosen",
    "watched",
]
"""How a sample comes about: which prompt, drawn or greedy, its thought forced or searched for."""

Select = Callable[[Ints, Floats, "Rules"], Ints]


@dataclass(frozen=True, slots=True)
class Draw:
    """A wish for the first ``count`` samples of a way; those there are aren't drawn again."""

    way: Way
    count: int


@dataclass(frozen=True, slots=True)
class Option:
    """What can be spent on a question: a strategy with so many samples of a way."""

    name: str
    n: int
    way: Way

    def __str__(self) -> str:
        alone = STRATEGIES[self.name].single
        return self.name if alone else f"{self.name}@{self.n}, {self.way}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What is spent on which question.

    Attributes:
        look: what is drawn first, of every question; nothing where all are treated alike.
        options: what follows, by how many of those samples agree, from none to all; None to leave
            it at their majority.
        words: how questions were put when it was learned, by setting of
            `reasonkit.config.VoteConfig`.
    """

    look: Draw
    options: tuple[Option | None, ...]
    words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers that strategies go by, as `reasonkit.config.VoteConfig` explains them."""

    n: int
    top_k: int = 4
    stop_at: float = 0.95
    round_size: int = 4
    quick: int = 4
    sure_at: float = 0.95
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Elected:
    """The elected class of a question, `BLANK` where nobody answers, and who speaks for it."""

    way: Way
    ballots: Ballots
    choice: int
    place: int

    @property
    def answer(self) -> str | None:
        """The elected answer."""
        return None if self.choice == BLANK else self.ballots.answers[self.choice]

    @property
    def right(self) -> bool:
        """Whether it is the reference answer."""
        return self.choice != BLANK and self.ballots.right[self.choice]


Procedure = Generator[Draw, Ballots, Elected]


def _plain(select: Callable[[Ints, Floats], Ints]) -> Select:
    return lambda classes, weights, rules: select(classes, weights)


_MAJORITY, _BEST = _plain(selection.majority), _plain(selection.best_of_n)
_WEIGHTED = _plain(selection.weighted)


@dataclass(frozen=True, slots=True)
class Strategy:
    """An entry of the table.

    Attributes:
        select: the election among the samples of a draw.
        weighing: what ``select`` weighs the votes by.
        way: of its samples, where it doesn't take them as they are asked for.
        stops: whether it takes no more of a draw's samples than make it sure.
        single: whether it takes one sample, whatever ``n``.
        searches: whether a verifier leads its samples, step by step.
        watches: whether it looks at how sure samples are while they are drawn.
        course: how it goes about a question, where there is more to it than one draw.
    """

    name: str
    summary: str
    select: Select = _MAJORITY
    weighing: Weighing = "confidence"
    way: Way | None = None
    stops: bool = False
    single: bool = False
    searches: bool = False
    watches: bool = False
    course: Callable[[Rules, Way], Procedure] | None = None

    @property
    def pooled(self) -> bool:
        """Whether what smaller n would give is known from a pool (`curves.estimate`)."""
        return self.way is None and self.course is None

    def procedure(self, rules: Rules, asked: Way) -> Procedure:
        """How it goes about a question; given the way in which samples are asked for."""
        if self.course is not None:
            return (yield from self.course(rules, asked))
        way, most = self.way or asked, 1 if self.single else rules.n
        for count in range(rules.round_size, most, rules.round_size) if self.stops else ():
            ballots = yield Draw(way, count)
            if lengths(ballots.classes[None, :], rules)[0] <= count:
                return self.elect(way, ballots, rules)
        return self.elect(way, (yield Draw(way, most)), rules)

    def elect(self, way: Way, ballots: Ballots, rules: Rules) -> Elected:
        """The election among all of a question's samples."""
        weights: Floats = getattr(ballots, self.weighing)
        choice = int(self.select(ballots.classes[None, :], weights[None, :], rules)[0])
        place = selection.representative(ballots.classes, weights, choice)
        return Elected(way, ballots, choice, place)


def lengths(classes: Ints, rules: Rules) -> Ints:
    """How many samples of each draw make a strategy that stops sure."""
    return stops(classes, rules.stop_at, rules.round_size, rules.n)


def _cascade(rules: Rules, way: Way) -> Procedure:
    quick = yield Draw("at-once", rules.quick)
    leader, second = front_runners(quick.votes[None, :])
    if sureness(leader, second)[0] >= rules.sure_at:
        return STRATEGIES["majority"].elect("at-once", quick, rules)
    return (yield from STRATEGIES["adaptive"].procedure(rules, "thinking"))


def _self_select(rules: Rules, way: Way) -> Procedure:
    yield Draw(way, rules.n)
    return STRATEGIES["majority"].elect("chosen", (yield Draw("chosen", 1)), rules)


def _auto(rules: Rules, way: Way) -> Procedure:
    """What the policy says: see `reasonkit.voting.routing`."""
    assert rules.policy is not None
    look = rules.policy.look
    agreed = 0
    if look.count:
        first = yield look
        agreed = agreement(first)
    option = rules.policy.options[agreed]
    if option is None:
        return STRATEGIES["majority"].elect(look.way, first, rules)
    spent = replace(rules, n=option.n)
    return (yield from STRATEGIES[option.name].procedure(spent, option.way))


def agreement(ballots: Ballots) -> int:
    """How many samples give the answer that most of them give."""
    return int(ballots.votes.max(initial=0))


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("greedy", "one greedy completion", way="greedy", single=True),
        Strategy(
            "step-by-step",
            "one greedy completion, asked to think step by step (Kojima et al., 2205.11916)",
            way="greedy-thinking",
            single=True,
        ),
        Strategy(
            "majority",
            "the answer with most votes of n (self-consistency, Wang et al., 2203.11171)",
        ),
        Strategy(
            "weighted",
            "the answer with the largest sum of scores",
            _WEIGHTED,
            "scores",
        ),
        Strategy(
            "best-of-n",
            "the answer of the best-scored completion (Cobbe et al., 2110.14168)",
            _BEST,
            "scores",
        ),
        Strategy(
            "top-k-vote",
            "the majority among the best-scored few (Cobbe et al.)",
            lambda classes, scores, rules: selection.top_k_vote(classes, scores, rules.top_k),
            "scores",
        ),
        Strategy(
            "deepconf-high",
            "the answer with the largest sum of confidence among the surest 90 % (DeepConf, Fu et "
            "al., 2508.15260)",
            lambda classes, steady, rules: selection.confident(classes, steady, 0.9),
            "steady",
        ),
        Strategy(
            "deepconf-low",
            "the same among the surest 10 %",
            lambda classes, steady, rules: selection.confident(classes, steady, 0.1),
            "steady",
        ),
        Strategy(
            "deepconf-online",
            "as deepconf-high; samples stop once they are less sure than the first few were",
            _WEIGHTED,
            "steady",
            way="watched",
            watches=True,
        ),
        Strategy(
            "borda",
            "votes count by their rank in self-certainty (Kang et al., 2502.18581)",
            _plain(selection.borda),
            "certainty",
        ),
        Strategy(
            "adaptive",
            "majority; stops as soon as it is sure (Aggarwal et al., 2305.11860)",
            stops=True,
        ),
        Strategy(
            "cascade",
            "answers outright; thinks only where those answers disagree, and votes only as long as "
            "the thoughts do",
            course=_cascade,
        ),
        Strategy(
            "auto",
            "what a question's first samples make worth it, as learned on the validation split "
            "(Snell et al., 2408.03314)",
            course=_auto,
        ),
        Strategy(
            "self-select",
            "the model reads its n answers and chooses one (Chen et al., 2311.17311)",
            course=_self_select,
        ),
        Strategy(
            "budget",
            "one greedy thought, capped or made longer (s1, Muennighoff et al., 2501.19393)",
            way="budget",
            single=True,
        ),
        Strategy(
            "beam",
            "keeps the beginnings whose steps a verifier scores best (Snell et al., 2408.03314)",
            _BEST,
            "scores",
            way="beam",
            searches=True,
        ),
        Strategy(
            "dvts",
            "the same in several small trees, for answers that differ (Beeching et al., 2024)",
            _WEIGHTED,
            "scores",
            way="dvts",
            searches=True,
        ),
        Strategy(
            "rebase",
            "keeps all that earns a way on, in as many ways as its score is worth (Wu et al., "
            "2408.00724)",
            _WEIGHTED,
            "scores",
            way="rebase",
            searches=True,
        ),
    )
}
