"""Held-out accuracy, with the statistics that keep it honest.

Every model is read by one extractor that is blind to format, and every number comes with its n and
a 95 % interval; two models are compared on the same examples, by a paired test. Leaves out
corrections for comparing many models at once.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm, t

from reasonkit.answers.reading import is_well_formed
from reasonkit.answers.work import shows_work
from reasonkit.errors import DataError, RunError
from reasonkit.files import write_json
from reasonkit.generation import Engine, Sampling
from reasonkit.judging import judge
from reasonkit.prompts import ask
from reasonkit.types import Completion, Example

ADDED = 2.0
"""Examples that `gap_closed` adds."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A share of right answers, with its 95 % interval."""

    accuracy: float
    low: float
    high: float
    n: int


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was made of one example.

    Attributes:
        id: of the example.
        question: its text.
        answer: the reference answer.
        extracted: the completion's final answer, or its program; None where there is none.
        correct: whether it is the reference answer, or passes all tests. No verdict counts as
            wrong.
        tokens: length of the completion.
        finish: ``stop``, ``length``, or ``failed`` where a server gave no completion.
        format: whether the completion has the think-answer format.
        thought: whether it shows work (`shows_work`).
        text: the completion.
        why: what was taken for the answer, and how it compared.
    """

    id: str
    question: str
    answer: str
    extracted: str | None
    correct: bool
    tokens: int
    finish: str
    format: bool
    thought: bool
    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdicts on a set of examples, in its order; at least one.

    Attributes:
        verdicts: one an example.
        seconds: what it took to answer and judge.
    """

    verdicts: tuple[Verdict, ...]
    seconds: float = 0.0

    @property
    def accuracy(self) -> Accuracy:
        """Share of right answers."""
        return wilson(sum(v.correct for v in self.verdicts), len(self.verdicts))

    @property
    def thinks(self) -> float:
        """Share of completions that show work."""
        return fmean(v.thought for v in self.verdicts)

    @property
    def accuracy_when_thinking(self) -> Accuracy | None:
        """Share of right answers among the completions that show work; None if none does."""
        worked = [v.correct for v in self.verdicts if v.thought]
        return wilson(sum(worked), len(worked)) if worked else None

    @property
    def format(self) -> float:
        """Share of completions in the think-answer format."""
        return fmean(v.format for v in self.verdicts)

    @property
    def truncated(self) -> float:
        """Share of completions that were cut off."""
        return fmean(v.finish == "length" for v in self.verdicts)

    @property
    def tokens(self) -> int:
        """Tokens sampled in all."""
        return sum(v.tokens for v in self.verdicts)

    @property
    def mean_tokens(self) -> float:
        """Mean completion length."""
        return self.tokens / len(self.verdicts)

    def to_summary(self) -> dict[str, Any]:
        """Plain numbers, as they stand in ``summary.json``."""
        thinking = self.accuracy_when_thinking
        return {
            **asdict(self.accuracy),
            "mean_tokens": self.mean_tokens,
            "format": self.format,
            "thinks": self.thinks,
            "accuracy_when_thinking": thinking and thinking.accuracy,
            "truncated": self.truncated,
        }

    def save(self, path: Path) -> None:
        """Writes the summary and every verdict as JSON, atomically."""
        verdicts = [asdict(verdict) for verdict in self.verdicts]
        summary = self.to_summary()
        write_json(path, {"summary": summary, "seconds": self.seconds, "verdicts": verdicts})

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """What `save` wrote."""
        saved = json.loads(path.read_text(encoding="utf-8"))
        return cls(tuple(Verdict(**verdict) for verdict in saved["verdicts"]), saved["seconds"])


