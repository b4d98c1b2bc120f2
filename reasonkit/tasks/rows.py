"""Rows of somebody's data: which column is what, and how a row becomes an example."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reasonkit.errors import DataError, RefusedError
from reasonkit.tasks import programs
from reasonkit.types import Example, Message

_QUESTIONS = ("question", "problem", "prompt", "instruction", "query", "text")
_ANSWERS = ("answer", "final_answer", "ground_truth", "gt", "solution", "target", "expected_answer")
USUAL = {"question": _QUESTIONS, "answer": _ANSWERS}
"""What columns are usually called."""

ROLES = (*USUAL, "tests", "entry_point")
"""What a column may be; those that aren't in `USUAL` belong to rows that ask for a program."""


@dataclass(frozen=True, slots=True)
class Row:
    """A question with what checks an answer to it, as in `Example`, and where it stands.

    Attributes:
        where: ``file:line`` or the like.
    """

    where: str
    question: str
    answer: str
    tests: tuple[Mapping[str, Any], ...] | str = ()
    entry_point: str | None = None
    setup: str = ""

    def example(self, task: str) -> Example:
        """The example."""
        messages = ({"role": "user", "content": self.question},)
        checks = (self.answer, self.tests, self.entry_point, self.setup)
        return Example(id_of(messages), task, messages, *checks, self.where)


def id_of(messages: Sequence[Message]) -> str:
    """Tells a prompt from all others: a hash of its question, or of all messages if there are more.

    The splits of a file are sorted by it.
    """
    alone = len(messages) == 1 and messages[0]["role"] == "user"
    text = messages[0]["content"] if alone else json.dumps(list(messages), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def agree(one: str, other: str) -> bool:
    """Whether two reference answers are the same, however they are written."""
    # Listing the tasks doesn't need it.
    from reasonkit.answers.comparison import equal

    return one == other or equal(one, other) is True


def read(
    records: Iterable[tuple[str, Mapping[str, Any]]], wanted: Mapping[str, str], name: str
) -> list[Row]:
    """The rows that records make, each of which comes with where it stands.

    Args:
        wanted: the column for each of `ROLES`, where it isn't guessed by the first record's.

    Raises:
        DataError: a column isn't there, or a record lacks what it should have.
    """
    made: list[Row] = []
    columns: dict[str, str] = {}
    for where, record in records:
        if not columns:
            told = {**programs.pick_columns(record, "tests" in wanted), **wanted}
            # A row that asks for a program needs no reference answer.
            usual = USUAL | ({"answer": ()} if "tests" in told else {})
            columns = pick_columns(record, told, usual, name)
        made.append(_row(record, columns, where))
    return made


def pick_columns(
    found: Collection[str],
    wanted: Mapping[str, str],
    usual: Mapping[str, Sequence[str]],
    where: str,
    kind: str = "column",
) -> dict[str, str]:
    """The column of each role, as named or by the first of its usual names that is there.

    Args:
        usual: a role that has no usual names is one only where it is named.
        kind: what a column is called, and the flag that names it.

    Raises:
        DataError: one isn't there, or can't be guessed.
    """
    there = f"there are: {', '.join(map(str, found)) or 'none'}"
    for column in wanted.values():
        if column not in found:
            near = difflib.get_close_matches(column, found, n=1)
            offer = f": did you mean {near[0]}?" if near else ";"
            raise DataError(f"{where}: no {kind} {column!r}{offer} {there}")
    picked = dict(wanted)
    for role, names in usual.items():
        if role in picked or not names:
            continue
        guessed = next((name for name in names if name in found), None)
        if guessed is None:
            ask = f"pass --{kind}s {role}={kind.upper()}"
            raise DataError(f"{where}: which {kind} is the {role}? {ask}; {there}")
        picked[role] = guessed
    return picked


def named_columns(
    pairs: Iterable[str] | None, roles: Collection[str] = ROLES, kind: str = "column"
) -> dict[str, str]:
    """What ``ROLE=NAME`` pairs say; ``kind`` is as of `pick_columns`.

    Raises:
        RefusedError: a pair that is none, or a role that there isn't.
    """
    named = {}
    for pair in pairs or ():
        role, _, name = pair.partition("=")
        if role not in roles or not name:
            raise RefusedError(f"--{kind}s {pair!r}: expected {'=…, '.join(roles)}=…")
        named[role] = name
    return named


def _row(record: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Row:
    question = record.get(columns["question"])
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{where}: no text in column {columns['question']!r}")
    if "tests" in columns:
        return Row(where, *programs.make_program(record, columns, question, where))
    answer = cell(record.get(columns["answer"]))
    if not answer:
        raise DataError(f"{where}: no reference answer in column {columns['answer']!r}")
    reference = final(answer)
    if not reference:
        raise DataError(f"{where}: no reference answer after ####")
    return Row(where, question.strip(), reference)


def cell(value: Any) -> str:
    """What a cell says; empty where it holds no text and no finite number.

    Tables stand NaN where nothing is.
    """
    holds = isinstance(value, float) and not math.isfinite(value)
    return "" if value is None or holds or isinstance(value, dict | list) else str(value).strip()


def final(answer: str) -> str:
    """What follows the ``####`` of a worked solution (GSM8K's form), or the whole answer."""
    return answer.rpartition("####")[2].strip()
