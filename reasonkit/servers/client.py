"""The `openai` package's client, with limits of ours on top.

Retries, back-off with jitter and the pool of connections are the package's. Ours are the time and
size that one answer may take, rate limits, Retry-After (which the package gives up on after two
minutes, and heeds for one request alone), one table of what may pass (`errors`), and one clear line
for what goes wrong. Before a server is known to work it is waited for only where it says that it is
busy, so that a wrong URL fails at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import cache, partial
from typing import Any, TypeVar

import httpx2
import openai

from reasonkit.errors import RefusedError
from reasonkit.servers import LOCAL, Limits
from reasonkit.servers.chat import IMPROPER
from reasonkit.servers.errors import Scope, ServerError, UnansweredError, read_error

TRIES = 115
"""Of one request: the client's back-off, of at most 8 s, makes that a quarter of an hour."""

FEW = 3
"""Times that is asked what costs time or money again: after a time-out, or an answer that can't be
read."""

SEVERAL = 6
"""Times that is asked what fails again and again while other requests are answered."""

PATIENCE = 900.0
"""Seconds that one request waits, in all, because the server asks it to."""

PAUSE = 1.0
"""Seconds after an answer that can't be read; each time so many more."""

LARGEST = 1 << 28
"""Bytes of an answer at most: a server that never ends is told from one that has much to say."""

BUSY = (429, 503)
"""Statuses with which a server that asks to wait asks all requests to."""

DOWN, BROKEN_OFF, LATE = "can't be reached", "broken off", "no answer in time"

CONNECTING = 10.0
"""Seconds that a connection may take to be made."""

T = TypeVar("T")


@cache
def loop() -> asyncio.AbstractEventLoop:
    """What runs all requests, in a daemon thread so that no server keeps a program from ending."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, daemon=True).start()
    return made


# A forked process has none of its parent's threads.
os.register_at_fork(after_in_child=loop.cache_clear)


def together(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each of several requests gives, at the same time; for callers of any thread."""

    async def all_of_them() -> list[T]:
        return await asyncio.gather(*asked)

    future = asyncio.run_coroutine_threadsafe(all_of_them(), loop())
    try:
        return future.result()
    finally:
        future.cancel()


