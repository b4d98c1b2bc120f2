"""Plays back completions that someone has recorded, with the scores of their reward model.

A row holds one completion of a question or a list of them; rows with the same question are one
group. Leaves out log-probabilities.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.answers.comparison import answers_match, check_reference
from reasonkit.answers.reading import extract_answer
from reasonkit.errors import DataError, RefusedError
from reasonkit.generation import Sampling
from reasonkit.tasks.files import records
from reasonkit.tasks.rows import USUAL, Row, cell
from reasonkit.types import Completion, Example, Group

FIELDS: dict[str, tuple[str, ...]] = {
    "question": USUAL["question"],
    "reference": ("reference", *USUAL["answer"]),
    "completions": ("completions", "completion", "samples", "outputs", "output", "generation"),
    "scores": (),
    "tokens": (),
}
"""What a row can say, and how it is usually called; scores and tokens only where they are named."""

NEEDED = ("question", "reference", "completions")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recorded completions of a question.

    Attributes:
        group: a completion's tokens are as many as its words where the record doesn't tell.
        scores: one a completion; empty where the record has none.
    """

    group: Group
    scores: tuple[float, ...]


def parse_fields(pairs: Sequence[str]) -> dict[str, str]:
    """``question=prompt,reference=gt`` as a mapping; several such texts add up.

    Raises:
        RefusedError: it isn't of this form.
    """
    fields = {}
    for pair in ",".join(pairs).split(","):
        role, _, name = pair.strip().partition("=")
        if role not in FIELDS or not name:
            raise RefusedError(f"--fields {pair!r}: expected {'=…, '.join(FIELDS)}=…")
        fields[role] = name
    return fields


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
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    rows: dict[str, Row] = {}
    completions: dict[str, list[Completion]] = {}
    scores: dict[str, list[float]] = {}
    named: dict[str, str] = {}
    for where, record in records(path):
        named = named or _named(record, fields, where)
        row = Row(where, _text(record, named["question"], where).strip(), "")
        if not row.question:
            raise DataError(f"{where}: no text in field {named['question']!r}")
        row = Row(where, row.question, _reference(record, named["reference"], where))
        first = rows.setdefault(row.question, row)
        if first is row:
            _require_readable(row)
        elif first.answer != row.answer and not answers_match(first.answer, row.answer):
            raise DataError(
                f"{where}: the reference answer is {row.answer!r}, but {first.answer!r} at "
                f"{first.where} for the same question"
            )
        made = _completions(record, named, where)
        completions.setdefault(row.question, []).extend(made)
        if "scores" in named:
            given = _numbers(record, named["scores"], len(made), where)
            scores.setdefault(row.question, []).extend(given)
    return [
        Recorded(
            Group(row.example(path.stem), completions[question]), tuple(scores.get(question, ()))
        )
        for question, row in rows.items()
    ]


class ReplayEngine:
    """Recorded completions as an engine.

    Args:
        recorded: what `read_completions` found.
    """

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self.recorded = {found.group.example.id: found for found in recorded}

    @property
    def examples(self) -> list[Example]:
        """The questions."""
        return [found.group.example for found in self.recorded.values()]

    @property
    def smallest(self) -> int:
        """How many completions there are of every question, at least."""
        return min(len(found.group.completions) for found in self.recorded.values())

    def gives_logprobs(self) -> bool:
        """Never."""
        return False

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


def _named(record: Mapping[str, Any], fields: Mapping[str, str], where: str) -> dict[str, str]:
    """The field of each role, as named or guessed from the first row."""
    there = list(_paths(record))
    named = dict(fields)
    for role in NEEDED:
        if role not in named:
            guessed = next((name for name in FIELDS[role] if name in there), None)
            if guessed is None:
                raise DataError(
                    f"{where}: which field is the {role}? pass --fields {role}=FIELD; "
                    f"there are: {', '.join(there) or 'none'}"
                )
            named[role] = guessed
    return named


def _paths(record: Mapping[str, Any], inside: str = "") -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{inside}{name}.")
        else:
            yield f"{inside}{name}"


def _value(record: Mapping[str, Any], name: str, where: str) -> Any:
    value: Any = record
    if name in record:
        return record[name]
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            there = list(_paths(record))
            near = difflib.get_close_matches(name, there, n=3) or there
            raise DataError(f"{where}: no field {name!r}; there are: {', '.join(near) or 'none'}")
        value = value[part]
    return value


def _text(record: Mapping[str, Any], name: str, where: str) -> str:
    value = _value(record, name, where)
    if not isinstance(value, str):
        raise DataError(f"{where}: no text in field {name!r}")
    return value


def _reference(record: Mapping[str, Any], name: str, where: str) -> str:
    value = _value(record, name, where)
    text = "" if isinstance(value, bool) else cell(value)
    if any(sign in text for sign in ("\n", "####", "\\boxed")):
        text = extract_answer(text) or ""
    if not text:
        raise DataError(f"{where}: no reference answer in field {name!r}")
    return text


def _require_readable(row: Row) -> None:
    try:
        check_reference(row.answer)
    except DataError as error:
        raise DataError(f"{row.where}: {error}") from error


def _completions(
    record: Mapping[str, Any], named: Mapping[str, str], where: str
) -> list[Completion]:
    name = named["completions"]
    value = _value(record, name, where)
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: expected a completion or a list of them in field {name!r}")
    counts: Sequence[float] = [len(text.split()) for text in texts]
    if "tokens" in named:
        counts = _numbers(record, named["tokens"], len(texts), where)
    return [
        Completion(text, (), "stop", count=int(count))
        for text, count in zip(texts, counts, strict=True)
    ]


def _numbers(record: Mapping[str, Any], name: str, wanted: int, where: str) -> list[float]:
    """A number for each completion of a row; each bare or the one element of a list."""
    value = _value(record, name, where)
    values = value if isinstance(value, list) else [value]
    bare = [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values]
    if len(bare) != wanted:
        raise DataError(f"{where}: {len(bare)} numbers in field {name!r} for {wanted} completions")
    return [_number(number, name, where) for number in bare]


def _number(value: Any, name: str, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: {value!r} in field {name!r} is no number")
    return number
