"""What asks a process to stop: ignored for a while, or heeded once the running step is done.

Ctrl-C and SIGTERM end a command. So does SIGUSR1, by which a cluster says that it takes the machine
away: then the exit code says that the command wants to be started again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from reasonkit import processes

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
"""What asks a process to stop."""

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


class Preemption(KeyboardInterrupt):
    """A stop for the sake of others: whoever has started the command is to start it again."""


Stop = type[KeyboardInterrupt]
"""Why a stop is asked for."""


def why(number: int) -> Stop:
    """What a signal asks for."""
    return Preemption if number == signal.SIGUSR1 else KeyboardInterrupt


def stop_now(number: int, frame: FrameType | None) -> None:
    """A handler that ends what is done, as python's own does for Ctrl-C."""
    raise why(number)


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """What asks for a stop goes to the handler. Off the main thread, where none comes, nothing is
    changed.

    Args:
        handler: as of ``signal.signal``; ``SIG_IGN`` for none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOPS}
    try:
        yield
    finally:
        for number, held in before.items():
            signal.signal(number, held)


class Interruption:
    """Whether a stop has been asked for: the first signal does, a second one stops at once."""

    def __init__(self) -> None:
        self.asked: Stop | None = None

    def agreed(self) -> Stop | None:
        """What any process has been asked: the same answer in all, each of which must call."""
        return next(filter(None, processes.gathered(self.asked)), None)

    @contextmanager
    def awaited(self, answer: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Signals ask for a stop after the running step.

        Args:
            answer: called at once, in the midst of whatever is done.
        """

        def ask(number: int, frame: FrameType | None) -> None:
            self.asked = why(number)
            for asked in STOPS:
                signal.signal(asked, stop_now)
            answer()

        with handled(ask):
            yield
