"""Reads local data: a JSONL, JSON, CSV or Parquet file, or a folder with a file a split."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reasonkit.errors import DataError
from reasonkit.tasks.rows import Row, make_row, pick_columns

Records = Iterator[tuple[str, dict[str, Any]]]
"""Where a record stands (``file:line``) and its columns."""


def _jsonl(path: Path) -> Records:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{path}:{number}", _object(f"{path}:{number}", line)


def _json(path: Path) -> Records:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply") from error
    if not isinstance(loaded, list) or not all(isinstance(record, dict) for record in loaded):
        raise DataError(f"{path}: expected a list of objects")
    for number, record in enumerate(loaded, 1):
        yield f"{path}: row {number}", record


def _object(where: str, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON: {error.msg}") from error
    except ValueError as error:
        raise DataError(f"{where}: not JSON: {error}") from error
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected an object, got {type(record).__name__}")
    return record


def _csv(path: Path) -> Records:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
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
        raise DataError(f"{path}: not Parquet: {error}") from error
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
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_file():
        return {"all": _read(path, columns)}
    found = {p.stem: p for p in sorted(path.iterdir()) if p.suffix in READERS}
    parts = {split: found[split] for split in ("train", "validation", "test") if split in found}
    if not parts:
        raise DataError(f"{path}: no train.jsonl, validation.jsonl or test.jsonl in this folder")
    if list(parts) == ["train"]:
        return {"all": _read(parts["train"], columns)}
    return {split: _read(file, columns) for split, file in parts.items()}


def records(path: Path) -> Records:
    """The records of one file, each with where it stands.

    Raises:
        DataError: one line that says which file and line.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected one of {', '.join(READERS)}")
    empty = True
    try:
        for found in reader(path):
            empty = False
            yield found
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text") from error
    if empty:
        raise DataError(f"{path}: no rows")


def _read(path: Path, wanted: Mapping[str, str]) -> list[Row]:
    made: list[Row] = []
    columns: dict[str, str] = {}
    for where, record in records(path):
        columns = columns or pick_columns(list(record), wanted, str(path))
        made.append(make_row(record, columns, where))
    return made
