"""Ctrl-C and SIGTERM: ignored for a while, or heeded once the running step is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from reasonkit import processes

STOPS = (signal.SIGINT, signal.SIGTERM)
"""What asks a process to stop."""

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Ctrl-C and SIGTERM go to the handler. Off the main thread, where none comes, nothing changes.

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
    """Whether the user has asked for a stop: the first signal does, a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def agreed(self) -> bool:
        """Whether any process has been asked: the same answer in all, each of which must call."""
        return any(processes.gathered(self.asked))

    @contextmanager
    def awaited(self, answer: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for a stop after the running step.

        Args:
            answer: called at once, in the midst of whatever is done.
        """

        def ask(number: int, frame: FrameType | None) -> None:
            self.asked = True
            for asked in STOPS:
                signal.signal(asked, signal.default_int_handler)
            answer()

        with handled(ask):
            yield
