"""Samples from any server that speaks OpenAI's chat completions: vLLM, SGLang, a provider.

What it takes is found out first (`probing`). A prompt that the server refuses, or can't answer
though it answers others, is a sample that failed; what no request gets past ends the sampling. A
thought that a server splits off comes back in front of the answer, in its tags. Leaves out seeds:
no server promises to repeat itself, and some that take ``n`` and a seed give n equal samples. What
has arrived is kept by the caller (`reasonkit.generation.pool`) instead of sampled again.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.engine import Sampling
from reasonkit.generation.fleet import LINGER, ElsewhereError, Fleet, urls_of
from reasonkit.generation.paid import Drawn, Wish
from reasonkit.generation.probing import HELLO, Abilities, Chat
from reasonkit.generation.together import GoneError
from reasonkit.servers import Limits
from reasonkit.servers.errors import Scope, UnansweredError
from reasonkit.types import Completion, Example, Group, Weighing

AT_ONCE = 8
"""Samples a request at most: what a lost connection can cost."""

FEW = 3
"""Times that is asked what there is another way without."""

LOOK = 0.1
"""Seconds between two looks at whether a caller has gone."""

T = TypeVar("T")


class EndpointEngine:
    """Samples from a server; many requests are under way at once.

    Args:
        url: where the API begins, e.g. ``http://localhost:8000/v1``; of several servers as
            `reasonkit.generation.fleet.urls_of` reads it.
        model: as the server calls it; the only one that it serves where None.
        logprobs: whether to ask for log-probabilities; they make answers several times as long.
        sure: whether to ask for those of the likeliest tokens too; they make them ever so long.

    Raises:
        RefusedError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        key: str | None = None,
        limits: Limits = Limits(),
        logprobs: bool = True,
        sure: bool = False,
    ) -> None:
        # What talks to servers takes a second to import.
        from reasonkit.servers.client import Server

        def chat(url: str) -> Chat:
            return Chat(Server(url, key, limits), model, logprobs, sure)

        self.endpoint = url
        self.chats = {url: chat(url) for url in urls_of(url)}
        self.chat = next(iter(self.chats.values()))
        self._made = chat
        self.gone: threading.Event | None = None

    def asked_by(self, gone: threading.Event, extra: Mapping[str, Any]) -> EndpointEngine:
        """As of `reasonkit.generation.paid.ServerEngine`; what is under way then is cancelled."""
        mine = copy(self)
        mine.gone = gone
        mine.chats = {url: chat.with_fields(extra) for url, chat in self.chats.items()}
        mine.chat = next(c for c in mine.chats.values() if c.server is self.chat.server)
        return mine

    def _open(self, url: str) -> Chat:
        """The chat with a server, which is to have the same model as the others."""
        if url not in self.chats:
            self.chats[url] = self._made(url)
        self.chats[url].model = self.chat.model
        return self.chats[url]

    def connect(self) -> Abilities:
        """Asks the server, the first time, what it takes; of several, one that answers.

        Raises:
            RefusedError: it is down, isn't such a server, wants another key or model.
        """
        if self.chat.abilities is None:
            *spare, last = self.chats.values()
            for self.chat in spare:
                with suppress(RefusedError):
                    _given([self.chat.connect()])
                    break
            else:
                self.chat = last
                _given([last.connect()])
        assert self.chat.abilities is not None
        return self.chat.abilities

    @property
    def tells(self) -> frozenset[Weighing]:
        """What votes can weigh that the server was asked for and gives; see `connect`."""
        given: dict[Weighing, bool] = {
            "confidence": self.connect().logprobs,
            "steady": self.connect().likeliest,
        }
        return frozenset(weighing for weighing, is_given in given.items() if is_given)

    def require(self, sampling: Sampling) -> None:
        """Asks the server, the first time, whether it samples so.

        Raises:
            RefusedError: it doesn't, or see `connect`.
        """
        self.connect()
        _given([self.chat.fields(sampling)])

    def takes(self, sampling: Sampling) -> bool:
        """Whether the server samples so.

        Raises:
            RefusedError: it can't be asked.
        """
        try:
            self.require(sampling)
        except RefusedError as error:
            if isinstance(error.__cause__, UnansweredError) and error.__cause__.is_refusal:
                return False
            raise
        return True

    def require_continuing(self) -> None:
        """As of `reasonkit.generation.paid.ServerEngine`."""
        self.connect()
        _given([self.chat.require_continuing()])

    @property
    def model(self) -> str:
        """The model's name; see `connect`."""
        self.connect()
        assert self.chat.model is not None
        return self.chat.model

    def counts_prompt_tokens(self, example: Example) -> bool:
        """Whether the server tells how many tokens a prompt has, as vLLM's ``/tokenize`` does."""
        try:
            self.prompt_tokens([example])
        except RefusedError:
            return False
        return True

    def prompt_tokens(self, examples: Sequence[Example]) -> list[int]:
        """How many tokens each prompt has; a server that doesn't tell is refused."""
        bodies = [{"model": self.model, "messages": list(e.messages)} for e in examples]
        # Servers that tokenize do so beside their /v1.
        ask = partial(
            self.chat.server.ask,
            "/../tokenize",
            read=lambda answer: int(answer["count"]),
            tries=FEW,
        )
        return _given([ask(body) for body in bodies])

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example, those first that are complete first.

        Raises:
            RefusedError, RunError: see `draw`.
            RunError: every single sample failed.
        """
        given: dict[int, dict[int, Completion]] = {id(example): {} for example in examples}
        wishes = [Wish(example, range(n)) for example in examples]
        for drawn in self.draw(wishes, sampling, lambda drawn: None):
            mine = given[id(drawn.example)]
            mine[drawn.place] = drawn.completion
            if len(mine) == n:
                yield Group(drawn.example, [mine[place] for place in range(n)])
        failures = [completion.failure for mine in given.values() for completion in mine.values()]
        if failures and all(failures):
            raise RunError(f"no sample could be had: {failures[-1]}")

    def draw(
        self, wishes: Iterable[Wish], sampling: Sampling, keep: Callable[[Drawn], None]
    ) -> Iterator[Drawn]:
        """Yields samples as they arrive; see `reasonkit.generation.paid.PaidEngine`.

        Of a message that an assistant has begun, completions hold what is new alone. A sample that
        can't be had while others can is a completion that failed. Nothing new is
        asked once no request is answered any more or the iterator is closed; what is under way then
        is still kept when it arrives.

        Raises:
            RefusedError: see `connect`.
            RunError: the server gives no proper answers any more, or doesn't sample so.
        """
        from reasonkit.servers.client import loop

        abilities = self.connect()
        try:
            _given([self.chat.fields(sampling)])
        except RefusedError as error:
            raise RunError(str(error)) from error
        requests = _requests(wishes, AT_ONCE if abilities.n else 1)
        arrived: queue.SimpleQueue[Drawn | None] = queue.SimpleQueue()
        stop, over = asyncio.Event(), threading.Event()

        refused: dict[int, str] = {}
        moved = set[int]()

        def ask(chat: Chat, wish: Wish) -> AsyncGenerator[Drawn]:
            return self._answers(chat, wish, sampling, stop, refused, moved)

        def hurries() -> bool:
            return self.gone is not None and self.gone.is_set()

        def given(drawn: Drawn) -> None:
            keep(drawn)
            arrived.put(drawn)

        async def work_together() -> None:
            try:
                await Fleet(self.endpoint, self._open, ask, requests, hurries).work(given, stop)
            finally:
                arrived.put(None)
                over.set()

        drawing = asyncio.run_coroutine_threadsafe(work_together(), loop())
        try:
            while (drawn := self._next(arrived)) is not None:
                yield drawn
            drawing.result()
        except UnansweredError as error:
            raise RunError(error.line) from error
        finally:
            drawing.cancel()
            over.wait(2 * LINGER)

    def _next(self, arrived: queue.SimpleQueue[Drawn | None]) -> Drawn | None:
        while self.gone is not None:
            if self.gone.is_set():
                raise GoneError("nobody waits for it any more")
            with suppress(queue.Empty):
                return arrived.get(timeout=LOOK)
        return arrived.get()

    async def _answers(
        self,
        chat: Chat,
        wish: Wish,
        sampling: Sampling,
        stop: asyncio.Event,
        refused: dict[int, str],
        moved: set[int],
    ) -> AsyncGenerator[Drawn]:
        """The samples of one request or, where the server gives fewer at once, of several.

        Args:
            stop: set to ask no further.
            refused: gets why, under the example's ``id``, where it will be so for all its samples.
            moved: gets the ``id`` of an example that another server is to be asked.

        Raises:
            ElsewhereError: it fails here for the first time, and there are other servers.
        """
        await chat.connect()
        abilities, left = chat.abilities, list(wish.places)
        fields: dict[str, Any] = {**await chat.fields(sampling)}
        if (thinks := wish.example.thinks) is not None:
            fields |= await chat.switch(thinks)
        assert abilities is not None
        alone, most = id(wish.example), wish.most or sampling.max_tokens
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        # Where there are others, they are asked instead of waiting long for one.
        tries = [FEW] if len(self.chats) > 1 else []
        while left and alone not in refused:
            try:
                given = await chat.ask(
                    wish.example.messages, most, len(left), abilities, fields, *tries
                )
            except UnansweredError as error:
                if passing := error.scope is Scope.MOMENT:
                    # Where the server answers an easy question, this one fails by its own fault.
                    with suppress(UnansweredError):
                        one = replace(abilities, n=False)
                        await chat.ask(HELLO, most, 1, one, fields, FEW)
                        error.scope = Scope.REQUEST
                if error.scope is not Scope.REQUEST:
                    raise
                if passing and tries and alone not in moved:
                    moved.add(alone)
                    raise ElsewhereError from error
                refused[alone] = f"{error.kind}: {error.line}"
                break
            for place, completion in zip(left, given, strict=False):
                yield Drawn(wish.example, place, completion)
            left = left[len(given) :]
            if stop.is_set():
                return
        for place in left:
            failed = Completion("", (), "failed", None, 0, refused[alone])
            yield Drawn(wish.example, place, failed)


def _given(asked: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What requests give.

    Raises:
        RefusedError: one of them gives nothing.
    """
    from reasonkit.servers.client import together

    try:
        return together(asked)
    except UnansweredError as error:
        raise RefusedError(error.line) from error


def _requests(wishes: Iterable[Wish], at_once: int) -> Iterator[Wish]:
    for wish in wishes:
        for start in range(0, len(wish.places), at_once):
            yield Wish(wish.example, wish.places[start : start + at_once], wish.most)
