"""A user's own task: a Python function without arguments, or rows, that give questions.

Each row is a mapping with a question and a reference answer (or tests), as a file has them. They
come as a list or an iterator, or as a mapping from train, validation and test to theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reasonkit import functions
from reasonkit.errors import DataError
from reasonkit.tasks.rows import Row, read

SPLITS = ("train", "validation", "test")


def rows(name: str, columns: Mapping[str, str]) -> dict[str, list[Row]]:
    """Split → its rows; what has no splits is ``all``.

    Args:
        name: ``FILE.py:FUNCTION``, or as of `reasonkit.functions.hold`.

    Raises:
        DataError: the function fails, or what it gives are no rows.
        RefusedError: it can't be found.
    """
    path, _, function = name.rpartition(":")
    found = functions.find(path, function, "task")
    try:
        given = found() if callable(found) else found
        parts = given if isinstance(given, Mapping) else {"all": given}
        listed = {str(split): list(part) for split, part in parts.items()}
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"task {name}: {text}") from error
    if strange := listed.keys() - {*SPLITS, "all"}:
        raise DataError(f"task {name}: no split is called {strange.pop()!r}: {', '.join(SPLITS)}")
    return {split: read(_records(name, part), columns, name) for split, part in listed.items()}


def _records(name: str, part: Iterable[Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for number, row in enumerate(part, 1):
        if not isinstance(row, Mapping):
            raise DataError(f"{name}: row {number}: expected a mapping, got {type(row).__name__}")
        yield f"{name}: row {number}", row
