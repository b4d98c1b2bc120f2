"""Lets requests in: so many at once, so many that wait, and the others are told when to come again.

Each is answered by a thread of its own, whose work ends when the client leaves. Before all that
stand a limit to what a request may weigh, to how long it may take to arrive, and the key.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reasonkit.servers import LOCAL
from reasonkit.serving import ServingLimits
from reasonkit.serving.faults import BusyError, LeftError, response
from reasonkit.serving.metrics import Metrics

OPEN = ("/health",)
"""Paths that need no key."""

MOST_WAIT = 60
"""Seconds after which is told to come again, at most."""

T = TypeVar("T")
U = TypeVar("U")


class Desk:
    """The places there are.

    Attributes:
        inside: requests that are answered or wait.
        seconds: that an answer takes, of late.
    """

    def __init__(self, limits: ServingLimits, metrics: Metrics) -> None:
        self.limits, self.metrics = limits, metrics
        self.inside = 0
        self.seconds = 1.0
        self._places = asyncio.Semaphore(limits.concurrency)
        self._threads = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="answering")

    @asynccontextmanager
    async def place(self, receive: Receive) -> AsyncIterator[Visit]:
        """A place for a request, as soon as there is one.

        Raises:
            BusyError: too many wait already.
        """
        # Counted here and not asked of the semaphore, whose places are taken by tasks that have yet
        # to begin where many requests come in one turn of the loop.
        waiting = self.inside - self.limits.concurrency
        if waiting >= self.limits.queue:
            ahead = self.seconds * (waiting + 1) / self.limits.concurrency
            raise BusyError(min(MOST_WAIT, max(1, math.ceil(ahead))))
        self.inside += 1
        visit = Visit(self, receive)
        try:
            with self.metrics.waiting.track_inprogress():
                await visit.unless_left(self._places.acquire())
            started = time.monotonic()
            self.metrics.running.inc()
            try:
                yield visit
            finally:
                self.metrics.running.dec()
                self._places.release()
                self.seconds += 0.1 * (time.monotonic() - started - self.seconds)
        finally:
            self.inside -= 1
            visit.end()

    def start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Has a thread do it."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Starts nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Visit:
    """One request while its client waits.

    Attributes:
        gone: set once it doesn't any more.
        answered: whether all of the answer was made by then.
    """

    def __init__(self, desk: Desk, receive: Receive) -> None:
        self.desk, self.gone, self.answered = desk, threading.Event(), False
        self._left = asyncio.create_task(self._leaving(receive))

    async def _leaving(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()

    async def unless_left(self, wanted: Awaitable[U]) -> U:
        """What is awaited.

        Raises:
            LeftError: the client has left first.
        """
        task = asyncio.ensure_future(wanted)
        try:
            await asyncio.wait({task, self._left}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise LeftError("the client has left")
            return task.result()
        finally:
            if not task.done():
                task.cancel()

    async def have(self, work: Callable[[threading.Event], T]) -> T:
        """What a thread makes; it is told when the client leaves.

        Raises:
            LeftError: the client has left.
        """

        def job() -> tuple[T | None, Exception | None]:
            try:
                return work(self.gone), None
            except Exception as error:
                return None, error

        made, error = await self.unless_left(self.desk.start(job))
        self.answered = True
        if error is not None:
            raise error
        return cast(T, made)

    def end(self) -> None:
        """Nobody waits any more, whether answered or not."""
        if self.gone.is_set() and not self.answered:
            self.desk.metrics.gone.inc()
        self.gone.set()
        self._left.cancel()


class Gate:
    """What a request passes before an app sees it.

    Args:
        key: that each request brings; None on the loopback interface alone, where only requests
            that name it are heard, so that no page of somebody else's is.
    """

    def __init__(self, app: ASGIApp, limits: ServingLimits, key: str | None, metrics: Metrics):
        self.app, self.limits, self.key, self.metrics = app, limits, key, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As of ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._pass(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status or "gone")).inc()

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self.key is None and _host(headers.get(b"host", "")) not in LOCAL:
            await response(403, "this server hears its own machine alone")(scope, receive, send)
            return
        if self.key is not None and scope["path"] not in OPEN:
            given = headers.get(b"authorization", "").partition(" ")
            right = hmac.compare_digest(given[2].strip().encode(), self.key.encode())
            if given[0].lower() != "bearer" or not right:
                asked = {"WWW-Authenticate": "Bearer"}
                await response(401, "a key is needed: Authorization: Bearer KEY", asked)(
                    scope, receive, send
                )
                return
        try:
            async with asyncio.timeout(self.limits.patience):
                body = await self._body(headers.get(b"content-length", "0"), receive)
        except TimeoutError:
            await response(408, "the request took too long to arrive")(scope, receive, send)
            return
        if body is None:
            said = f"a request may have {self.limits.body:,} bytes"
            await response(413, said, {"Connection": "close"})(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replayed, send)

    async def _body(self, length: str, receive: Receive) -> bytes | None:
        """All of a request's body; None where it is too large."""
        if length.isdecimal() and int(length) > self.limits.body:
            return None
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self.limits.body:
                return None
            if not message.get("more_body"):
                return bytes(body)


def _host(header: str) -> str:
    """The name in a Host header, without port and brackets."""
    return header.rpartition("]")[0].lstrip("[") or header.partition(":")[0]
