"""What a smaller n would have given, from one pool of N samples a question.

Every number here is one question's expectation over the subsets of its pool, which is unbiased for
n fresh samples; the interval over questions is `reasonkit.evaluation`'s. Leaves out extrapolation
beyond N.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from reasonkit.voting.ballots import BLANK, Ballots, Floats, Ints, is_right
from reasonkit.voting.strategies import Rules, Strategy

MOST_SUBSETS = 512
"""All subsets of a size are taken where there are no more than this, else so many random ones."""


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


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a strategy is expected to do on one question with ``n`` fresh samples."""

    accuracy: float
    tokens: float


def estimate(strategy: Strategy, ballots: Ballots, rules: Rules, seed: int = 0) -> Estimate:
    """What a strategy with a ``select`` does with ``rules.n`` of a question's samples.

    The mean over subsets of the pool (`subsets`), which is unbiased: n of N exchangeable samples
    are n samples. Exact where all subsets are taken.
    """
    assert strategy.select is not None
    places = subsets(len(ballots), rules.n, seed)
    classes, tokens = ballots.classes[places], ballots.tokens[places]
    if strategy.lengths is not None:
        taken = np.arange(rules.n) < strategy.lengths(classes, rules)[:, None]
        classes, tokens = np.where(taken, classes, BLANK), np.where(taken, tokens, 0)
    weights: Floats = getattr(ballots, strategy.weighing)[places]
    right = is_right(strategy.select(classes, weights, rules), ballots.right)
    return Estimate(float(right.mean()), float(tokens.sum(axis=1).mean()))