class Server:
    """A server that speaks JSON; its key is never part of a message.

    Attributes:
        works: set once it is known to; from then on what fails may pass.
        under_way: tasks whose request has been sent and not been answered.

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
        self.under_way: set[asyncio.Task[Any] | None] = set()
        self._key = key
        self._answered = 0
        self._begun: dict[asyncio.Task[Any] | None, tuple[int, int]] = {}
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._turns = _Pace(limits.requests_per_minute)
        self._tokens = _Pace(limits.tokens_per_minute)
        # The package reads the last two from the environment, which is no place for settings.
        self._headers = {
            "Authorization": f"Bearer {key}" if key else openai.Omit(),
            "OpenAI-Organization": openai.Omit(),
            "OpenAI-Project": openai.Omit(),
        }
        self._client = openai.AsyncOpenAI(
            base_url=self.url,
            api_key="in the headers",
            timeout=httpx2.Timeout(None, connect=min(CONNECTING, limits.timeout)),
            http_client=_Connections(self, parsed.host),
        )

    async def ask(
        self,
        path: str,
        body: dict[str, Any] | None,
        read: Callable[[Any], T],
        tokens: int = 0,
        tries: int = TRIES,
    ) -> T:
        """What ``read`` makes of the answer.

        Args:
            body: posted; None for a GET.
            read: raises an error of `IMPROPER` where an answer isn't proper.
            tokens: that the request may use, for the rate limit.
            tries: at most.

        Raises:
            UnansweredError: there was no proper answer.
        """
        await self._tokens.turn(tokens)
        improper = 0
        while True:
            answer = await self._exchange(path, body, tries)
            try:
                given = read(json.loads(answer.content))
            except IMPROPER as error:
                improper += 1
                if self.works and improper < min(FEW, tries):
                    await asyncio.sleep(PAUSE * improper)
                    continue
                raise UnansweredError(
                    f"{self.url} answers, but not as a chat-completions server does "
                    f"({self._clean(_complaint(error))}): {self._clean(answer.text)!r}; "
                    "does the URL end in /v1?",
                    Scope.MOMENT,
                    "no proper answer",
                    answer.status_code,
                ) from error
            self._answered += 1
            return given

    async def _exchange(
        self, path: str, body: dict[str, Any] | None, tries: int
    ) -> httpx2.Response:
        url, task = self.url + path, asyncio.current_task()
        options: Any = {"max_retries": tries - 1, "headers": self._headers}
        self._begun[task] = self._answered, tries
        try:
            if body is None:
                return await self._client.get(url, cast_to=httpx2.Response, options=options)
            # Escaped throughout, so that any text can be sent.
            content = json.dumps(body).encode()
            return await self._client.post(
                url, cast_to=httpx2.Response, content=content, options=options
            )
        except openai.APIStatusError as failure:
            raise self._unanswered(failure.response, path) from failure
        finally:
            del self._begun[task]

    async def send(
        self, request: httpx2.Request, exchange: Callable[[], Awaitable[httpx2.Response]]
    ) -> httpx2.Response:
        """An answer to one try in any case: of one that failed, with what that means."""
        task, told = asyncio.current_task(), None
        async with self._slots:
            await self._turns.turn(1)
            self.under_way.add(task)
            try:
                async with asyncio.timeout(self.limits.timeout):
                    response = await exchange()
                told = read_error(response.status_code, response.content)
            except (OSError, httpx2.RequestError) as error:
                response = httpx2.Response(599, request=request)
                said = str(error) or type(error).__name__
                told = ServerError(599, said, _kind(error), Scope.MOMENT)
            finally:
                self.under_way.discard(task)
        if told is not None:
            after = self._client._parse_retry_after_header(response.headers)
            again = self._may_pass(told, response, after)
            response.extensions |= {"told": told, "after": after}
            for name in ("retry-after", "retry-after-ms"):
                response.headers.pop(name, None)
            response.headers["x-should-retry"] = str(again).lower()
            response.status_code = max(response.status_code, 300)
            if again and after:
                if told.status in BUSY:
                    self._turns.hold(after)
                await asyncio.sleep(after)
        return response

    def _may_pass(self, told: ServerError, response: httpx2.Response, after: float | None) -> bool:
        """Whether a request that was told so, and to wait so long, is worth another try."""
        if told.scope is not Scope.MOMENT or _tries(response) * (after or 0.0) > PATIENCE:
            return False
        answered, most = self._begun[asyncio.current_task()]
        if not self.works and told.status != 429 and (told.status != 503 or after is None):
            return False
        # What fails alone won't pass: a busy server does so for all.
        if self._answered > answered and (told.status == 500 or told.kind == BROKEN_OFF):
            most = min(most, SEVERAL)
        # In an answer of status 200 an error says nothing of how long it lasts.
        if told.kind == LATE or response.status_code == 200:
            most = min(most, FEW)
        return _tries(response) < most

    def _unanswered(self, response: httpx2.Response, path: str) -> UnansweredError:
        told: ServerError = response.extensions["told"]
        tries, after = _tries(response), response.extensions["after"]
        tail = f" (tried {'once' if tries == 1 else f'{tries} times'}"
        tail += f"; it asks to wait {after:g} s)" if after is not None else ")"
        # What no patience gets past is said of all requests.
        lasting = told.kind == DOWN or told.status == 429
        return UnansweredError(
            self._line(told, response, path) + tail * (told.scope is Scope.MOMENT),
            Scope.RUN if lasting else told.scope,
            self._clean(told.kind),
            None if told.status == 599 else told.status,
        )

    def _line(self, told: ServerError, response: httpx2.Response, path: str) -> str:
        status, said = told.status, self._clean(told.said)
        says = f"({status}: {said})" if said else f"({status})"
        if told.kind == LATE:
            return (
                f"{self.url} gave no answer within {self.limits.timeout:g} s: allow it more time, "
                "fewer tokens or fewer requests at once"
            )
        if told.kind == DOWN:
            return f"{self.url} can't be reached ({said}): is the server up?"
        if told.kind == BROKEN_OFF:
            return f"{self.url} broke off ({said}): see the server's log"
        if status == 429 and told.scope is Scope.MOMENT:
            return f"{self.url} takes no more requests {says}: lower the rate limits, or try later"
        if told.scope is Scope.MOMENT:
            return f"{self.url} fails {says}: see the server's log"
        if told.scope is Scope.RUN and status in (401, 403):
            held = "refuses the API key" if self._key else "wants an API key"
            return f"{self.url} {held} {says}: pass a file that holds one"
        if told.scope is Scope.RUN and status == 404:
            return (
                f"{self.url}{path} isn't there {says}: the URL should end in /v1, and the model be "
                "one that is served"
            )
        if 300 <= status < 400:
            target = self._clean(response.headers.get("location", "elsewhere"))
            return f"{self.url} redirects to {target}: pass that URL"
        return f"{self.url} refuses the request {says}"

    def _clean(self, said: str) -> str:
        """What a server said, as part of a line: short, printable and without the key."""
        text = said.replace(self._key, "…") if self._key else said
        text = "".join(c if c.isprintable() else " " for c in " ".join(text[:2000].split()))
        return text if len(text) <= 200 else text[:199] + "…"


class _Connections(httpx2.AsyncClient):
    """Sends each try as its server does; the `openai` client heeds ``x-should-retry``.

    An answer of more than `LARGEST` bytes is read as an error of its request.
    """

    def __init__(self, server: Server, host: str) -> None:
        # No proxy is on the way to this machine.
        # Servers of uvicorn and of llama.cpp close a connection that was idle for five seconds.
        at_once = httpx2.Limits(max_connections=server.limits.concurrency, keepalive_expiry=2.0)
        super().__init__(trust_env=host not in LOCAL, limits=at_once)
        self.server = server

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        opened = partial(super().send, request, **{**options, "stream": True})

        async def exchange() -> httpx2.Response:
            response = await opened()
            content = bytearray()
            try:
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > LARGEST:
                        told = {"code": "too large an answer", "message": f"over {LARGEST} bytes"}
                        return httpx2.Response(413, json={"error": told}, request=request)
            finally:
                await response.aclose()
            headers = response.headers.copy()
            headers.pop("content-encoding", None)
            return httpx2.Response(
                response.status_code, headers=headers, content=bytes(content), request=request
            )

        return await self.server.send(request, exchange)


class _Pace:
    """Spaces what is limited a minute evenly."""

    def __init__(self, per_minute: float | None) -> None:
        self.each = 60 / per_minute if per_minute else 0.0
        self.free_at = 0.0

    async def turn(self, amount: float) -> None:
        """Waits until so much of it may be used."""
        now = time.monotonic()
        turn = max(now, self.free_at)
        self.free_at = turn + self.each * amount
        await asyncio.sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Gives no turn for a while."""
        self.free_at = max(self.free_at, time.monotonic() + seconds)


def _tries(response: httpx2.Response) -> int:
    return 1 + int(response.request.headers["x-stainless-retry-count"])


def _kind(error: Exception) -> str:
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return DOWN
    return LATE if isinstance(error, TimeoutError | httpx2.TimeoutException) else BROKEN_OFF


def _complaint(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "not JSON"
    return f"no {error}" if isinstance(error, KeyError) else str(error)