def evaluate(
    engine: Engine,
    examples: Sequence[Example],
    sampling: Sampling,
    wording: str | None = None,
    allow_weaker: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Answers each example once and judges the answers.

    Args:
        wording: name of a step-by-step wording to append to each question.
        allow_weaker: as `reasonkit.judging.judge_group` takes it.
        progress: called with the number of examples done.

    Raises:
        DataError: there are no examples.
        RunError: the engine left examples out.
    """
    if not examples:
        raise DataError("there are no examples to evaluate on: choose a split that has some")
    started = time.perf_counter()
    asked = [ask(example, wording) for example in examples] if wording else examples
    verdicts: dict[str, Verdict] = {}
    for group in engine.sample(asked, 1, sampling):
        verdict = verdict_on(group.example, group.completions[0], allow_weaker)
        verdicts[group.example.id] = verdict
        if progress is not None:
            progress(len(verdicts))
    missing = [example.id for example in examples if example.id not in verdicts]
    if missing:
        raise RunError(f"the engine gave no answer to {len(missing)} examples, {missing[0]} first")
    ordered = tuple(verdicts[example.id] for example in examples)
    return Evaluation(ordered, time.perf_counter() - started)


def verdict_on(example: Example, completion: Completion, allow_weaker: bool = False) -> Verdict:
    """What `reasonkit.judging` makes of one completion, with what is counted of it."""
    judged = judge(example, completion, allow_weaker=allow_weaker)
    return Verdict(
        id=example.id,
        question=example.question,
        answer=example.answer,
        extracted=judged.extracted,
        correct=judged.right is True,
        tokens=completion.tokens,
        finish=completion.finish_reason,
        format=is_well_formed(completion.text),
        thought=shows_work(completion.text, judged.thought, judged.extracted),
        text=completion.text,
        why=judged.why,
    )


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
    return Accuracy(mean, *_score_interval(mean, n * max(worth, 1)), n)


def _score_interval(p: float, n: float) -> tuple[float, float]:
    """Wilson's limits of a proportion, for any n above 0."""
    z2 = float(norm.ppf(0.975)) ** 2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2) / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired(before: Sequence[Verdict], after: Sequence[Verdict]) -> Paired:
    """Compares two models on the same examples.

    Raises:
        ValueError: the examples differ, or there are none.
    """
    was = {verdict.id: verdict.correct for verdict in before}
    now = {verdict.id: verdict.correct for verdict in after}
    if not was or was.keys() != now.keys():
        raise ValueError("a paired comparison needs the same examples on both sides")
    pairs = [(was[id], now[id]) for id in was]
    return paired_counts(
        both=pairs.count((True, True)),
        gained=pairs.count((False, True)),
        lost=pairs.count((True, False)),
        neither=pairs.count((False, False)),
    )


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
    n = both + gained + lost + neither
    one, two = wilson(both + gained, n), wilson(both + lost, n)
    product = both * neither - gained * lost
    numerator = max(product - n / 2, 0) if product > 0 else product
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    phi = numerator / math.sqrt(margins) if margins else 0.0
    below1, above1 = one.accuracy - one.low, one.high - one.accuracy
    below2, above2 = two.accuracy - two.low, two.high - two.accuracy
    difference = (gained - lost) / n
    discordant = gained + lost
    return Paired(
        difference=difference,
        low=difference - _added(below1, above2, phi),
        high=difference + _added(above1, below2, phi),
        p=float(binomtest(gained, discordant, 0.5).pvalue) if discordant else 1.0,
        n=n,
    )


def _added(a: float, b: float, phi: float) -> float:
    """The length of the sum of two deviations with correlation -φ; never below 0 by rounding."""
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))


def gap_closed(
    before: Sequence[Verdict], after: Sequence[Verdict], teacher: Sequence[Verdict]
) -> GapClosed | None:
    """How much of the way from ``before`` to ``teacher`` lies behind ``after``.

    The share is (after - before) / (teacher - before) of the accuracies on the same examples. Its
    interval is Fieller's (Journal of the Royal Statistical Society B 16, 1954, pp. 175-185): every
    share θ that a t test of the paired differences ``gain - θ lead`` doesn't reject. With means
    g, l, their variances and covariance, and t at n - 1 degrees of freedom, those are the θ with::

        (l² - t² var(l)) θ² - 2 (g l - t² cov(g, l)) θ + g² - t² var(g) <= 0

    which has no bounds where the lead l isn't told from nothing. As Agresti and Min (Statistics in
    Medicine 24, 2005, pp. 729-740) do for paired differences, two examples are added, spread evenly
    over all that can come out, so that an interval keeps a width where all examples agree.

    None where the teacher is not the better one, so that there is no gap.

    Raises:
        ValueError: the examples differ.
    """
    sides = [{v.id: v.correct for v in verdicts} for verdicts in (before, after, teacher)]
    if not sides[0].keys() == sides[1].keys() == sides[2].keys():
        raise ValueError("a gap needs the same examples on all sides")
    right = np.array([[side[id] for id in sides[0]] for side in sides], dtype=float)
    was, now, aim = right.mean(1)
    if aim <= was:
        return None
    n = right.shape[1]
    low, high = _fieller(right)
    return GapClosed(float((now - was) / (aim - was)), low, high, n)


def _fieller(right: npt.NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The interval of `gap_closed`, of verdicts (3, n) before, after and of the teacher."""
    n = right.shape[1]
    if n < 2:
        return None, None
    outcomes = np.indices((2, 2, 2)).reshape(3, -1)
    was, now, aim = np.concatenate([right, outcomes], axis=1)
    weights = np.concatenate([np.ones(n), np.full(outcomes.shape[1], ADDED / outcomes.shape[1])])
    differences = np.stack([now - was, aim - was])
    gain, lead = np.average(differences, axis=1, weights=weights)
    spread = np.cov(differences, aweights=weights, ddof=0)
    spread *= float(t.ppf(0.975, n - 1)) ** 2 / weights.sum()
    a, b, c = lead**2 - spread[1, 1], gain * lead - spread[0, 1], gain**2 - spread[0, 0]
    if a <= 0:
        return None, None
    half = math.sqrt(max(0.0, b * b - a * c))
    return float((b - half) / a), float((b + half) / a)


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
