"""What can be set of a generated task: ``NAME:KEY=VALUE,KEY=VALUE``, as in ``arithmetic:digits=2``.

A task's settings are the fields of a dataclass, declared there with what they do and what they may
be. A value is a number, a range of them (``2-3``), or some of a few signs (``+-``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

from reasonkit.errors import RefusedError, UnknownNameError

Value = range | str
T = TypeVar("T")


def setting(what: str, default: Value, allowed: Value) -> Any:
    """A field of a task's settings.

    Args:
        what: it is.
        allowed: all numbers, or signs, that it may be made of.
    """
    return dataclasses.field(default=default, metadata={"what": what, "allowed": allowed})


@dataclasses.dataclass(frozen=True, slots=True)
class NoSettings:
    """Of a task that has none."""


def read(task: str, text: str, kind: type[T]) -> T:
    """The settings of a task that ``KEY=VALUE,KEY=VALUE`` says; defaults for the others.

    Raises:
        UnknownNameError: for a key that is none.
        RefusedError: for a value that can't be, or a key without one.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Value] = {}
    for pair in filter(None, text.split(",")):
        key, equals, value = pair.partition("=")
        if not fields:
            raise RefusedError(f"task {task!r} has no settings: leave out {text!r}")
        if key not in fields:
            raise UnknownNameError(f"setting of {task}", key, fields)
        allowed = fields[key].metadata["allowed"]
        read = _value(value, allowed) if equals else None
        if not read or not set(read) <= set(allowed):
            kinds = "a number or a range from" if isinstance(allowed, range) else "some of"
            raise RefusedError(f"{task}: {pair}: expected {kinds} {written(allowed)}")
        values[key] = read
    return kind(**values)


def _value(text: str, allowed: Value) -> Value | None:
    if isinstance(allowed, str):
        return text
    first, _, last = text.partition("-")
    last = last or first
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in (first, last)):
        return None
    return range(int(first), int(last) + 1)


def written(value: Value) -> str:
    """A value as it is read: ``2``, ``2-3`` or ``+-``."""
    if isinstance(value, str):
        return value
    return f"{value[0]}-{value[-1]}" if len(value) > 1 else str(value[0])


def canonical(task: str, settings: Any) -> str:
    """The task with those settings that aren't the defaults, in the order of their declaration."""
    pairs = [
        f"{field.name}={written(value)}"
        for field in dataclasses.fields(settings)
        if (value := getattr(settings, field.name)) != field.default
    ]
    return f"{task}:{','.join(pairs)}" if pairs else task


def listed(kind: type) -> Iterator[tuple[str, str, str, str]]:
    """Name, default, what is allowed, and meaning of each setting."""
    usual = kind()
    for field in dataclasses.fields(kind):
        allowed, what = field.metadata["allowed"], field.metadata["what"]
        yield field.name, written(getattr(usual, field.name)), written(allowed), what
