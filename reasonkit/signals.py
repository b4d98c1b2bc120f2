"""Ctrl-C and SIGTERM, taken care of for a while and then handled as before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

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
