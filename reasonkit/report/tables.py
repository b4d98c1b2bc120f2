"""Tables of records, and how shares and differences are written in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
Columns = Mapping[str, Callable[[Record], object]]
"""Head of a column → its cell, of a record."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; of ``numbers``, or left-aligned; ``marked`` rows are bold on the page."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    numbers: bool = True
    marked: tuple[int, ...] = ()


def table(
    title: str,
    columns: Columns,
    records: Iterable[Record],
    numbers: bool = True,
    marked: Iterable[int] = (),
) -> Table:
    """A table of records."""
    rows = [[str(cell(record)) for cell in columns.values()] for record in records]
    return Table(title, list(columns), rows, numbers, tuple(marked))


def share(of: Record | None) -> str:
    """A share with its 95 % interval."""
    if of is None:
        return "–"
    return f"{of['accuracy']:.1%} ({of['low'] * 100:.1f}–{of['high'] * 100:.1f})"


def points(gap: Record | None, unit: str = "") -> str:
    """A difference in percentage points with its interval, where it has one."""
    if gap is None:
        return "–"
    difference = f"{gap['difference'] * 100:+.1f}{unit}"
    if gap["low"] is None:
        return difference
    return f"{difference} ({gap['low'] * 100:+.1f} to {gap['high'] * 100:+.1f})"


def closed(gap: Record) -> str:
    """The share of a gap that is closed (`reasonkit.statistics.gap_closed`), with its bounds."""
    if gap["low"] is None:
        bounds = f"no bounds: {gap['n']} questions don't tell the lead from none"
    else:
        bounds = f"{gap['low']:.1%} to {gap['high']:.1%}"
    return f"{gap['share']:.1%} ({bounds})"


def or_dash(value: float | None, form: str) -> str:
    """A number, or a dash for none."""
    return format(value, form) if value is not None else "–"
