"""Asks a web server for JSON, patiently: back-off, rate limits, one clear line for what goes wrong.

What may pass is asked again, after exponential back-off with jitter or as long as the server's
Retry-After says. Before a server is known to work it is waited for only where it says that it is
busy, so that a wrong URL fails at once. Leaves out streamed answers.
"""

from __future__ import annotations

import email.utils
import json
import math
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter
from tenacity.nap import sleep_using_event

from reasonkit.errors import RefusedError
from reasonkit.generation.answer import IMPROPER
from reasonkit.generation.pace import Limits, Pace
from reasonkit.server_errors import Scope, ServerError, read_error

LARGEST = 1 << 28
"""Bytes of an answer at most: a server that never ends is told from one that has much to say."""

FEW = 3
"""Times that is asked what costs time or money again: after a time-out, or an answer that can't be
read."""

SEVERAL = 6
"""Times that is asked what fails again and again while other requests are answered."""

DOWN, BROKEN_OFF = "can't be reached", "broken off"

T = TypeVar("T")


class UnansweredError(Exception):
    """A request that came to nothing.

    Attributes:
        line: what happened and what to do.
        scope: whom it concerns; what has passed by no try is of a moment still.
        kind: a word or two for it, to count by.
        status: the server's, where there was an answer.
        tries: how often it is worth asking, where it may pass.
        after: seconds to wait, where the server says so.
    """

    def __init__(
        self,
        line: str,
        scope: Scope,
        kind: str = "",
        status: int | None = None,
        tries: float = math.inf,
        after: float | None = None,
    ) -> None:
        super().__init__(line)
        self.line = line
        self.scope = scope
        self.kind = kind
        self.status = status
        self.tries = tries
        self.after = after


