"""Plays back completions that someone has recorded, with the scores of their reward model.

A row holds one completion of a question or a list of them; rows with the same question are one
group. Leaves out log-probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.answers.comparison import check_reference
from reasonkit.answers.reading import extract_answer
from reasonkit.errors import DataError, RefusedError
from reasonkit.generation.engine import Sampling
from reasonkit.tasks.files import records
from reasonkit.tasks.rows import USUAL, Row, agree, cell, pick_columns
from reasonkit.types import Completion, Example, Group

FIELDS: dict[str, tuple[str, ...]] = {
    "question": USUAL["question"],
    "reference": ("reference", *USUAL["answer"]),
    "completions": ("completions", "completion", "samples", "outputs", "output", "generation"),
    "scores": (),
    "tokens": (),
}
"""What a row can say, and how it is usually called; scores and tokens only where they are named."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recorded completions of a question.

    Attributes:
        group: a completion's tokens are as many as its words where the record doesn't tell.
        scores: one a completion; empty where the record has none.
    """

    group: Group
    scores: tuple[float, ...]


def read_completions(path: Path, fields: Mapping[str, str]) -> list[Recorded]:
    """The groups of a JSONL, JSON, CSV or Parquet file, in order of first appearance.

    A reference answer that is a worked solution (of several lines, with ``####`` or a box) stands
    for its final answer.

    Args:
        fields: the column of each of `FIELDS`; ``a.b`` is column b inside a. Usual names where
            there is none.

    Raises:
        DataError: one line that says which file, line and field.
    """
    rows: dict[str, Row] = {}
    completions: dict[str, list[Completion]] = {}
    scores: dict[str, list[float]] = {}
    named: dict[str, str] = {}
    for where, record in records(path):
        there = dict(_flat(record))
        named = pick_columns(there, named or fields, FIELDS, where, "field")
        row = _row(there, named, where)
        first = rows.setdefault(row.question, row)
        if not agree(first.answer, row.answer):
            raise DataError(
                f"{where}: the reference answer is {row.answer!r}, but {first.answer!r} at "
                f"{first.where} for the same question"
            )
        texts = _listed(there[named["completions"]])
        if not texts or not all(isinstance(text, str) for text in texts):
            raise DataError(
                f"{where}: expected a completion or a list of them in field "
                f"{named['completions']!r}"
            )
        given = {
            role: _numbers(there[named[role]], named[role], len(texts), where)
            for role in ("scores", "tokens")
            if role in named
        }
        counts = given.get("tokens", [len(text.split()) for text in texts])
        completions.setdefault(row.question, []).extend(
            Completion(text, (), "stop", count=int(count))
            for text, count in zip(texts, counts, strict=True)
        )
        scores.setdefault(row.question, []).extend(given.get("scores", ()))
    return [
        Recorded(Group(row.example(path.stem), completions[question]), tuple(scores[question]))
        for question, row in rows.items()
    ]


def fewest(recorded: Sequence[Recorded]) -> int:
    """How many completions there are of every question, at least."""
    return min(len(found.group.completions) for found in recorded)


class ReplayEngine:
    """Recorded completions as an engine.

    Args:
        recorded: what `read_completions` found.
    """

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self.recorded = {found.group.example.id: found for found in recorded}

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields the first ``n`` completions of each example, however they were sampled.

        Raises:
            RefusedError: fewer are recorded.
        """
        for example in examples:
            group = self.recorded[example.id].group
            if len(group.completions) < n:
                raise RefusedError(
                    f"{len(group.completions)} completions are recorded of "
                    f"{example.question[:60]!r}, not {n}: ask for fewer"
                )
            yield Group(example, group.completions[:n])


def _flat(record: Mapping[str, Any], inside: str = "") -> Iterator[tuple[str, Any]]:
    """What a record holds, by name; ``a.b`` for b inside a."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{inside}{name}.")
        else:
            yield f"{inside}{name}", value


def _row(there: Mapping[str, Any], named: Mapping[str, str], where: str) -> Row:
    question, reference = there[named["question"]], there[named["reference"]]
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{where}: no text in field {named['question']!r}")
    answer = "" if isinstance(reference, bool) else cell(reference)
    if any(sign in answer for sign in ("\n", "####", "\\boxed")):
        answer = extract_answer(answer) or ""
    if not answer:
        raise DataError(f"{where}: no reference answer in field {named['reference']!r}")
    try:
        check_reference(answer)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    return Row(where, question.strip(), answer)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _numbers(value: Any, name: str, wanted: int, where: str) -> list[float]:
    """A number for each completion of a row; each bare or the one element of a list."""
    values = [v[0] if isinstance(v, list) and len(v) == 1 else v for v in _listed(value)]
    if len(values) != wanted:
        raise DataError(
            f"{where}: {len(values)} numbers in field {name!r} for {wanted} completions"
        )
    numbers = []
    for given in values:
        number = math.nan
        with suppress(TypeError, ValueError, OverflowError):
            number = math.nan if isinstance(given, bool) else float(given)
        if not math.isfinite(number):
            raise DataError(f"{where}: {given!r} in field {name!r} is no number")
        numbers.append(number)
    return numbers
