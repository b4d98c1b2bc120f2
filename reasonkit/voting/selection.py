"""Which answer is elected: pure functions over many draws of samples at once.

Each takes arrays of shape (draws, k): the answer's class of every sample and its weight, and gives
the elected class of every draw, `BLANK` where no sample has an answer. A single question is a draw
of its own. Ties go to the larger summed weight, then to the answer that came first. Leaves out
averages of weights an answer: they throw away the votes (PaLM-540B on GSM8K falls from 74 % to
22 %, Wang et al., arXiv:2203.11171, table 1).
"""

from __future__ import annotations

import numpy as np

from reasonkit.voting.ballots import BLANK, Floats, Ints

POWER = 0.5
"""How much the ranks of votes count: at 0 all the same, above 1 hardly but the first."""


def majority(classes: Ints, weights: Floats) -> Ints:
    """The answer with most votes (self-consistency, Wang et al., arXiv:2203.11171).

    Weights break ties; NaN counts as 0.
    """
    count = _count(classes)
    votes = _sums(classes, np.ones(classes.shape), count)
    return _winner(classes, [votes, _sums(classes, weights, count)], count)


def weighted(classes: Ints, weights: Floats) -> Ints:
    """The answer whose votes weigh most in sum (Wang et al., section 3.1; Li et al., 2206.02336).

    A weight below 0 is a vote against its answer; NaN counts as 0.
    """
    count = _count(classes)
    return _winner(classes, [_sums(classes, weights, count)], count)


def best_of_n(classes: Ints, scores: Floats) -> Ints:
    """The answer of the best-scored sample that has one (Cobbe et al., arXiv:2110.14168).

    NaN, no verdict, is below all other scores.
    """
    chosen = _ranks(classes, scores).argmin(axis=1)
    return np.take_along_axis(classes, chosen[:, None], axis=1)[:, 0]


def top_k_vote(classes: Ints, scores: Floats, k: int) -> Ints:
    """The majority among the k best-scored samples, or all (Cobbe et al., section 4.3, figure 7).

    Scores are as in `best_of_n`; they also break ties.
    """
    return majority(np.where(_ranks(classes, scores) < k, classes, BLANK), scores)


def confident(classes: Ints, weights: Floats, share: float) -> Ints:
    """The answer whose votes weigh most among the heaviest share of the samples, at least one.

    DeepConf, offline (Fu et al., arXiv:2508.15260, section 3.2): filtered, then weighted by the
    confidence that it was filtered by.
    """
    kept = max(1, round(share * classes.shape[1]))
    return weighted(np.where(_ranks(classes, weights) < kept, classes, BLANK), weights)


def borda(classes: Ints, weights: Floats) -> Ints:
    """The answer with most points: a sample of rank r among N has (N - r + 1)^p of them.

    Borda voting by self-certainty (Kang et al., arXiv:2502.18581, section 4.3); `POWER` is p.
    """
    points = (classes.shape[1] - _ranks(classes, weights)).astype(np.float64) ** POWER
    return weighted(classes, points)


def representative(classes: Ints, weights: Floats, elected: int) -> int:
    """The place of the sample of an elected class, of one question, that weighs most.

    It is the first of equals; NaN is below all other weights.
    """
    members = np.flatnonzero(classes == elected)
    return int(members[_without_nan(weights)[members].argmax()])


def _count(classes: Ints) -> int:
    return int(classes.max(initial=BLANK)) + 1


def _sums(classes: Ints, weights: Floats, count: int) -> Floats:
    """(draws, count) the summed weight of each class in each draw."""
    votes, first = classes != BLANK, np.arange(len(classes))[:, None] * count
    known = np.nan_to_num(weights, nan=0.0)[votes]
    sums = np.bincount((first + classes)[votes], known, minlength=len(classes) * count)
    return sums.astype(np.float64).reshape(len(classes), count)


def _winner(classes: Ints, criteria: list[Floats], count: int) -> Ints:
    """The class that is best by the first criterion, then by the next, then came first."""
    draws, k = classes.shape
    if not count:
        return np.full(draws, BLANK)
    mine = classes[:, None, :] == np.arange(count)[:, None]
    appears = np.where(mine.any(axis=2), mine.argmax(axis=2), k)
    left = appears < k
    for criterion in criteria:
        best = np.where(left, criterion, -np.inf).max(axis=1, keepdims=True)
        # Sums of the same weights in another order differ in the last digits.
        left &= criterion >= best - 1e-12 * np.abs(np.where(np.isfinite(best), best, 0))
    elected = np.where(left, appears, k).argmin(axis=1)
    return np.where(left.any(axis=1), elected, BLANK)


def _ranks(classes: Ints, scores: Floats) -> Ints:
    """(draws, k) the place of each sample, best score first; those without answer come last."""
    return np.lexsort((-_without_nan(scores), classes == BLANK), axis=1).argsort(axis=1)


def _without_nan(scores: Floats) -> Floats:
    return np.where(np.isnan(scores), -np.inf, scores)
