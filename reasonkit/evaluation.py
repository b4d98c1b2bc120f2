"""Held-out accuracy: a model is asked, and one extractor that is blind to format reads it.

Two models are compared on the same examples. The intervals and tests are `reasonkit.statistics`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from reasonkit import statistics
from reasonkit.answers.reading import is_well_formed
from reasonkit.answers.work import shows_work
from reasonkit.errors import RunError
from reasonkit.files import write_json
from reasonkit.generation.engine import Engine, Sampling
from reasonkit.judging import judge
from reasonkit.statistics import Accuracy, GapClosed, Paired, wilson
from reasonkit.types import Completion, Example


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
    def format(self) -> float:
        """Share of completions in the think-answer format."""
        return fmean(v.format for v in self.verdicts)

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
        working = [v.correct for v in self.verdicts if v.thought]
        return {
            **asdict(self.accuracy),
            "mean_tokens": self.mean_tokens,
            "format": self.format,
            "thinks": len(working) / len(self.verdicts),
            "accuracy_when_thinking": fmean(working) if working else None,
            "truncated": fmean(v.finish == "length" for v in self.verdicts),
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
    allow_weaker: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Answers each example once and judges the answers.

    Args:
        allow_weaker: as `reasonkit.judging.judge_group` takes it.
        progress: called with the number of examples done.

    Raises:
        RunError: the engine left examples out.
    """
    started = time.perf_counter()
    verdicts: dict[str, Verdict] = {}
    for group in engine.sample(examples, 1, sampling):
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


def _side_by_side(*sides: Sequence[Verdict]) -> list[tuple[bool, ...]]:
    """For each example whether it was right on each side."""
    right = [{verdict.id: verdict.correct for verdict in verdicts} for verdicts in sides]
    if not right[0] or any(side.keys() != right[0].keys() for side in right):
        raise ValueError("a paired comparison needs the same examples on all sides")
    return [tuple(side[id] for side in right) for id in right[0]]


def paired(before: Sequence[Verdict], after: Sequence[Verdict]) -> Paired:
    """Compares two models on the same examples (`reasonkit.statistics.paired_counts`).

    Raises:
        ValueError: the examples differ, or there are none.
    """
    pairs = Counter(_side_by_side(before, after))
    return statistics.paired_counts(
        both=pairs[True, True],
        gained=pairs[False, True],
        lost=pairs[True, False],
        neither=pairs[False, False],
    )


def gap_closed(
    before: Sequence[Verdict], after: Sequence[Verdict], teacher: Sequence[Verdict]
) -> GapClosed | None:
    """How much of the way from ``before`` to ``teacher`` lies behind ``after``.

    By `reasonkit.statistics.gap_closed`; None where the teacher is not the better one.

    Raises:
        ValueError: the examples differ, or there are none.
    """
    return statistics.gap_closed(np.array(_side_by_side(before, after, teacher), dtype=float).T)