class Server:
    """A server that speaks JSON.

    Args:
        url: where its paths begin, e.g. ``http://localhost:8000/v1``.
        key: sent as a bearer token; never part of a message.
        limits: how it is treated.

    Attributes:
        works: set once it is known to; from then on what fails may pass.

    Raises:
        RefusedError: the URL is none.
    """

    def __init__(self, url: str, key: str | None, limits: Limits) -> None:
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError) as error:
            raise RefusedError(f"{url!r} is no URL: {error}") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise RefusedError(f"{url!r} is no URL: expected something like http://HOST:8000/v1")
        self.url = url.rstrip("/").removesuffix("/chat/completions")
        self.limits = limits
        self.works = False
        self._answered = 0
        self._key = key
        self._pace = Pace(limits)
        self._client = httpx2.Client(
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {key}"} if key else {}),
            },
            timeout=httpx2.Timeout(limits.timeout, connect=min(10.0, limits.timeout), pool=None),
            limits=httpx2.Limits(max_connections=limits.concurrency),
        )

    def ask(
        self,
        path: str,
        body: dict[str, Any] | None,
        read: Callable[[Any], T],
        stop: threading.Event,
        tokens: int = 0,
        tries: float = math.inf,
    ) -> T:
        """What ``read`` makes of the answer; may be called from several threads.

        Args:
            body: posted; None for a GET.
            read: raises an error of `IMPROPER` where an answer isn't proper.
            stop: set from outside to ask no further: only what is under way is waited for.
            tokens: that the request may use, for the rate limit.
            tries: at most.

        Raises:
            UnansweredError: there was no proper answer.
        """
        answered = self._answered

        def enough(state: RetryCallState) -> bool:
            others = self._answered > answered
            return stop.is_set() or self._too_often(state, tries, others)

        retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            wait=self._wait,
            stop=enough,
            sleep=sleep_using_event(stop),
            retry_error_callback=_give_up,
        )
        answer: T = retrying(self._once, path, body, read, stop, tokens)
        return answer

    def _once(
        self,
        path: str,
        body: dict[str, Any] | None,
        read: Callable[[Any], T],
        stop: threading.Event,
        tokens: int,
    ) -> T:
        if stop.wait(self._pace.book(tokens)):
            raise UnansweredError(f"{self.url} wasn't asked", Scope.RUN)
        status, headers, raw = self._exchange(path, body)
        if (told := read_error(status, raw)) is not None:
            raise self._refusal(path, told, headers)
        try:
            answer = read(json.loads(raw))
        except IMPROPER as error:
            raise UnansweredError(
                f"{self.url} answers, but not as a chat-completions server does "
                f"({_complaint(error)}): {self._clean(raw)!r}; does the URL end in /v1?",
                Scope.MOMENT,
                "no proper answer",
                status,
                FEW,
            ) from error
        self._answered += 1
        return answer

    def _exchange(
        self, path: str, body: dict[str, Any] | None
    ) -> tuple[int, httpx2.Headers, bytes]:
        """Status, headers and body of one answer."""
        deadline = time.monotonic() + self.limits.timeout
        # Escaped throughout, so that any text can be sent.
        content = None if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        raw = bytearray()
        try:
            with self._client.stream(method, self.url + path, content=content) as answer:
                for chunk in answer.iter_bytes():
                    raw += chunk
                    if time.monotonic() > deadline:
                        raise httpx2.ReadTimeout("it is still sending")
                    if len(raw) > LARGEST:
                        raise UnansweredError(
                            f"{self.url}: an answer of over {LARGEST} bytes",
                            Scope.REQUEST,
                            "too large an answer",
                        )
                return answer.status_code, answer.headers, bytes(raw)
        except httpx2.ConnectTimeout as error:
            raise UnansweredError(
                f"{self.url} can't be reached: is the server up?", Scope.MOMENT, DOWN
            ) from error
        except httpx2.TimeoutException as error:
            raise UnansweredError(
                f"{self.url} gave no answer within {self.limits.timeout:g} s: allow it more time, "
                "fewer tokens or fewer requests at once",
                Scope.MOMENT,
                "no answer in time",
                tries=FEW,
            ) from error
        except httpx2.ConnectError as error:
            raise UnansweredError(
                f"{self.url} can't be reached ({self._clean(str(error))}): is the server up?",
                Scope.MOMENT,
                DOWN,
            ) from error
        except httpx2.RequestError as error:
            raise UnansweredError(
                f"{self.url} broke off ({self._clean(str(error))}): see the server's log",
                Scope.MOMENT,
                BROKEN_OFF,
            ) from error

    def _refusal(self, path: str, told: ServerError, headers: httpx2.Headers) -> UnansweredError:
        status, after = told.status, _retry_after(headers)
        says = f"({status}: {self._clean(told.said)})" if told.said else f"({status})"
        if told.scope is Scope.REQUEST:
            line = f"{self.url} refuses the request {says}"
        elif status in (401, 403):
            held = "refuses the API key" if self._key else "wants an API key"
            line = f"{self.url} {held} {says}: pass a file that holds one"
        elif status == 404:
            line = (
                f"{self.url}{path} isn't there {says}: the URL should end in /v1, and the model be "
                "one that is served"
            )
        elif 300 <= status < 400:
            target = self._clean(headers.get("location", "elsewhere"))
            line = f"{self.url} redirects to {target}: pass that URL"
        elif status == 429:
            self._pace.hold(after or 0.0)
            line = f"{self.url} takes no more requests {says}: lower the rate limits, or try later"
        elif told.scope is Scope.MOMENT:
            line = f"{self.url} fails {says}: see the server's log"
        else:
            line = f"{self.url} refuses the request {says}"
        # In an answer of status 200 an error says nothing of how long it lasts.
        tries = FEW if status == 200 else math.inf
        return UnansweredError(line, told.scope, self._clean(told.kind), status, tries, after)

    def _may_pass(self, error: BaseException) -> bool:
        if not isinstance(error, UnansweredError) or error.scope is not Scope.MOMENT:
            return False
        busy = error.status == 429 or (error.status == 503 and error.after is not None)
        return self.works or busy

    def _wait(self, state: RetryCallState) -> float:
        first = self.limits.first_wait
        after = _failure(state).after
        if after:
            return after + random.uniform(0, first)
        return float(wait_exponential_jitter(first, 60 * first, jitter=first)(state))

    def _too_often(self, state: RetryCallState, tries: float, others: bool) -> bool:
        error = _failure(state)
        # What fails alone won't pass: a busy server does so for all.
        if others and (error.status == 500 or error.kind == BROKEN_OFF):
            tries = min(tries, SEVERAL)
        waited = state.idle_for + state.upcoming_sleep
        return waited > self.limits.patience or state.attempt_number >= min(tries, error.tries)

    def _clean(self, said: str | bytes) -> str:
        """What a server said, as part of a line: short, printable and without the key."""
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        if self._key:
            text = text.replace(self._key, "…")
        text = "".join(c if c.isprintable() else " " for c in " ".join(text[:2000].split()))
        return text if len(text) <= 200 else text[:199] + "…"


def _failure(state: RetryCallState) -> UnansweredError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, UnansweredError)
    return error


def _give_up(state: RetryCallState) -> Any:
    error = _failure(state)
    times = "once" if state.attempt_number == 1 else f"{state.attempt_number} times"
    waits = f"; it asks to wait {error.after:g} s" if error.after is not None else ""
    error.line += f" (tried {times}{waits})"
    # What no patience gets past is said of all requests.
    if error.kind == DOWN or error.status == 429:
        error.scope = Scope.RUN
    raise error


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds to wait, of ``Retry-After`` (a number or a date) or ``retry-after-ms``."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(ValueError):
            seconds = float(headers.get(name, "")) * unit
            if math.isfinite(seconds):
                return max(0.0, seconds)
    with suppress(ValueError, TypeError, OverflowError):
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, date.timestamp() - time.time())
    return None


def _complaint(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "not JSON"
    return f"no {error}" if isinstance(error, KeyError) else str(error)
