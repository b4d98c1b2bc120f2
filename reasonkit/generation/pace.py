"""How fast and how patiently a server is asked."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How a server is treated.

    Attributes:
        concurrency: requests under way at once.
        requests_per_minute: at most; None for no limit.
        tokens_per_minute: at most, counted as what a request may use; None for no limit.
        timeout: seconds that one answer may take.
        patience: seconds that one request may spend between tries.
        first_wait: seconds before it is asked again for the first time; then ever longer.
    """

    concurrency: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 600.0
    patience: float = 900.0
    first_wait: float = 1.0


class Pace:
    """Spaces requests evenly over each minute."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._free_at = 0.0

    def book(self, tokens: int) -> float:
        """Takes the next turn: how many seconds there are until then."""
        requests, limit = self._limits.requests_per_minute, self._limits.tokens_per_minute
        needs = max(60 / requests if requests else 0.0, 60 * tokens / limit if limit else 0.0)
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._free_at)
            self._free_at = turn + needs
            return turn - now

    def hold(self, seconds: float) -> None:
        """Gives no turn for a while."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic() + seconds)
