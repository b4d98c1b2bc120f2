"""Ctrl-C and SIGTERM in training: the running step is finished and saved first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from reasonkit import processes
from reasonkit.signals import STOPS, handled


class Interruption:
    """Whether the user has asked for a stop.

    Attributes:
        asked: set by the first signal.
    """

    def __init__(self) -> None:
        self.asked = False

    def agreed(self) -> bool:
        """Whether any process has been asked: the same answer in all, each of which must call."""
        return any(processes.gathered(self.asked))

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for a stop after the running step; a second one stops at once."""

        def ask(number: int, frame: FrameType | None) -> None:
            self.asked = True
            for asked in STOPS:
                signal.signal(asked, signal.default_int_handler)

        with handled(ask):
            yield
