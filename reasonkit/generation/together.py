"""One engine for many callers at once: a thread owns it, and what they ask for is sampled together.

A caller's samples join those that are under way at the next step, a token is drawn for all of them
at a time, and one whose caller has gone is dropped. Leaves out engines behind a server, which
batches for itself.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from reasonkit.errors import RunError
from reasonkit.generation.engine import Floor, Sampling, TokenEngine, TokenSampler
from reasonkit.types import Completion

CLOSING = "the server is shutting down"


class GoneError(RunError):
    """Whoever asked has gone, or the engine is closing."""


class Request(NamedTuple):
    """``n`` completions that are wanted of a prompt, as of `TokenSampler.sample_ids`."""

    ids: Sequence[int]
    n: int
    sampling: Sampling
    seed: int
    floor: Floor | None = None


class Flow(Protocol):
    """Samples of prompts that come one by one, for one thread."""

    def add(self, number: int, asked: Request) -> None:
        """Asks for the completions of a prompt."""

    def step(self) -> Iterator[tuple[int, list[Completion]]]:
        """Goes on by a token a completion; yields what is finished. To be iterated to its end."""

    def drawn(self, number: int) -> Sequence[int]:
        """The tokens so far, of a prompt with one completion."""

    def drop(self, number: int) -> None:
        """Samples no more of a prompt; nothing where it is finished."""


def alone(flow: Flow, ids: Sequence[int], sampling: Sampling, seed: int) -> Iterator[int]:
    """The tokens of the only completion of a flow, as they are drawn."""
    given, ended = 0, False
    flow.add(0, Request(ids, 1, sampling, seed))
    try:
        while not ended:
            made = [completions[0].token_ids for _, completions in flow.step()]
            drawn = made[0] if (ended := bool(made)) else flow.drawn(0)
            yield from drawn[given:]
            given = len(drawn)
    finally:
        flow.drop(0)


@dataclass(slots=True)
class _Job:
    """A prompt of a caller, and where what is sampled goes.

    Attributes:
        watched: whether tokens are wanted as they are drawn; how many were given.
    """

    place: int
    asked: Request
    arrived: queue.SimpleQueue[tuple[int, Any]]
    gone: threading.Event
    watched: bool = False
    given: int = 0
    over: bool = False

    def tell(self, tokens: Sequence[int]) -> None:
        if self.watched and len(tokens) > self.given:
            self.arrived.put((self.place, list(tokens[self.given :])))
            self.given = len(tokens)


class Worker:
    """The thread that samples.

    Args:
        widest, longest, rows: as of `TokenEngine.flow`.
    """

    def __init__(self, engine: TokenEngine, widest: int, longest: int, rows: int) -> None:
        self.engine = engine
        self._size = (widest, longest, rows)
        self._asked: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._closing = self._closed = False
        self.jobs: dict[int, _Job] = {}
        self._thread = threading.Thread(target=self._work, name="sampling", daemon=True)
        self._thread.start()

    def ask(self, jobs: Sequence[_Job]) -> None:
        """Has prompts sampled."""
        for job in jobs:
            self._asked.put(job)
        if self._closed:
            self._turn_away()

    def close(self) -> None:
        """Ends the thread; what is under way is told `GoneError`."""
        self._closing = True
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        flow = None
        while not self._closing:
            try:
                flow = flow or self.engine.flow(*self._size)
                self._let_in(flow)
                self._step(flow)
            except Exception as error:
                # The engine's state is anybody's guess: whoever waits is told, and it begins anew.
                flow = None
                self._tell_all(error)
        self._closed = True
        self._tell_all(GoneError(CLOSING))
        self._turn_away()

    def _turn_away(self) -> None:
        """Tells whoever still waits to be let in that nobody will."""
        with suppress(queue.Empty):
            while True:
                if job := self._asked.get_nowait():
                    job.arrived.put((job.place, GoneError(CLOSING)))

    def _tell_all(self, error: Exception) -> None:
        for job in self.jobs.values():
            job.arrived.put((job.place, error))
        self.jobs.clear()

    def _let_in(self, flow: Flow) -> None:
        """Everything that waits; waits for something where nothing is under way."""
        with suppress(queue.Empty):
            while True:
                job = self._asked.get(block=not (self.jobs or self._closing))
                if job is not None:
                    number = next(self._numbers)
                    try:
                        flow.add(number, job.asked)
                    except RunError as error:
                        job.arrived.put((job.place, error))
                    else:
                        self.jobs[number] = job

    def _step(self, flow: Flow) -> None:
        for number, job in [*self.jobs.items()]:
            if job.over or job.gone.is_set():
                flow.drop(number)
                job.arrived.put((job.place, GoneError("nobody waits for it any more")))
                del self.jobs[number]
        if not self.jobs:
            return
        for number, completions in flow.step():
            job = self.jobs.pop(number)
            job.tell(completions[0].token_ids)
            job.arrived.put((job.place, completions))
        for number, job in self.jobs.items():
            if job.watched:
                job.tell(flow.drawn(number))


class Shared(TokenSampler):
    """One caller's view of an engine that a `Worker` owns.

    Args:
        gone: set once the caller waits no more: its samples are dropped, and `GoneError` raised.

    Attributes:
        streamed: what was streamed last, once it is whole.
    """

    def __init__(self, worker: Worker, gone: threading.Event) -> None:
        self.worker, self.gone = worker, gone
        self.tokenizer = worker.engine.tokenizer
        self.streamed: Completion | None = None

    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int],
        floors: Sequence[Floor | None] = (),
    ) -> Iterator[tuple[int, list[Completion]]]:
        """As of `TokenSampler`.

        Raises:
            GoneError: the caller has gone.
            RunError: the engine has failed.
        """
        asked = zip(prompts, seeds, floors or [None] * len(prompts), strict=True)
        left = len(prompts)
        wanted = [Request(ids, n, sampling, seed, floor) for ids, seed, floor in asked]
        for place, completions in self._asked(wanted):
            yield place, completions
            if (left := left - 1) == 0:
                return

    def stream_ids(self, ids: Sequence[int], sampling: Sampling, seed: int) -> Iterator[int]:
        """As of `TokenSampler`; errors as of `sample_ids`."""
        for _, made in self._asked([Request(ids, 1, sampling, seed)], watched=True):
            if isinstance(made[0], Completion):
                self.streamed = made[0]
                return
            yield from made

    def _asked(
        self, asked: Sequence[Request], watched: bool = False
    ) -> Iterator[tuple[int, list[Any]]]:
        """What arrives of these prompts, by their number, for as long as it is wanted."""
        arrived: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        jobs = [_Job(i, one, arrived, self.gone, watched) for i, one in enumerate(asked)]
        self.worker.ask(jobs)
        try:
            while jobs:
                place, made = arrived.get()
                if isinstance(made, Exception):
                    raise made
                yield place, made
        finally:
            for job in jobs:
                job.over = True
