"""Finds out, by short requests, what a server of chat completions takes.

Several samples at once (``n``) or one a request, log-probabilities or none, which name of the token
limit, which of the settings of sampling. What was asked for is sent in full, since a server may
have defaults of its own for what is left out; only where it refuses to be told so is a setting left
out, and only one that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reasonkit.answers.reading import THINK
from reasonkit.config import CommonConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.engine import Sampling
from reasonkit.models.chat import SWITCHES
from reasonkit.servers.chat import CHAT, completions
from reasonkit.servers.errors import UnansweredError, first_taken
from reasonkit.types import LIKELIEST, Completion, Message

if TYPE_CHECKING:
    from reasonkit.servers.client import Server

PROBE_TOKENS, MORE_PROBE_TOKENS = 16, 1024
"""Tokens of a short request; and for a model that has to think before it can say anything."""

LIMITS = ("max_tokens", "max_completion_tokens")

BEGUN = "1+1=2."
"""What an assistant has begun, of characters that join those beside them in no usual token."""

GOING_ON = {"continue_final_message": True, "add_generation_prompt": False}
"""What makes a server go on with it that doesn't by itself; the words of vLLM and SGLang."""

EFFORTS = ("none", "minimal", "low")
"""The least that providers let a model think, by the names that some of them know."""

