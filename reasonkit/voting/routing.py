"""Learns what to spend on which question: the compute-optimal way of Snell et al. (2408.03314).

Their section 3: of the ways to spend a budget, the best one depends on how hard a question is,
which is predicted. Here by how far a few first samples agree; they are not lost, since a strategy
that follows takes them as its own. For each level of agreement the option is taken that is worth
most at a price of tokens, on questions that are not the test's; a higher price makes a cheaper
policy. Leaves out predictors that read the question.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from reasonkit.errors import DataError
from reasonkit.voting.ballots import Ballots, Floats, Ints
from reasonkit.voting.curves import sizes
from reasonkit.voting.playing import play
from reasonkit.voting.strategies import (
    STRATEGIES,
    Draw,
    Option,
    Policy,
    Procedure,
    Rules,
    Way,
    agreement,
)

FILE = "policy.json"
"""Its name in a run."""

WORDS = ("at_once", "wording")
"""Settings that tell how questions are put: what was learned with some holds for no others."""

LOOKS = (0, 1, 2, 4)
"""Samples of a first look; without one all questions are of one level."""

ORDERS = 4
"""Orders in which a question's samples are taken, so that each is as good as several questions."""

FEWEST = 3 * ORDERS
"""Cases that a level of agreement takes to have an option of its own."""

FOLDS = 5
"""Parts of the questions: each tells what a policy does that was learned from the others."""

PRICES = np.geomspace(1e-7, 1e-2, 41)
"""Of a token, in right answers."""

ALONE = (Option("greedy", 1, "greedy"), Option("step-by-step", 1, "greedy-thinking"))
"""What can be spent beside votes."""

VOTES = ("majority", "adaptive", "weighted", "best-of-n")
WAYS: tuple[Way, ...] = ("asked", "thinking", "at-once", "greedy", "greedy-thinking")

Pools = Mapping[Way, Ballots]


T = TypeVar("T", Policy, Option)


@dataclass(frozen=True, slots=True)
class Spent(Generic[T]):
    """A policy or an option, and what it does on questions like those that it is learned from.

    The tokens are a question's.
    """

    on: T
    accuracy: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Learned:
    """What can be had: policies and fixed options, of each kind those that no other beats in both
    accuracy and tokens, cheapest first."""

    policies: list[Spent[Policy]]
    fixed: list[Spent[Option]]
    questions: int


@dataclass(frozen=True, slots=True)
class _Played:
    """What an option comes to, each of shape (cases,): right or not, samples drawn of its way."""

    option: Option
    right: Floats
    count: Floats


def votes(names: Sequence[str], ways: Sequence[Way], rules: Rules) -> list[Option]:
    """The named strategies at 1, 2, 4 … n samples of each way."""
    return [Option(name, n, way) for name in names for way in ways for n in sizes(rules.n)]


def learn(pools: Sequence[Pools], options: Sequence[Option], rules: Rules) -> Learned:
    """The policies over these options.

    Args:
        pools: for each question as many samples of every way as an option may ask for. A first look
            may be of any way of which there is more than one.
    """
    cases = [_turned(held, turn) for held in pools for turn in range(ORDERS)]
    prefix = {way: _prefixes([case[way] for case in cases]) for way in cases[0]}
    played = [_play(option, cases, rules) for option in options]
    rows = np.arange(len(cases))
    fixed = [
        Spent(one.option, one.right.mean(), prefix[one.option.way][rows, one.count].mean())
        for one in played
    ]
    policies = [
        spent
        for way, tokens in prefix.items()
        for count in LOOKS
        if count < tokens.shape[1] - 1
        for spent in _by_price(Draw(way, count), cases, prefix, played, rules)
    ]
    return Learned(_frontier(policies), _frontier(fixed), len(pools))


def choose(learned: Learned, budget: float | None) -> Spent[Policy]:
    """The best policy of a budget; without one, the cheapest that may be as good as any.

    Which is no more than a standard error below the best policy or option (the rule of Breiman et
    al., Classification and Regression Trees, 1984, section 3.4.3).

    Args:
        budget: tokens a question, in the mean.
    """
    if budget is not None:
        return affordable(learned.policies, budget)
    best = max(learned.fixed[-1].accuracy, learned.policies[-1].accuracy)
    enough = best - math.sqrt(best * (1 - best) / learned.questions)
    good = [spent for spent in learned.policies if spent.accuracy >= enough]
    return (good or learned.policies[-1:])[0]


def affordable(frontier: Sequence[Spent[T]], budget: float) -> Spent[T]:
    """The best of what costs no more than a budget, or the cheapest."""
    return ([spent for spent in frontier if spent.tokens <= budget] or [frontier[0]])[-1]


def begin(on: Policy | Option, rules: Rules) -> Procedure:
    """How a policy or an option goes about a question."""
    if isinstance(on, Policy):
        return STRATEGIES["auto"].procedure(replace(rules, policy=on), on.look.way)
    return STRATEGIES[on.name].procedure(replace(rules, n=on.n), on.way)


