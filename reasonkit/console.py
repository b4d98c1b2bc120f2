"""What a person sees in the terminal: results on stdout, everything else on stderr."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def show_error(message: str) -> None:
    """One line on stderr."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def say(message: str) -> None:
    """One line of a result on stdout."""
    out.print(Text(message), soft_wrap=True)


def note(message: str) -> None:
    """One line of progress on stderr."""
    err.print(Text(message), soft_wrap=True)


def warn(message: str) -> None:
    """One line on stderr that wants attention."""
    err.print(Text.assemble(("warning: ", "bold yellow"), message), soft_wrap=True)


@functools.cache
def warn_once(message: str) -> None:
    """A warning about what is met again and again: data is read for each stage that needs it."""
    warn(message)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: bool = False
) -> Table:
    """A table; with ``numbers`` every column but the first is right-aligned."""
    made = Table(
        title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if numbers and i else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(str(cell)) for cell in row))
    return made


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], numbers: bool = False
) -> None:
    """A table on stdout."""
    out.print(table(title, columns, rows, numbers))


@contextmanager
def progress(total: int, what: str) -> Iterator[tuple[Progress, TaskID]]:
    """A progress bar on stderr that vanishes when done; nothing where there is no terminal."""
    # Only what takes long needs it, and commands that list things start sooner without.
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with bar:
        yield bar, bar.add_task(what, total=total)