HELLO: list[Message] = [{"role": "user", "content": "What is 2+2*6?"}]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server takes.

    Attributes:
        n: several samples a request.
        logprobs: whether it gives log-probabilities.
        likeliest: whether it gives those of each place's likeliest tokens too.
        limit: its name for the most tokens of a completion.
        tokens: of a request that is short, but long enough for its model.
    """

    n: bool
    logprobs: bool
    limit: str
    tokens: int = PROBE_TOKENS
    likeliest: bool = False

    def __str__(self) -> str:
        several = "several samples" if self.n else "one sample"
        return f"{several} a request, {'with' if self.logprobs else 'no'} log-probabilities"


class Chat:
    """A model behind a server; for what each argument means see `EndpointEngine`.

    Attributes:
        abilities: once `connect` has found them out.
        goes_on: whether `require_continuing` has seen that the server does.
    """

    def __init__(self, server: Server, model: str | None, logprobs: bool, likeliest: bool) -> None:
        self.server = server
        self.model = model
        self.abilities: Abilities | None = None
        self.goes_on = False
        self._extra: dict[str, Any] = {}
        wants = [(True, True)] * likeliest + [(True, False)] * logprobs + [(False, False)]
        self._wants = wants
        self._fields: dict[Sampling, dict[str, float]] = {}
        self._switches: dict[bool, dict[str, Any]] = {}

    def with_fields(self, extra: Mapping[str, Any]) -> Chat:
        """The same with further fields in each request."""
        made = copy(self)
        made._extra = {**self._extra, **extra}
        return made

    async def ask(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        n: int,
        abilities: Abilities,
        fields: Mapping[str, Any],
        *tries: int,
    ) -> list[Completion]:
        """At most ``n`` completions of a prompt.

        Raises:
            UnansweredError: there were none.
        """
        body = {"model": self.model, "messages": list(messages), **fields}
        body[abilities.limit] = max_tokens
        if n > 1:
            body["n"] = n
        begun = messages[-1]["role"] == "assistant"
        if begun:
            body |= GOING_ON
        if abilities.logprobs:
            body["logprobs"] = True
        if abilities.likeliest:
            body["top_logprobs"] = LIKELIEST
        made = await self.server.ask(
            CHAT,
            {**body, **self._extra},
            lambda answer: completions(answer, max_tokens),
            sum(len(message["content"]) for message in messages) // 4 + n * max_tokens,
            *tries,
        )
        # A server that tells thoughts apart opens what goes on once more.
        return [replace(c, text=c.text.removeprefix(THINK[0])) for c in made] if begun else made

    async def require_continuing(self) -> None:
        """Asks whether the server goes on with what an assistant's last message has begun.

        The tokens of prompts tell: as much once more takes as many as the first time, an end and a
        new turn some of their own, and what is left out none.

        Raises:
            RefusedError: it begins anew, or leaves out a part.
            UnansweredError: it doesn't take such a message, or can't be asked.
        """
        assert self.abilities is not None
        if self.goes_on:
            return
        thought = f"{THINK[0]}{2 * BEGUN}{THINK[1]}{BEGUN}"
        counts = []
        for text in ("", BEGUN, 2 * BEGUN, thought):
            said = [*HELLO, {"role": "assistant", "content": text}] if text else HELLO
            body: dict[str, Any] = {"model": self.model, "messages": said, self.abilities.limit: 1}
            body |= (GOING_ON if text else {}) | self._extra
            try:
                asked = self.server.ask(CHAT, body, lambda a: int(a["usage"]["prompt_tokens"]))
                counts.append(await asked)
            except UnansweredError as error:
                if error.is_refusal:
                    error.line = f"no assistant's message is gone on with: {error.line}"
                raise
        none, once, twice, whole = counts
        if not (0 < once - none <= twice - once and whole - none > 3 * (once - none)):
            raise RefusedError(
                f"{self.server.url} begins anew, or leaves out a part, where an assistant's last "
                f"message is to be gone on with (a prompt of {none} tokens has {once}, {twice} and "
                f"{whole} with more and more begun): a budget needs a server, and a chat template, "
                "that goes on with it, as vLLM and `reasonkit serve` do with most"
            )
        self.goes_on = True

    async def _greet(self, abilities: Abilities, fields: Mapping[str, Any]) -> list[Completion]:
        n = 2 if abilities.n else 1
        return await self.ask(HELLO, abilities.tokens, n, abilities, fields)

    async def connect(self) -> None:
        """Finds the server's `Abilities`, and its model where none was named.

        Raises:
            RefusedError: there are several models.
            UnansweredError: it isn't such a server, or can't be asked.
        """
        if self.abilities is not None:
            return
        self.model = self.model or await self._only_model()
        wants = self._wants
        ways = [
            Abilities(n, logprobs, limit, tokens, likeliest)
            for tokens in (PROBE_TOKENS, MORE_PROBE_TOKENS)
            for limit in LIMITS
            for n in (True, False)
            for logprobs, likeliest in wants
        ]

        def telling(refusals: Sequence[UnansweredError]) -> UnansweredError:
            # What is said of the usual name of the limit, unless it is that name which is refused.
            usual, other = refusals[-1 - 2 * len(wants)], refusals[-1]
            return other if LIMITS[0] in usual.line else usual

        way, given = await first_taken(ways, lambda way: self._greet(way, {}), telling)
        logprobs = way.logprobs and all(one.mean_logprob is not None for one in given)
        likeliest = way.likeliest and all(one.confidences for one in given)
        self.abilities = replace(way, n=len(given) > 1, logprobs=logprobs, likeliest=likeliest)
        self.server.works = True

    async def fields(self, sampling: Sampling) -> dict[str, float]:
        """The fields that make the server sample so; the first time it is asked.

        Raises:
            UnansweredError: it doesn't, or can't be asked.
        """
        assert self.abilities is not None
        way = replace(sampling, max_tokens=0, seed=0, stop=())
        if way in self._fields:
            return self._fields[way]
        wanted = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        # The API itself has neither; servers that don't know them refuse them by name.
        others = {"top_k": sampling.top_k, "min_p": sampling.min_p}
        wanted |= {name: value for name, value in others.items() if value}
        idle = [name for name in ("top_p", "temperature") if wanted[name] == 1]
        if sampling.temperature == 0:
            idle = ["top_p"]
        ways = [
            {name: value for name, value in wanted.items() if name not in left_out}
            for left_out in ([], *([name] for name in idle), idle)
        ]
        one_by_one = replace(self.abilities, n=False, logprobs=False, likeliest=False)
        try:
            self._fields[way], _ = await first_taken(
                ways, lambda fields: self._greet(one_by_one, fields)
            )
        except UnansweredError as error:
            if error.is_refusal:
                said = ", ".join(f"{name} {value:g}" for name, value in wanted.items())
                error.line = f"it can't be sampled with {said}: {error.line}"
            raise
        return self._fields[way]

    async def switch(self, thinks: bool) -> dict[str, Any]:
        """The fields that tell the server's model to think, or not to; the first time it is asked.

        Chat templates have a switch, which servers of open weights pass on; providers have an
        effort. One that takes neither is left as it is, and so is one that passes them over.

        Raises:
            UnansweredError: it can't be asked.
        """
        assert self.abilities is not None
        if thinks not in self._switches:
            template: dict[str, Any] = {"chat_template_kwargs": dict.fromkeys(SWITCHES, thinks)}
            efforts: list[dict[str, Any]] = [
                {} if thinks else {"reasoning_effort": effort} for effort in EFFORTS
            ]
            one = replace(self.abilities, n=False, logprobs=False, likeliest=False)
            ways = [{**template, **efforts[0]}, template, *efforts, {}]
            self._switches[thinks], _ = await first_taken(ways, lambda way: self._greet(one, way))
        return self._switches[thinks]

    async def _only_model(self) -> str:
        served = await self.server.ask(
            "/models", None, lambda answer: [str(model["id"]) for model in answer["data"]]
        )
        if CommonConfig.model in served:
            # Who names the default model is not told from who names none.
            return CommonConfig.model
        if len(served) != 1:
            listed = ", ".join(served[:20]) or "none"
            raise RefusedError(f"{self.server.url}: name one of the models it serves: {listed}")
        return served[0]