def in_words(policy: Policy) -> list[tuple[str, str]]:
    """What is done at each level of agreement."""
    look = policy.look
    levels = [f"{level} of {look.count} agree ({look.way})" for level in range(look.count + 1)]
    levels = levels if look.count else ["every question"]
    spent = [str(option) if option else "that is the answer" for option in policy.options]
    return list(zip(levels, spent, strict=True))


def save(policy: Policy, path: Path) -> None:
    """Writes a policy."""
    told = asdict(policy) | {"words": dict(policy.words)}
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> Policy:
    """A policy as it was saved, in a file or a run.

    Raises:
        DataError: there is none, or it isn't one of ours.
    """
    if path.is_dir():
        path = path / FILE
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        look = Draw(told["look"]["way"], int(told["look"]["count"]))
        options = tuple(
            one and Option(one["name"], int(one["n"]), one["way"]) for one in told["options"]
        )
        spent = [option for option in options if option]
        known = {o.name for o in spent} <= {*VOTES, *(o.name for o in ALONE)}
        if len(options) != look.count + 1 or not known or not all(o.n > 0 for o in spent):
            raise ValueError
        if not {look.way, *(o.way for o in spent)} <= {*WAYS}:
            raise ValueError
        if not look.count and options[0] is None:
            raise ValueError
        put = dict(told.get("words", {}))
        words = tuple((name, str(put[name])) for name in WORDS if name in put)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file: learn one by --strategy auto on a task") from error
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise DataError(f"{path} is no policy: learn one by --strategy auto on a task") from error
    return Policy(look, options, words)


def _turned(held: Pools, turn: int) -> dict[Way, Ballots]:
    """The samples in another order: each of `ORDERS` begins elsewhere."""
    return {
        way: ballots.taken(np.roll(np.arange(len(ballots)), -turn * len(ballots) // ORDERS))
        for way, ballots in held.items()
    }


def _prefixes(ballots: Sequence[Ballots]) -> Floats:
    """(cases, samples + 1) the tokens of the first samples of each case."""
    sums = np.cumsum([one.tokens for one in ballots], axis=1, dtype=np.float64)
    return np.pad(sums, ((0, 0), (1, 0)))


def _play(option: Option, cases: Sequence[Pools], rules: Rules) -> _Played:
    outcomes = [play(begin(option, rules), case) for case in cases]
    right = np.array([one.elected.right for one in outcomes], dtype=np.float64)
    return _Played(option, right, np.array([one.samples for one in outcomes]))


def _by_price(
    look: Draw,
    cases: Sequence[Pools],
    prefix: Mapping[Way, Floats],
    played: Sequence[_Played],
    rules: Rules,
) -> list[Spent[Policy]]:
    """The policies that begin with a look, one a price."""
    first = [case[look.way].first(look.count) for case in cases]
    rows, looked = np.arange(len(cases)), prefix[look.way][:, look.count]
    options, right, tokens = list[Option | None](), list[Floats](), list[Floats]()
    if look.count:
        outright = _play(Option("majority", look.count, look.way), cases, rules)
        options, right, tokens = [None], [outright.right], [looked]
    for one in played:
        options.append(one.option)
        right.append(one.right)
        if one.option.way == look.way:
            tokens.append(prefix[look.way][rows, np.maximum(one.count, look.count)])
        else:
            tokens.append(looked + prefix[one.option.way][rows, one.count])
    levels = np.eye(look.count + 1)[[agreement(ballots) for ballots in first]]
    rights, costs = np.array(right), np.array(tokens)
    fold = rows // ORDERS % FOLDS
    found = []
    for price in PRICES:
        accuracy = spent = 0.0
        for held in range(FOLDS):
            best = _best(rights, costs, levels * (fold != held)[:, None], price)
            taken = best[levels[fold == held].argmax(1)], rows[fold == held]
            accuracy, spent = accuracy + rights[taken].sum(), spent + costs[taken].sum()
        taken_at = _best(rights, costs, levels, price)
        policy = Policy(look, tuple(options[i] for i in taken_at))
        found.append(Spent(policy, float(accuracy) / len(cases), float(spent) / len(cases)))
    return found


def _best(rights: Floats, costs: Floats, levels: Floats, price: float) -> Ints:
    """The option that is worth most at each level; a rare level has that of all together.

    But where no sample has an answer, as none has to a greeting, there is nothing to vote on: while
    that is rare, it is left at the first look.

    Args:
        rights, costs: of each option, (options, cases).
        levels: (cases, levels) 1 where a case is of a level.
    """
    worth = (rights - price * costs) @ levels
    rare = levels.sum(0) < FEWEST
    worth[:, rare] = worth.sum(1, keepdims=True)
    best = np.asarray(worth.argmax(0))
    if len(rare) > 1 and rare[0]:
        best[0] = 0
    return best


def _frontier(spent: Sequence[Spent[T]]) -> list[Spent[T]]:
    """What nothing beats in both accuracy and tokens, cheapest first."""
    best = list[Spent[T]]()
    for one in sorted(spent, key=lambda one: (one.tokens, -one.accuracy)):
        if not best or one.accuracy > best[-1].accuracy:
            best.append(one)
    return best
