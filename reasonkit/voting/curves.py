"""Accuracy against samples and tokens, from one pool of samples a question.

What a smaller n would have given is a question's expectation over the subsets of its pool, which is
unbiased for n fresh samples; the interval over questions is `reasonkit.evaluation`'s. Leaves out
extrapolation beyond the pool, and the picture, which `reasonkit.report` draws.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from reasonkit.statistics import Accuracy, interval_of_means, wilson_of_means
from reasonkit.types import Weighing
from reasonkit.voting.ballots import BLANK, Ballots, Floats, Ints, is_right
from reasonkit.voting.strategies import STRATEGIES, Rules, Strategy, lengths

MOST_SUBSETS = 512
"""All subsets of a size are taken where there are no more than this, else so many random ones."""

PASS = "pass@n"
"""At least one of n samples is right: what no selection can beat."""

DIFFICULTIES = {
    "never right": 0.0,
    "up to 1 in 4": 0.25,
    "up to 1 in 2": 0.5,
    "up to 3 in 4": 0.75,
    "more often": 1.0,
}
"""How often a question's samples are right, and the upper end of each bin."""


def sizes(n: int) -> list[int]:
    """1, 2, 4 … and n itself."""
    return [*(2**i for i in range(n.bit_length()) if 2**i < n), n]


def pass_at_k(n: int, right: int, k: int) -> float:
    """The chance that at least one of k samples is right.

    Chen et al. (arXiv:2107.03374, equation 1): ``1 - C(n - c, k) / C(n, k)`` for c right ones among
    n, as the share of subsets that hold one.

    Raises:
        ValueError: k is not between 1 and n, or ``right`` not between 0 and n.
    """
    if not (1 <= k <= n and 0 <= right <= n):
        raise ValueError(f"no {k} samples with {right} right ones can be drawn from {n}")
    return 1 - comb(n - right, k) / comb(n, k)


def subsets(n: int, k: int, seed: int = 0) -> Ints:
    """(draws, k) places of the samples in subsets of size k, each in the order of sampling.

    All subsets where there are at most `MOST_SUBSETS`, so that a mean over them is exact; else so
    many random ones, each as likely as any other.
    """
    if comb(n, k) <= MOST_SUBSETS:
        return np.array(list(combinations(range(n), k)), dtype=np.int64)
    keys = np.random.default_rng([seed, n, k]).random((MOST_SUBSETS, n))
    return np.sort(keys.argpartition(k - 1, axis=1)[:, :k], axis=1)


class Estimate(NamedTuple):
    """What a strategy is expected to do on one question with ``n`` fresh samples."""

    accuracy: float
    tokens: float


