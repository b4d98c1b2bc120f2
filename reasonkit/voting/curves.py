"""Accuracy against samples and tokens, from one pool of samples a question.

Leaves out the picture itself, which `reasonkit.report` draws from these plain values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from reasonkit.statistics import Accuracy, interval_of_means, wilson_of_means
from reasonkit.voting.ballots import Ballots
from reasonkit.voting.estimates import Estimate, estimate, pass_at_k, sizes
from reasonkit.voting.strategies import STRATEGIES, Rules

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


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy at one size.

    Attributes:
        name: of the strategy, or `PASS`.
        prompt: ``asked`` or ``thinking``.
        n: samples a question, at most.
        accuracy: mean over questions, with its 95 % interval from ``low`` to ``high``.
        questions: how many.
        tokens: sampled a question, on average.
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


def curves(pools: Sequence[Ballots], rules: Rules, prompt: str, scored: bool) -> list[Row]:
    """A row for each strategy that only selects, and for `PASS`, at 1, 2, 4 … n samples.

    Args:
        pools: at least ``rules.n`` ballots of every question.
        scored: whether there is something to rank completions by.
    """
    names = [
        strategy.name
        for strategy in STRATEGIES.values()
        if strategy.select is not None and (scored or strategy.weighing != "scores")
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

    Args:
        longer: ballots of the prompt that asks for work, of every question.
        wider: ballots of the plain prompt, of the same questions.
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

    Args:
        pools: at least two ballots of every question.
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
        made = {
            kind: wilson_of_means([e.accuracy for e in estimates(of, held, Rules(n), size)], times)
            for kind, of, size, times in (
                ("one", "majority", 1, n),
                ("majority", "majority", n, 1),
                ("pass", PASS, n, 1),
            )
        }
        rows.append({"difficulty": name, "questions": len(held), "n": n, **_plain(made)})
    return rows


def _plain(accuracies: dict[str, Accuracy]) -> dict[str, dict[str, float]]:
    return {
        kind: {"accuracy": a.accuracy, "low": a.low, "high": a.high}
        for kind, a in accuracies.items()
    }
