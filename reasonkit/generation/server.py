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
from reasonkit.generation.pace import Limits, Pace

LARGEST = 1 << 28
"""Bytes of an answer at most: a server that never ends is told from one that has much to say."""

FEW = 3
"""Times that is asked what costs time or money again: after a time-out, or an answer that can't be
read."""

IMPROPER = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What reading the parts of an answer raises that hasn't the shape of one."""

T = TypeVar("T")


class UnansweredError(Exception):
    """A request that came to nothing.

    Attributes:
        line: what happened and what to do.
        status: HTTP's, where there was an answer.
        tries: how often it is worth asking.
        after: seconds to wait, where the server says so.
    """

    def __init__(
        self,
        line: str,
        status: int | None = None,
        tries: float = 1,
        after: float | None = None,
    ) -> None:
        super().__init__(line)
        self.line = line
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
    ) -> T:
        """What ``read`` makes of the answer; may be called from several threads.

        Args:
            body: posted; None for a GET.
            read: raises an error of `IMPROPER` where an answer isn't proper.
            stop: set from outside to ask no further: only what is under way is waited for.
            tokens: that the request may use, for the rate limit.

        Raises:
            UnansweredError: there was no proper answer.
        """
        retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            wait=self._wait,
            stop=lambda state: stop.is_set() or self._too_often(state),
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
            raise UnansweredError(f"{self.url} wasn't asked")
        status, headers, raw = self._exchange(path, body)
        if status != 200:
            raise self._refusal(path, status, headers, raw)
        try:
            return read(json.loads(raw))
        except IMPROPER as error:
            raise UnansweredError(
                f"{self.url} answers, but not as a chat-completions server does "
                f"({_complaint(error)}): {self._clean(raw)!r}; does the URL end in /v1?",
                status,
                FEW,
            ) from error

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
                        raise UnansweredError(f"{self.url}: an answer of over {LARGEST} bytes")
                return answer.status_code, answer.headers, bytes(raw)
        except httpx2.ConnectTimeout as error:
            raise UnansweredError(
                f"{self.url} can't be reached: is the server up?", tries=math.inf
            ) from error
        except httpx2.TimeoutException as error:
            raise UnansweredError(
                f"{self.url} gave no answer within {self.limits.timeout:g} s: allow it more time, "
                "fewer tokens or fewer requests at once",
                tries=FEW,
            ) from error
        except httpx2.ConnectError as error:
            raise UnansweredError(
                f"{self.url} can't be reached ({self._clean(str(error))}): is the server up?",
                tries=math.inf,
            ) from error
        except httpx2.RequestError as error:
            raise UnansweredError(
                f"{self.url} broke off ({self._clean(str(error))}): see the server's log",
                tries=math.inf,
            ) from error

    def _refusal(
        self, path: str, status: int, headers: httpx2.Headers, raw: bytes
    ) -> UnansweredError:
        said, code = _message(raw)
        says = f"({status}: {self._clean(said)})" if said else f"({status})"
        if status in (401, 403):
            held = "refuses the API key" if self._key else "wants an API key"
            return UnansweredError(f"{self.url} {held} {says}: pass a file that holds one", status)
        if status == 404:
            return UnansweredError(
                f"{self.url}{path} isn't there {says}: the URL should end in /v1, and the model be "
                "one that is served",
                status,
            )
        if 300 <= status < 400:
            target = self._clean(headers.get("location", "elsewhere"))
            return UnansweredError(f"{self.url} redirects to {target}: pass that URL", status)
        if status == 429:
            after = _retry_after(headers)
            self._pace.hold(after or 0.0)
            return UnansweredError(
                f"{self.url} takes no more requests {says}: lower the rate limits, or try later",
                status,
                1 if code == "insufficient_quota" else math.inf,
                after,
            )
        if status in (408, 409, 425) or status >= 500:
            return UnansweredError(
                f"{self.url} fails {says}: see the server's log",
                status,
                math.inf,
                _retry_after(headers),
            )
        return UnansweredError(f"{self.url} refuses the request {says}", status)

    def _may_pass(self, error: BaseException) -> bool:
        if not isinstance(error, UnansweredError) or error.tries <= 1:
            return False
        busy = error.status == 429 or (error.status == 503 and error.after is not None)
        return self.works or busy

    def _wait(self, state: RetryCallState) -> float:
        first = self.limits.first_wait
        after = _failure(state).after
        if after:
            return after + random.uniform(0, first)
        return float(wait_exponential_jitter(first, 60 * first, jitter=first)(state))

    def _too_often(self, state: RetryCallState) -> bool:
        waited = state.idle_for + state.upcoming_sleep
        return waited > self.limits.patience or state.attempt_number >= _failure(state).tries

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


def _message(raw: bytes) -> tuple[str, str | None]:
    """What an error says, and its code, in the shapes that servers give it."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode(errors="replace"), None
    inner = said.get("error", said) if isinstance(said, dict) else said
    if not isinstance(inner, dict):
        return str(inner), None
    code = inner.get("code")
    text = next((inner[name] for name in ("message", "detail") if inner.get(name)), inner)
    return str(text), str(code) if code is not None else None


def _complaint(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "not JSON"
    return f"no {error}" if isinstance(error, KeyError) else str(error)