def estimate(strategy: Strategy, ballots: Ballots, rules: Rules, seed: int = 0) -> Estimate:
    """What a `pooled` strategy does in the mean over `subsets` of ``rules.n`` samples."""
    places = subsets(len(ballots), rules.n, seed)
    classes, tokens = ballots.classes[places], ballots.tokens[places]
    if strategy.stops:
        taken = np.arange(rules.n) < lengths(classes, rules)[:, None]
        classes, tokens = np.where(taken, classes, BLANK), np.where(taken, tokens, 0)
    weights: Floats = getattr(ballots, strategy.weighing)[places]
    right = is_right(strategy.select(classes, weights, rules), ballots.right)
    return Estimate(float(right.mean()), float(tokens.sum(axis=1).mean()))


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy, or `PASS`, at n samples a question at most, with a prompt.

    The accuracy is a mean over questions with its 95 % interval, the tokens are a question's.
    """

    name: str
    prompt: str
    n: int
    accuracy: float
    low: float
    high: float
    questions: int
    tokens: float


def row(name: str, prompt: str, n: int, accuracy: Accuracy, tokens: float) -> Row:
    """A row from an accuracy."""
    a = accuracy
    return Row(name, prompt, n, a.accuracy, a.low, a.high, a.n, tokens)


def curves(
    pools: Sequence[Ballots], rules: Rules, prompt: str, known: Collection[Weighing]
) -> list[Row]:
    """A row for each strategy that only selects, and for `PASS`, at 1, 2, 4 … n samples.

    Args:
        pools: at least ``rules.n`` ballots of every question.
        known: what there is to weigh votes by, beside confidence, which only breaks ties.
    """
    names = [
        strategy.name
        for strategy in STRATEGIES.values()
        if strategy.pooled and strategy.weighing in {"confidence", *known}
    ]
    rows = []
    for name in (*names, PASS):
        for n in sizes(rules.n):
            made = estimates(name, pools, rules, n)
            accuracy = wilson_of_means([e.accuracy for e in made], rules.n // n)
            rows.append(row(name, prompt, n, accuracy, fmean(e.tokens for e in made)))
    return rows


def estimates(name: str, pools: Sequence[Ballots], rules: Rules, n: int) -> list[Estimate]:
    """What a selecting strategy, or `PASS`, is expected to do on each question with n samples."""
    kept = [pool.first(rules.n) for pool in pools]
    if name == PASS:
        return [
            Estimate(pass_at_k(len(p), int(p.correct.sum()), n), n * float(p.tokens.mean()))
            for p in kept
        ]
    return [estimate(STRATEGIES[name], pool, replace(rules, n=n)) for pool in kept]


def longer_against_wider(
    longer: Sequence[Ballots], wider: Sequence[Ballots], rules: Rules
) -> list[dict[str, Any]]:
    """Majorities of n long completions beside majorities of as many short ones as cost the same.

    The difference is longer less wider on the same questions, with Student's t interval over them.
    """
    apiece = [fmean(float(pool.tokens.mean()) for pool in pools) for pools in (longer, wider)]
    rows = []
    for n in sizes(rules.n):
        as_many = round(n * apiece[0] / apiece[1])
        if not 1 <= as_many <= rules.n:
            continue
        a = estimates("majority", longer, rules, n)
        b = estimates("majority", wider, rules, as_many)
        gaps = [x.accuracy - y.accuracy for x, y in zip(a, b, strict=True)]
        difference = interval_of_means(gaps) if len(gaps) > 1 else None
        rows.append(
            {
                "longer_n": n,
                "longer": fmean(e.accuracy for e in a),
                "longer_tokens": fmean(e.tokens for e in a),
                "wider_n": as_many,
                "wider": fmean(e.accuracy for e in b),
                "wider_tokens": fmean(e.tokens for e in b),
                "difference": fmean(gaps),
                "low": difference and difference.low,
                "high": difference and difference.high,
            }
        )
    return rows


def by_difficulty(pools: Sequence[Ballots], rules: Rules) -> list[dict[str, Any]]:
    """How much a vote helps with questions of each difficulty.

    Half of a question's samples, every other one, say how hard it is; the other half is voted on.
    Were both the same samples, a bin would hold those that happened to go well.
    """
    n = rules.n // 2
    bins: dict[str, list[Ballots]] = {name: [] for name in DIFFICULTIES}
    for pool in pools:
        share = float(pool.first(rules.n).correct[0::2].mean())
        name = next(name for name, end in DIFFICULTIES.items() if share <= end)
        bins[name].append(pool.taken(np.arange(1, rules.n, 2)))
    rows = []
    for name, held in bins.items():
        if not held:
            continue
        made: dict[str, Any] = {"difficulty": name, "questions": len(held), "n": n}
        for kind, of, size, times in (
            ("one", "majority", 1, n),
            ("majority", "majority", n, 1),
            ("pass", PASS, n, 1),
        ):
            a = wilson_of_means([e.accuracy for e in estimates(of, held, Rules(n), size)], times)
            made[kind] = {"accuracy": a.accuracy, "low": a.low, "high": a.high}
        rows.append(made)
    return rows
