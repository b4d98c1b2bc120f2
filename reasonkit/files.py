"""Files that are written whole or not at all, and logs that may end in a torn line."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Replaces a file so that even a crash leaves the old or the new one, whole.

    Args:
        content: all of it, or one piece after the other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Writes JSON atomically; numbers that aren't finite are null, as JSON has no name for them."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log that have a ``step``; torn lines and a missing file are passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict) and "step" in record:
                    yield record


def to_line(record: dict[str, Any]) -> bytes:
    """A record as a line of a log; numbers that aren't finite are null."""
    return json.dumps(_finite(record), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def beside(path: Path) -> str:
    """What is beside a path that isn't there and has nearly its name, as the end of a message."""
    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f" (there is {path.with_name(near[0])})" if near else ""
