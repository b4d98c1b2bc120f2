"""What a person sees in the terminal: results on stdout, everything else on stderr.

Text is shown as it is: no bracket in it is markup, and what the encoding of a stream lacks is
escaped. A reader that goes away ends nothing. What is going on (`doing`) is a line that ticks in a
terminal; elsewhere it is told where nothing else was for a while.
"""

from __future__ import annotations

import functools
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import IO, Any, TypeVar

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

T = TypeVar("T")

SILENCE = 8.0
"""Seconds without a word, after which it is told what is going on; not in a terminal."""


class _Console(Console):
    spoken = 0.0

    def on_broken_pipe(self) -> None:
        _unheard(self.file)

    def print(self, *objects: Any, **options: Any) -> None:
        self.spoken = time.monotonic()
        if not self.stderr:
            _going_on.hide()
        super().print(*objects, **options)


IN_NOTEBOOK = "ipykernel" in sys.modules
"""There nothing can be drawn over, though it says that it is a terminal, and stderr is alarming."""


def _console(**options: Any) -> _Console:
    # In a notebook of rich's each line would be a display of its own.
    options |= {"force_jupyter": False, "force_terminal": False if IN_NOTEBOOK else None}
    return _Console(highlight=False, markup=False, emoji=False, **options)


out = _console()
err = _console(stderr=not IN_NOTEBOOK)


class _GoingOn:
    """What is being done, the innermost last; since when; and how many views show it."""

    def __init__(self) -> None:
        self.named: list[str | Callable[[], str]] = []
        self.since = 0.0
        self.urgent = ""
        self.views = self.drawn = 0
        self.hide: Callable[[], object] = lambda: None

    def line(self) -> str:
        if self.urgent or not self.named:
            return self.urgent
        what, seconds = self.named[-1], time.monotonic() - self.since
        told = what if isinstance(what, str) else what()
        return f"{told}, {clock(seconds)}" if seconds >= 2 else told

    def __rich__(self) -> RenderableType:
        return Group() if self.views else Text(f"{'◐◓◑◒'[int(time.time() * 2) % 4]} {self.line()}")

    @contextmanager
    def ticking(self) -> Iterator[None]:
        ended = threading.Event()
        if err.is_terminal:
            from rich.live import Live

            live = Live(self, console=err, transient=True, refresh_per_second=2)
            live.start()
            self.hide = live.stop
        else:
            threading.Thread(target=self._tell, args=(ended,), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            self.hide()
            self.hide, self.urgent = lambda: None, ""

    def _tell(self, ended: threading.Event) -> None:
        while not ended.wait(0.25):
            if self.urgent:
                note(self.urgent)
                self.urgent = ""
            silent = time.monotonic() - err.spoken >= SILENCE
            if silent and not self.drawn and (line := self.line()):
                note(f"… {line}")


_going_on = _GoingOn()


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
    _going_on.hide()
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
def doing(what: str | Callable[[], str]) -> Iterator[None]:
    """Tells on stderr what is going on, as long as it lasts, until results are shown.

    Args:
        what: in a few words, or what gives them.
    """
    _going_on.named.append(what)
    _going_on.since = time.monotonic()
    try:
        with ExitStack() as stack:
            if len(_going_on.named) == 1:
                stack.enter_context(_going_on.ticking())
            yield
    finally:
        _going_on.named.remove(what)
        _going_on.since = time.monotonic()


def announce(message: str) -> None:
    """Has whatever tells what is going on tell this, soon; may be called in a signal's handler."""
    _going_on.urgent = message


def now() -> str:
    """What is going on, in a few words with its time."""
    return _going_on.line()


@contextmanager
def viewed(drawn: bool = False) -> Iterator[bool]:
    """For what shows what goes on in place of the line, or is ``drawn``; whether it is first."""
    _going_on.views, _going_on.drawn = _going_on.views + 1, _going_on.drawn + drawn
    try:
        yield _going_on.views == 1
    finally:
        _going_on.views, _going_on.drawn = _going_on.views - 1, _going_on.drawn - drawn


@contextmanager
def latest(title: str) -> Iterator[Callable[[str], None]]:
    """A part of `doing` that tells the newest of the lines that what it yields is given."""
    said = ""

    def show(line: str) -> None:
        nonlocal said
        said = line

    with doing(lambda: f"{title}: {said[:100]}"):
        yield show


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A bar in a terminal, and a part of `doing`; yields what takes the number that is done."""
    # Only what takes long needs it, and commands that list things start sooner without.
    from rich import progress as bars

    done = 0
    with viewed() as alone, doing(lambda: f"{what}: {done} of {total}"):
        bar = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not (err.is_terminal and alone),
        )
        with bar:
            task = bar.add_task(what, total=total)

            def reached(number: int) -> None:
                nonlocal done
                done = number
                bar.update(task, completed=number)

            yield reached


def counted(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """The items, with the `progress` of taking them."""
    with progress(total, what) as reached:
        for number, item in enumerate(items, 1):
            yield item
            reached(number)


def clock(seconds: float) -> str:
    """A time as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


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
