"""Several servers of one model: whoever is free gets the next request.

Each server has as many requests under way as the limits allow, taken from one queue. One that fails
is set aside and tried again later, and what it was asked goes to another, as does a request that
fails while others are answered; the samples that it had given by then are kept. Servers of a file
may come and go while it is read again and again. Leaves out servers of different models, and
starting any.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from reasonkit import console
from reasonkit.errors import RefusedError
from reasonkit.generation.paid import Drawn, Wish
from reasonkit.generation.probing import Chat
from reasonkit.servers.errors import Scope, UnansweredError

ASIDE = 15.0
"""Seconds that a server is left alone that has failed."""

LINGER = 10.0
"""Seconds that are waited for answers under way once no more are wanted."""

LOOK = 2.0
"""Seconds between two looks at a file of servers."""

Ask = Callable[[Chat, Wish], AsyncGenerator[Drawn]]


class ElsewhereError(Exception):
    """A request that failed at a server that answers others: another may answer it."""


def urls_of(endpoint: str) -> list[str]:
    """The servers that ``--endpoint`` names: one, several with commas, or a file with a line each.

    Raises:
        RefusedError: the file is empty or can't be read.
    """
    path = Path(endpoint)
    if "://" in endpoint or not path.is_file():
        return [url for url in map(str.strip, endpoint.split(",")) if url] or [endpoint]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{path}: can't be read as a list of servers: {error}") from error
    urls = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not urls:
        raise RefusedError(f"{path} names no server: write a URL a line")
    return urls


@dataclass(slots=True)
class Fleet:
    """The servers of one drawing, and what they are to be asked.

    Attributes:
        endpoint: as of `urls_of`; read again while it is worked on.
        open: makes a server's `Chat` of its URL, or gives the one that there is.
        ask: gives the samples of a wish.
        waiting: wishes that nobody is asked at the moment.
        hurries: whether nobody waits for answers any more.
        given: samples that each server has given.
    """

    endpoint: str
    open: Callable[[str], Chat]
    ask: Ask
    waiting: Iterator[Wish]
    hurries: Callable[[], bool]
    given: dict[str, int] = field(default_factory=dict)
    _returned: deque[tuple[Wish, str]] = field(default_factory=deque)
    _aside: dict[str, UnansweredError] = field(default_factory=dict)
    _chats: dict[str, Chat] = field(default_factory=dict)
    _under_way: int = 0

    async def work(self, keep: Callable[[Drawn], None], stop: asyncio.Event) -> None:
        """Asks all servers, until nothing is left to ask or ``stop`` is set.

        Raises:
            UnansweredError: of the last server, once every one of them is set aside.
        """
        workers = set[asyncio.Task[None]]()
        try:
            while not stop.is_set():
                for url in urls_of(self.endpoint):
                    if url not in self._chats:
                        chat = self._chats[url] = self.open(url)
                        for _ in range(chat.server.limits.concurrency):
                            workers.add(asyncio.create_task(self._serve(url, keep, stop)))
                done, _ = await asyncio.wait(
                    workers, timeout=LOOK, return_when=asyncio.FIRST_EXCEPTION
                )
                for worker in done:
                    worker.result()
                if len(done) == len(workers):
                    break
        finally:
            stop.set()
            await self._wind_down(workers)
        if len(self._chats) > 1:
            told = ", ".join(f"{url} {count:,}" for url, count in self.given.items())
            console.note(f"samples by server: {told}")

    async def _serve(self, url: str, keep: Callable[[Drawn], None], stop: asyncio.Event) -> None:
        """One request at a time, of one server."""
        while not stop.is_set():
            if url in self._aside:
                await self._rest(stop)
            wish = self._next(url)
            if wish is None:
                if not self._under_way:
                    return
                # What another server is asked may come back.
                await asyncio.sleep(0.05)
                continue
            left = list(wish.places)
            self._under_way += 1
            try:
                async with aclosing(self.ask(self._chats[url], wish)) as answers:
                    async for drawn in answers:
                        keep(drawn)
                        left.remove(drawn.place)
                        self.given[url] = self.given.get(url, 0) + 1
                self._aside.pop(url, None)
            except ElsewhereError:
                self._returned.append((replace(wish, places=left), url))
            except UnansweredError as error:
                if error.scope is Scope.REQUEST or len(self._chats) == 1:
                    raise
                self._returned.append((replace(wish, places=left), url))
                if url not in self._aside:
                    console.warn(f"{error.line}; it is set aside, and others are asked")
                self._aside[url] = error
                if self._aside.keys() >= self._chats.keys():
                    raise
            finally:
                self._under_way -= 1

    def _next(self, url: str) -> Wish | None:
        """What a server is asked next; what it has given back is for others while there are any."""
        alone = self._aside.keys() >= self._chats.keys() - {url}
        for place, (wish, failed_at) in enumerate(self._returned):
            if alone or failed_at != url:
                del self._returned[place]
                return wish
        return next(self.waiting, None)

    async def _rest(self, stop: asyncio.Event) -> None:
        until = time.monotonic() + ASIDE
        while not stop.is_set() and time.monotonic() < until:
            if not (self._under_way or self._returned):
                return
            await asyncio.sleep(0.2)

    async def _wind_down(self, workers: Collection[asyncio.Task[None]]) -> None:
        """Waits for answers under way; cancels those who wait to ask, and who wait too long."""
        deadline = time.monotonic() + (0 if self.hurries() else LINGER)
        running = set(workers)
        while running:
            late = time.monotonic() > deadline
            sent = {task for chat in self._chats.values() for task in chat.server.under_way}
            for worker in running if late else running - sent:
                worker.cancel()
            _, running = await asyncio.wait(running, timeout=0.02)
        await asyncio.gather(*workers, return_exceptions=True)
