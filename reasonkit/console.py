"""What a person sees in the terminal: results on stdout, everything else on stderr.

Text is shown as it is: no bracket in it is markup, and what the encoding of a stream lacks is
escaped. A reader that goes away ends nothing.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import IO, TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class _Console(Console):
    def on_broken_pipe(self) -> None:
        _unheard(self.file)


_IN_NOTEBOOK = "ipykernel" in sys.modules
"""There nothing can be drawn over, though it says that it is a terminal, and stderr is alarming."""


def _console(**options: Any) -> _Console:
    # In a notebook of rich's each line would be a display of its own.
    options |= {"force_jupyter": False, "force_terminal": False if _IN_NOTEBOOK else None}
    return _Console(highlight=False, markup=False, emoji=False, **options)


out = _console()
err = _console(stderr=not _IN_NOTEBOOK)


@contextmanager
def streams() -> Iterator[None]:
    """Makes the standard streams take any text, and a reader that goes away no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            # None where it was closed before the start.
            if stream is not None and not stream.closed:
                with _heard(stream):
                    stream.flush()


@contextmanager
def results_alone() -> Iterator[None]:
    """Keeps stdout for what is written here.

    Whatever else is printed meanwhile, by rewards, tasks, libraries and the processes that they
    start, goes to stderr.
    """
    results = sys.stdout
    with ExitStack() as stack:
        if _number(results) == 1:
            results.flush()
            kept = os.dup(1)
            stack.callback(os.close, kept)
            with suppress(OSError):
                os.dup2(2, 1)
            stack.callback(os.dup2, kept, 1)
            results = stack.enter_context(
                open(kept, "w", encoding=results.encoding, errors=results.errors, closefd=False)
            )
        out.file = results
        stack.callback(setattr, out, "_file", None)
        with redirect_stdout(sys.stderr):
            yield
        with _heard(results):
            results.flush()


@contextmanager
def unshown() -> Iterator[None]:
    """Shows no results: who calls takes them from elsewhere."""
    out.file = io.StringIO()
    try:
        yield
    finally:
        out._file = None


@contextmanager
def others_silent() -> Iterator[None]:
    """Lets nothing but what is written here reach stderr, such as the bars of libraries."""
    err.file = sys.stderr
    with ExitStack() as stack:
        stack.callback(setattr, err, "_file", None)
        stack.enter_context(redirect_stderr(io.StringIO()))
        yield


def write(text: str) -> None:
    """Text on stdout, as it is."""
    with _heard(out.file):
        print(text, file=out.file, flush=True)


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
def note_once(message: str) -> None:
    """A line of progress that is met again and again."""
    note(message)


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
def status(title: str) -> Iterator[Status]:
    """A line on stderr that moves while something is done; `update` of it takes a `Text`."""
    with err.status(Text(title)) as shown:
        yield shown


@contextmanager
def progress(total: int, what: str) -> Iterator[tuple[Progress, TaskID]]:
    """A progress bar on stderr that vanishes when done; nothing where there is no terminal."""
    # Only what takes long needs it, and commands that list things start sooner without.
    from rich import progress as bars

    bar = bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with bar:
        yield bar, bar.add_task(what, total=total)


@contextmanager
def _heard(stream: IO[str]) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _unheard(stream)


def _unheard(stream: IO[str]) -> None:
    """Lets go to nowhere what a stream has no reader for any more."""
    number = _number(stream)
    if number is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _number(stream: IO[str] | None) -> int | None:
    """The descriptor of a stream; None where there is none behind it."""
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None
