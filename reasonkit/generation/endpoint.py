"""Samples from any server that speaks OpenAI's chat completions: vLLM, SGLang, a provider.

A first, short request finds out what the server takes: several samples at once (``n``) or one a
request, log-probabilities or none, and which name of the token limit. A thought that a server
splits off comes back in front of the answer, in its tags. Leaves out seeds: no server promises to
repeat itself, and some that take ``n`` and a seed give n equal samples. What has arrived is kept
by the caller (`reasonkit.generation.pool`) instead of sampled again.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.errors import RefusedError, RunError
from reasonkit.generation import Drawn, Sampling, Wish
from reasonkit.generation.answer import completions
from reasonkit.generation.pace import Limits
from reasonkit.generation.server import Server, UnansweredError
from reasonkit.types import Completion, Example, Group, Message

AT_ONCE = 8
"""Samples a request at most: what a lost connection can cost."""

PROBE_TOKENS = 16
LINGER = 10.0
"""Seconds that are waited for answers under way once no more are wanted."""

KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server takes.

    Attributes:
        n: several samples a request.
        logprobs: whether it gives log-probabilities.
        limit: its name for the most tokens of a completion.
    """

    n: bool
    logprobs: bool
    limit: str

    def __str__(self) -> str:
        several = "several samples" if self.n else "one sample"
        return f"{several} a request, {'with' if self.logprobs else 'no'} log-probabilities"


def read_key(path: Path | None) -> str | None:
    """The API key: a file's content, else the environment's ``OPENAI_API_KEY``, else none.

    A secret has no place on a command line or among the settings of a run, and every client of
    such servers reads this variable: it is the only one that reasonkit reads.

    Raises:
        RefusedError: the file can't be read, or there is something else than a key.
    """
    if path is None:
        where, key = KEY_VARIABLE, os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            return None
    else:
        try:
            where, key = str(path), path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(f"{path}: can't be read as an API key: {error}") from error
    if not key.isascii() or not key.isprintable() or len(key.split()) != 1:
        raise RefusedError(f"{where}: expected one line with an API key")
    return key


