"""Reads local data: a JSONL, JSON, CSV or Parquet file, or a folder with a file a split.

A whole number with more digits than Python converts is read as the text of its digits. Half of a
surrogate pair, which JSON can spell and no file takes, is read as a question mark. Leaves out
compressed files and encodings other than UTF-8.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reasonkit import console
from reasonkit.errors import DataError
from reasonkit.files import beside
from reasonkit.tasks.rows import Row, read

Records = Iterator[tuple[str, dict[str, Any]]]
"""Where a record stands (``file:line``) and its columns."""

LONGEST_CELL = 2**31 - 1
"""Characters of a CSV cell: the most that the reader takes on every platform."""

_HALF = re.compile("[\ud800-\udfff]")
_SPELLED = re.compile(rb"\\u[dD][89a-fA-F]")
"""A half as JSON spells it."""


def _lines(path: Path, newline: str | None = None) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers."""
    # A byte that is no UTF-8 becomes half a surrogate pair, and so is found with its line.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline) as file:
        for number, line in enumerate(file, 1):
            if _HALF.search(line):
                raise DataError(f"{path}:{number}: not UTF-8 text")
            yield number, line


def _jsonl(path: Path) -> Records:
    for number, line in _lines(path):
        if line.strip():
            where = f"{path}:{number}"
            record = _parsed(path, line.strip(), number)
            if not isinstance(record, dict):
                raise DataError(f"{where}: expected an object, got {type(record).__name__}")
            yield where, record


def _json(path: Path) -> Records:
    loaded = _parsed(path, "".join(line for _, line in _lines(path)))
    if not isinstance(loaded, list) or not all(isinstance(record, dict) for record in loaded):
        raise DataError(f"{path}: expected a list of objects")
    for number, record in enumerate(loaded, 1):
        yield f"{path}: row {number}", record


def _parsed(path: Path, text: str, first: int = 1) -> Any:
    """The JSON of a text that begins at line ``first`` of a file."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        line = first + error.lineno - 1
        raise DataError(f"{path}:{line}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise DataError(f"{path}:{first}: nested too deeply") from error


def _spells_halves(path: Path) -> bool:
    """Whether a file of JSON may have halves of surrogate pairs; no other kind has."""
    with path.open("rb") as file:
        return "json" in path.suffix.lower() and any(_SPELLED.search(line) for line in file)


def _integer(digits: str) -> int | str:
    most = sys.get_int_max_str_digits()
    return int(digits) if not most or len(digits) <= most else digits


_DECODER = json.JSONDecoder(parse_int=_integer)


def _csv(path: Path) -> Records:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(line for _, line in _lines(path, newline=""))
    try:
        for record in reader:
            if None in record:
                raise DataError(f"{path}:{reader.line_num}: more cells than the header has")
            yield f"{path}:{reader.line_num}", dict(record)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV: {error}") from error


def _parquet(path: Path) -> Records:
    from pyarrow import ArrowException, parquet

    try:
        records = parquet.read_table(path).to_pylist()
    except ArrowException as error:
        raise DataError(f"{path}: not Parquet: {' '.join(str(error).split())}") from error
    for number, record in enumerate(records, 1):
        yield f"{path}: row {number}", record


READERS: dict[str, Callable[[Path], Records]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}


def rows(path: Path, columns: Mapping[str, str]) -> dict[str, list[Row]]:
    """Split → its rows; a single file is the split ``all``.

    Raises:
        DataError: one line that says which file and line.
    """
    parts = {"all": path}
    if path.is_dir():
        found = {p.stem: p for p in sorted(path.iterdir()) if p.suffix in READERS}
        parts = {split: found[split] for split in ("train", "validation", "test") if split in found}
    if not parts:
        raise DataError(f"{path}: no train.jsonl, validation.jsonl or test.jsonl in this folder")
    return {split: read(records(file), columns, str(file)) for split, file in parts.items()}


def records(path: Path) -> Records:
    """The records of one file, each with where it stands.

    Raises:
        DataError: one line that says which file and line.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file{beside(path)}")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected one of {', '.join(READERS)}")
    empty = True
    mended: list[str] = []
    try:
        halves = _spells_halves(path)
        for where, record in reader(path):
            empty = False
            if halves and _HALF.search(text := json.dumps(record, ensure_ascii=False)):
                mended.append(where)
                record = json.loads(_HALF.sub("?", text))
            yield where, record
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply") from error
    if empty:
        raise DataError(f"{path}: no rows")
    if mended:
        console.warn_once(
            f"{mended[0]}: half a surrogate pair is read as a question mark; so in {len(mended)} "
            "row(s) of this file"
        )
