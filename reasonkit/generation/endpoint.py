"""Samples from any server that speaks OpenAI's chat completions: vLLM, SGLang, a provider.

Short requests find out what the server takes: several samples at once (``n``) or one a request,
log-probabilities or none, which name of the token limit, which of the settings of sampling. What
was asked for is sent in full, since a server may have defaults of its own for what is left out;
only where it refuses to be told so is a setting left out, and only one that changes nothing.

A prompt that the server refuses, or can't answer though it answers others, is a sample that
failed; what no request gets past ends the sampling. A thought that a server splits off comes back
in front of the answer, in its tags. Leaves out seeds: no server promises to repeat itself, and some
that take ``n`` and a seed give n equal samples. What has arrived is kept by the caller
(`reasonkit.generation.pool`) instead of sampled again.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reasonkit.errors import RefusedError, RunError
from reasonkit.generation import Drawn, Sampling, Wish
from reasonkit.generation.answer import completions
from reasonkit.generation.pace import Limits
from reasonkit.generation.server import FEW, Server, UnansweredError
from reasonkit.server_errors import Scope
from reasonkit.types import Completion, Example, Group, Message

AT_ONCE = 8
"""Samples a request at most: what a lost connection can cost."""

PROBE_TOKENS, MORE_PROBE_TOKENS = 16, 1024
"""Tokens of a short request; and for a model that has to think before it can say anything."""

LIMITS = ("max_tokens", "max_completion_tokens")
REFUSED = (400, 422)
"""Statuses of a request that asks for what a server doesn't know."""

LINGER = 10.0
"""Seconds that are waited for answers under way once no more are wanted."""

CHAT, TOKENIZE = "/chat/completions", "/../tokenize"
"""Paths below the URL; servers that tokenize do so beside their ``/v1``."""