class EndpointEngine:
    """Samples from a server; many requests are under way at once.

    Args:
        url: where the API begins, e.g. ``http://localhost:8000/v1``.
        model: as the server calls it; the only one that it serves where None.
        key: see `read_key`.
        limits: concurrency, rates and patience.
        extra: further fields of each request, e.g.
            ``{"chat_template_kwargs": {"enable_thinking": False}}``.
        logprobs: whether to ask for log-probabilities; they make answers several times as long.

    Raises:
        RefusedError: the URL is none.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        key: str | None = None,
        limits: Limits = Limits(),
        extra: Mapping[str, Any] | None = None,
        logprobs: bool = True,
    ) -> None:
        self.server = Server(url, key, limits)
        self._model = model
        self._extra = dict(extra or {})
        self._wants_logprobs = logprobs
        self._abilities: Abilities | None = None

    def connect(self) -> Abilities:
        """Asks the server, the first time, what it takes.

        Raises:
            RefusedError: it is down, isn't such a server, wants another key or model.
        """
        if self._abilities is None:
            try:
                self._abilities = self._probe()
            except UnansweredError as error:
                raise RefusedError(error.line) from error
            self.server.works = True
        return self._abilities

    def gives_logprobs(self) -> bool:
        """Whether the server was asked for log-probabilities and gives them; see `connect`."""
        return self.connect().logprobs

    @property
    def model(self) -> str:
        """The model's name; see `connect`."""
        self.connect()
        assert self._model is not None
        return self._model

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example, those first that are complete first.

        Raises:
            RefusedError, RunError: see `draw`.
        """
        waiting: dict[int, dict[int, Completion]] = {id(example): {} for example in examples}
        wishes = [Wish(example, range(n)) for example in examples]
        for drawn in self.draw(wishes, sampling, lambda drawn: None):
            there = waiting[id(drawn.example)]
            there[drawn.place] = drawn.completion
            if len(there) == n:
                yield Group(drawn.example, [there[place] for place in range(n)])

    def draw(
        self, wishes: Iterable[Wish], sampling: Sampling, keep: Callable[[Drawn], None]
    ) -> Iterator[Drawn]:
        """Yields samples as they arrive; see `reasonkit.generation.PaidEngine`.

        Nothing new is asked once a request has failed for good or the iterator is closed; what is
        under way then is still kept when it arrives.

        Raises:
            RefusedError: see `connect`.
            RunError: the server gives no proper answers any more.
        """
        abilities = self.connect()
        requests = _requests(wishes, AT_ONCE if abilities.n else 1)
        arrived: queue.SimpleQueue[Drawn | BaseException | None] = queue.SimpleQueue()
        stop, taking, keeping = threading.Event(), threading.Lock(), threading.Lock()

        def work() -> None:
            try:
                while not stop.is_set():
                    with taking:
                        wish = next(requests, None)
                    if wish is None:
                        break
                    for drawn in self._answers(wish, sampling, abilities, stop):
                        with keeping:
                            keep(drawn)
                        arrived.put(drawn)
            except BaseException as error:
                arrived.put(error)
                stop.set()
            finally:
                arrived.put(None)

        # Daemons, so that no server can keep a program from ending.
        workers = [
            threading.Thread(target=work, daemon=True)
            for _ in range(self.server.limits.concurrency)
        ]
        for worker in workers:
            worker.start()
        failure: BaseException | None = None
        try:
            for _ in workers:
                while (item := arrived.get()) is not None:
                    if isinstance(item, BaseException):
                        failure = failure or item
                    else:
                        yield item
        finally:
            stop.set()
            deadline = time.monotonic() + LINGER
            for worker in workers:
                worker.join(max(0.0, deadline - time.monotonic()))
        if isinstance(failure, UnansweredError):
            raise RunError(failure.line) from failure
        if failure is not None:
            raise failure

    def _answers(
        self, wish: Wish, sampling: Sampling, abilities: Abilities, stop: threading.Event
    ) -> Iterator[Drawn]:
        left = list(wish.places)
        while left:
            body = self._body(wish.example.messages, sampling, len(left), abilities)
            written = sum(len(message["content"]) for message in wish.example.messages)
            given = self.server.ask(
                "/chat/completions",
                body,
                lambda answer: completions(answer, sampling.max_tokens),
                stop,
                tokens=written // 4 + len(left) * sampling.max_tokens,
            )
            for place, completion in zip(left, given, strict=False):
                yield Drawn(wish.example, place, completion)
            left = left[len(given) :]

    def _body(
        self, messages: Sequence[Message], sampling: Sampling, n: int, abilities: Abilities
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            abilities.limit: sampling.max_tokens,
        }
        # The API itself has neither; servers that don't know them refuse them by name.
        if sampling.top_k:
            body["top_k"] = sampling.top_k
        if sampling.min_p:
            body["min_p"] = sampling.min_p
        if n > 1:
            body["n"] = n
        if abilities.logprobs:
            body["logprobs"] = True
        return {**body, **self._extra}

    def _probe(self) -> Abilities:
        never = threading.Event()
        if self._model is None:
            self._model = self._only_model(never)
        hello: list[Message] = [{"role": "user", "content": "What is 2+2*6?"}]
        sampling = Sampling(PROBE_TOKENS)
        refusals: list[UnansweredError] = []
        for limit, n, logprobs in itertools.product(
            ("max_tokens", "max_completion_tokens"),
            (2, 1),
            (True, False) if self._wants_logprobs else (False,),
        ):
            body = self._body(hello, sampling, n, Abilities(n > 1, logprobs, limit))
            try:
                given = self.server.ask(
                    "/chat/completions",
                    body,
                    lambda answer: completions(answer, PROBE_TOKENS),
                    never,
                    tokens=n * PROBE_TOKENS,
                )
            except UnansweredError as error:
                if error.status not in (400, 422):
                    raise
                refusals.append(error)
            else:
                confident = all(c.mean_logprob is not None for c in given)
                return Abilities(len(given) > 1, logprobs and confident, limit)
        # What it says to the plainest request of the usual name is about none of the three.
        raise refusals[len(refusals) // 2 - 1]

    def _only_model(self, stop: threading.Event) -> str:
        served = self.server.ask(
            "/models", None, lambda answer: [str(model["id"]) for model in answer["data"]], stop
        )
        if len(served) != 1:
            listed = ", ".join(served[:20]) or "none"
            raise RefusedError(f"{self.server.url}: name one of the models it serves: {listed}")
        return served[0]


def _requests(wishes: Iterable[Wish], at_once: int) -> Iterator[Wish]:
    for wish in wishes:
        for start in range(0, len(wish.places), at_once):
            yield Wish(wish.example, wish.places[start : start + at_once])
