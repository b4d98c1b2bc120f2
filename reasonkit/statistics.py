"""Intervals and paired tests: every number comes with its n and a 95 % interval.

Wilson's for a share, Student's t for a mean, Newcombe's and McNemar's for two shares of the same
examples, Fieller's for a ratio. Leaves out corrections for comparing many models at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm, t

ADDED = 2.0
"""Examples that `gap_closed` adds."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A share of right answers, with its 95 % interval."""

    accuracy: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.accuracy:.1%} ({self.low:.1%} to {self.high:.1%}, n = {self.n})"


@dataclass(frozen=True, slots=True)
class Paired:
    """Accuracy after minus accuracy before on the same n examples, 95 % interval, p two-sided."""

    difference: float
    low: float
    high: float
    p: float
    n: int


@dataclass(frozen=True, slots=True)
class GapClosed:
    """The share of a teacher's lead that a student has made up, with its 95 % interval.

    ``low`` and ``high`` are None where the interval has no bounds: the lead itself may be nothing.
    """

    share: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over n values, e.g. seeds, with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int) -> Accuracy:
    """A proportion with Wilson's score interval (JASA 22, 1927, p. 209); n is at least 1."""
    interval = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return Accuracy(successes / n, float(interval.low), float(interval.high), n)


def wilson_of_means(values: Sequence[float], samples: int) -> Accuracy:
    """The mean over questions of each one's own accuracy, with an interval over questions.

    Wilson's interval at the effective number of questions, ``mean (1 - mean) / variance of the
    mean`` (Korn and Graubard, Survey Methodology 24, 1998, p. 193, use it with another interval).
    Where every value is 0 or 1 this is `wilson`; the closer the values lie together, the more the
    questions tell, up to as if each of their samples were a question of its own. Values that are
    all 0 or all 1 say nothing of how far questions differ, and count as one sample each.

    Args:
        values: in 0..1, one a question; at least one.
        samples: that each of them is the mean of.
    """
    n, mean = len(values), fmean(values)
    within = mean * (1 - mean)
    between = fmean((value - mean) ** 2 for value in values)
    worth = min(within / between, samples) if between else samples if within else 1
    # SciPy's interval takes whole numbers of examples alone.
    effective, z2 = n * max(worth, 1), float(norm.ppf(0.975)) ** 2
    shrunk = 1 + z2 / effective
    centre = (mean + z2 / (2 * effective)) / shrunk
    spread = within / effective + z2 / (4 * effective * effective)
    half = math.sqrt(z2) / shrunk * math.sqrt(spread)
    return Accuracy(mean, max(0.0, centre - half), min(1.0, centre + half), n)


def paired_counts(both: int, gained: int, lost: int, neither: int) -> Paired:
    """The difference of two paired proportions, from the four counts of their table.

    p is McNemar's exact test: under no difference, ``gained`` of the discordant pairs is binomial
    with 1/2; 1 where no pair is discordant. The interval is Newcombe's method 10, "square and add"
    (Statistics in Medicine 17, 1998, pp. 2635-2650): with Wilson's limits l, u of each proportion
    and the correlation φ of the two, lowered by n/2 in its numerator where that is positive::

        low  = d - sqrt((p1 - l1)² - 2 φ (p1 - l1)(u2 - p2) + (u2 - p2)²)
        high = d + sqrt((u1 - p1)² - 2 φ (u1 - p1)(p2 - l2) + (p2 - l2)²)

    where d = p1 - p2, p1 after and p2 before. φ is 0 where a proportion is 0 or 1. Unlike Wald's,
    the interval keeps a width where no pair is discordant.
    """
    n, discordant = both + gained + lost + neither, gained + lost
    one, two = wilson(both + gained, n), wilson(both + lost, n)
    product = both * neither - gained * lost
    numerator = max(product - n / 2, 0) if product > 0 else product
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    phi = numerator / math.sqrt(margins) if margins else 0.0

    def added(a: float, b: float) -> float:
        # Rounding may bring it below 0.
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    difference = (gained - lost) / n
    return Paired(
        difference,
        low=difference - added(one.accuracy - one.low, two.high - two.accuracy),
        high=difference + added(one.high - one.accuracy, two.accuracy - two.low),
        p=float(binomtest(gained, discordant, 0.5).pvalue) if discordant else 1.0,
        n=n,
    )


def gap_closed(right: npt.NDArray[np.float64]) -> GapClosed | None:
    """How much of the way from before to a teacher lies behind after; None where there is no lead.

    The share is (after - before) / (teacher - before) of the accuracies on the same examples. Its
    interval is Fieller's (Journal of the Royal Statistical Society B 16, 1954, pp. 175-185): every
    share θ that a t test of the paired differences ``gain - θ lead`` doesn't reject. With means
    g, l, their variances and covariance, and t at n - 1 degrees of freedom, those are the θ with::

        (l² - t² var(l)) θ² - 2 (g l - t² cov(g, l)) θ + g² - t² var(g) <= 0

    which has no bounds where the lead l isn't told from nothing. As Agresti and Min (Statistics in
    Medicine 24, 2005, pp. 729-740) do for paired differences, two examples are added, spread evenly
    over all that can come out, so that an interval keeps a width where all examples agree.

    Args:
        right: (3, n), 1 or 0 for each example, before, after and of the teacher.
    """
    n = right.shape[1]
    was, now, aim = right.mean(1)
    if aim <= was:
        return None
    share = float((now - was) / (aim - was))
    if n < 2:
        return GapClosed(share, None, None, n)
    outcomes = np.indices((2, 2, 2)).reshape(3, -1)
    weights = np.concatenate([np.ones(n), np.full(outcomes.shape[1], ADDED / outcomes.shape[1])])
    before, after, teacher = np.concatenate([right, outcomes], axis=1)
    differences = np.stack([after - before, teacher - before])
    gain, lead = np.average(differences, axis=1, weights=weights)
    spread = np.cov(differences, aweights=weights, ddof=0)
    spread *= float(t.ppf(0.975, n - 1)) ** 2 / weights.sum()
    a, b, c = lead**2 - spread[1, 1], gain * lead - spread[0, 1], gain**2 - spread[0, 0]
    if a <= 0:
        return GapClosed(share, None, None, n)
    half = math.sqrt(max(0.0, b * b - a * c))
    return GapClosed(share, float((b - half) / a), float((b + half) / a), n)


def interval_of_means(values: Sequence[float]) -> Mean:
    """The mean of independent values, such as seeds, with Student's t interval.

    Raises:
        ValueError: there are fewer than two, which say nothing about spread.
    """
    n = len(values)
    if n < 2:
        raise ValueError("an interval over seeds needs at least two of them")
    mean = fmean(values)
    half = float(t.ppf(0.975, n - 1)) * stdev(values) / math.sqrt(n)
    return Mean(mean, mean - half, mean + half, n)