HELLO: list[Message] = [{"role": "user", "content": "What is 2+2*6?"}]

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
        self._probe_tokens = PROBE_TOKENS
        self._settings: dict[Sampling, dict[str, float]] = {}

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

    def require(self, sampling: Sampling) -> None:
        """Asks the server, the first time, whether it samples so.

        Raises:
            RefusedError: it doesn't, or see `connect`.
        """
        self.connect()
        try:
            self._fields(sampling)
        except UnansweredError as error:
            raise RefusedError(error.line) from error

    def takes(self, sampling: Sampling) -> bool:
        """Whether the server samples so.

        Raises:
            RefusedError: it can't be asked.
        """
        self.connect()
        try:
            self._fields(sampling)
        except UnansweredError as error:
            if error.status in REFUSED:
                return False
            raise RefusedError(error.line) from error
        return True

    @property
    def model(self) -> str:
        """The model's name; see `connect`."""
        self.connect()
        assert self._model is not None
        return self._model

    def counts_prompt_tokens(self, example: Example) -> bool:
        """Whether the server tells how many tokens a prompt has, as vLLM's ``/tokenize`` does."""
        try:
            self._prompt_tokens(example)
        except UnansweredError:
            return False
        return True

    def prompt_tokens(self, examples: Sequence[Example]) -> list[int]:
        """How many tokens each prompt has.

        Raises:
            RefusedError: the server doesn't tell.
        """
        try:
            with ThreadPoolExecutor(self.server.limits.concurrency) as pool:
                return list(pool.map(self._prompt_tokens, examples))
        except UnansweredError as error:
            raise RefusedError(error.line) from error

    def _prompt_tokens(self, example: Example) -> int:
        body = {"model": self.model, "messages": list(example.messages)}
        count: int = self.server.ask(
            TOKENIZE, body, lambda answer: int(answer["count"]), threading.Event(), tries=FEW
        )
        return count

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example, those first that are complete first.

        Raises:
            RefusedError, RunError: see `draw`.
            RunError: every single sample failed.
        """
        failures: list[str] = []
        given = 0
        waiting: dict[int, dict[int, Completion]] = {id(example): {} for example in examples}
        wishes = [Wish(example, range(n)) for example in examples]
        for drawn in self.draw(wishes, sampling, lambda drawn: None):
            there = waiting[id(drawn.example)]
            there[drawn.place] = drawn.completion
            given += 1
            if drawn.completion.failure:
                failures.append(drawn.completion.failure)
            if len(there) == n:
                yield Group(drawn.example, [there[place] for place in range(n)])
        if failures and len(failures) == given:
            raise RunError(f"no sample could be had: {failures[-1]}")

    def draw(
        self, wishes: Iterable[Wish], sampling: Sampling, keep: Callable[[Drawn], None]
    ) -> Iterator[Drawn]:
        """Yields samples as they arrive; see `reasonkit.generation.PaidEngine`.

        A sample that can't be had while others can is a completion that failed. Nothing new is
        asked once no request is answered any more or the iterator is closed; what is under way then
        is still kept when it arrives.

        Raises:
            RefusedError: see `connect`.
            RunError: the server gives no proper answers any more, or doesn't sample so.
        """
        abilities = self.connect()
        try:
            fields = self._fields(sampling)
        except UnansweredError as error:
            raise RunError(error.line) from error
        refused: dict[int, str] = {}
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
                    if id(wish.example) in refused:
                        given = _failed(wish, refused[id(wish.example)])
                    else:
                        given = self._answers(wish, sampling.max_tokens, fields, stop, refused)
                    for drawn in given:
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
        self,
        wish: Wish,
        max_tokens: int,
        fields: Mapping[str, float],
        stop: threading.Event,
        refused: dict[int, str],
    ) -> Iterator[Drawn]:
        """The samples of one request or, where the server gives fewer at once, of several.

        Args:
            refused: gets why, under the example's ``id``, where it will be so for all its samples.
        """
        abilities, left = self.connect(), list(wish.places)
        while left:
            body = self._body(wish.example.messages, max_tokens, len(left), abilities, fields)
            written = sum(len(message["content"]) for message in wish.example.messages)
            try:
                given = self.server.ask(
                    CHAT,
                    body,
                    lambda answer: completions(answer, max_tokens),
                    stop,
                    tokens=written // 4 + len(left) * max_tokens,
                )
            except UnansweredError as error:
                if error.scope is Scope.RUN or (
                    error.scope is Scope.MOMENT
                    and not self._answers_others(max_tokens, fields, stop)
                ):
                    raise
                refused[id(wish.example)] = f"{error.kind}: {error.line}"
                yield from _failed(Wish(wish.example, left), refused[id(wish.example)])
                return
            for place, completion in zip(left, given, strict=False):
                yield Drawn(wish.example, place, completion)
            left = left[len(given) :]

    def _answers_others(
        self, max_tokens: int, fields: Mapping[str, float], stop: threading.Event
    ) -> bool:
        """Whether the server answers an easy question: if so, another fails by its own fault."""
        one = replace(self.connect(), n=False)
        try:
            self._ask_easily(max_tokens, one, fields, stop, FEW)
        except UnansweredError:
            return False
        return True

    def _body(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        n: int,
        abilities: Abilities,
        fields: Mapping[str, float],
    ) -> dict[str, Any]:
        body = {"model": self._model, "messages": list(messages), **fields}
        body[abilities.limit] = max_tokens
        if n > 1:
            body["n"] = n
        if abilities.logprobs:
            body["logprobs"] = True
        return {**body, **self._extra}

    def _ask_easily(
        self,
        max_tokens: int,
        abilities: Abilities,
        fields: Mapping[str, float],
        stop: threading.Event,
        tries: float = math.inf,
    ) -> list[Completion]:
        n = 2 if abilities.n else 1
        body = self._body(HELLO, max_tokens, n, abilities, fields)
        return self.server.ask(
            CHAT, body, lambda answer: completions(answer, max_tokens), stop, n * max_tokens, tries
        )

    def _ask_briefly(self, abilities: Abilities, fields: Mapping[str, float]) -> list[Completion]:
        return self._ask_easily(self._probe_tokens, abilities, fields, threading.Event())

    def _fields(self, sampling: Sampling) -> dict[str, float]:
        """The fields that make the server sample so; the first time it is asked.

        Raises:
            UnansweredError: it doesn't, or can't be asked.
        """
        way = replace(sampling, max_tokens=0, seed=0, stop=())
        if way in self._settings:
            return self._settings[way]
        wanted = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        # The API itself has neither; servers that don't know them refuse them by name.
        others = {"top_k": sampling.top_k, "min_p": sampling.min_p}
        wanted |= {name: value for name, value in others.items() if value}
        idle = [name for name in ("top_p", "temperature") if wanted[name] == 1]
        if sampling.temperature == 0:
            idle = ["top_p"]
        one_by_one = replace(self.connect(), n=False, logprobs=False)
        refusal: UnansweredError | None = None
        for left_out in ([], *([name] for name in idle), idle):
            fields = {name: value for name, value in wanted.items() if name not in left_out}
            try:
                self._ask_briefly(one_by_one, fields)
            except UnansweredError as error:
                if error.status not in REFUSED:
                    raise
                refusal = error
            else:
                self._settings[way] = fields
                return fields
        assert refusal is not None
        said = ", ".join(f"{name} {value:g}" for name, value in wanted.items())
        refusal.line = f"it can't be sampled with {said}: {refusal.line}"
        raise refusal

    def _probe(self) -> Abilities:
        if self._model is None:
            self._model = self._only_model(threading.Event())
        everything = Abilities(True, self._wants_logprobs, LIMITS[0])
        if (found := self._found(everything)) is not None:
            return found
        found = self._plainest()
        found = self._found(replace(found, n=True)) or found
        if self._wants_logprobs:
            found = self._found(replace(found, logprobs=True)) or found
        return found

    def _found(self, abilities: Abilities) -> Abilities | None:
        """Which of these the server has; None where it refuses the request for one of them."""
        try:
            given = self._ask_briefly(abilities, {})
        except UnansweredError as error:
            if error.status not in REFUSED:
                raise
            return None
        confident = all(completion.mean_logprob is not None for completion in given)
        return replace(abilities, n=len(given) > 1, logprobs=abilities.logprobs and confident)

    def _plainest(self) -> Abilities:
        """What the plainest request that the server takes asks for."""
        refusals = []
        for self._probe_tokens in (PROBE_TOKENS, MORE_PROBE_TOKENS):
            for limit in LIMITS:
                plain = Abilities(False, False, limit)
                try:
                    self._ask_briefly(plain, {})
                except UnansweredError as error:
                    if error.status not in REFUSED:
                        raise
                    refusals.append(error)
                else:
                    return plain
        # What is said of the usual name, unless it is that name which is refused.
        usual, other = refusals[-2:]
        raise other if LIMITS[0] in usual.line else usual

    def _only_model(self, stop: threading.Event) -> str:
        served = self.server.ask(
            "/models", None, lambda answer: [str(model["id"]) for model in answer["data"]], stop
        )
        if len(served) != 1:
            listed = ", ".join(served[:20]) or "none"
            raise RefusedError(f"{self.server.url}: name one of the models it serves: {listed}")
        return served[0]


def _failed(wish: Wish, failure: str) -> Iterator[Drawn]:
    for place in wish.places:
        yield Drawn(wish.example, place, Completion("", (), "failed", None, 0, failure))


def _requests(wishes: Iterable[Wish], at_once: int) -> Iterator[Wish]:
    for wish in wishes:
        for start in range(0, len(wish.places), at_once):
            yield Wish(wish.example, wish.places[start : start + at_once])
