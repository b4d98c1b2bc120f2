"""Chooses the thresholds of ``adaptive`` and ``cascade`` on questions that are not the test's.

Leaves out everything but these two numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

from reasonkit.voting.ballots import Ballots
from reasonkit.voting.playing import play
from reasonkit.voting.strategies import STRATEGIES, Rules, Strategy, Way

THRESHOLDS = (0.75, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 1.0)
"""What is tried; at 1 a strategy stops only where the rest can't matter, or never."""

TOLERANCE = 0.01
"""Of accuracy: how far below the full vote the chosen thresholds may be on those questions."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The rules with the thresholds that were chosen, and what they do on those questions.

    The same of the full vote; tokens are a question's.
    """

    rules: Rules
    accuracy: float
    full_accuracy: float
    tokens: float
    full_tokens: float
    questions: int


def tune(
    strategy: Strategy, pools: Sequence[Mapping[Way, Ballots]], rules: Rules, way: Way
) -> Tuned:
    """The cheapest thresholds that lose no more than `TOLERANCE` against the full vote.

    The full vote is the majority of n samples, for ``cascade`` of n that think.

    Args:
        pools: for each question all the samples that the strategy could ask for.
    """

    def measure(strategy: Strategy, rules: Rules, way: Way) -> tuple[float, float]:
        played = [play(strategy.procedure(rules, way), held) for held in pools]
        return fmean(p.elected.right for p in played), fmean(p.tokens for p in played)

    cascade = strategy.name == "cascade"
    full = measure(STRATEGIES["majority"], rules, "thinking" if cascade else way)
    tried = []
    for stop_at, sure_at in product(THRESHOLDS, THRESHOLDS if cascade else (rules.sure_at,)):
        candidate = replace(rules, stop_at=stop_at, sure_at=sure_at)
        tried.append((*measure(strategy, candidate, way), candidate))
    fit = [found for found in tried if found[0] >= full[0] - TOLERANCE] or tried[-1:]
    accuracy, tokens, chosen = min(fit, key=lambda found: found[1])
    return Tuned(chosen, accuracy, full[0], tokens, full[1], len(pools))
