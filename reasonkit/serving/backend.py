"""Answers one request, for a thread of its own: samples, votes, and what is made of them."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reasonkit.answering import Respondent, drawn_from, parted, unfinished
from reasonkit.answers.reading import THOUGHTS as TAGGED
from reasonkit.config import VoteConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.budget import BudgetEngine
from reasonkit.generation.engine import Engine, Sampling, TokenEngine, seed_of
from reasonkit.generation.paid import ServerEngine
from reasonkit.generation.together import Shared, Worker
from reasonkit.models.chat import encode_prompts
from reasonkit.serving.offers import THOUGHTS, Offer
from reasonkit.serving.schema import ChatRequest, CompletionRequest, Extra, Finish, Request
from reasonkit.types import Completion, Example
from reasonkit.voting.ballots import confidence
from reasonkit.voting.records import record

ROWS = 64
"""Completions that are sampled at once here, where memory has room."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with all that is settled before it is answered.

    Attributes:
        prompts: token ids of texts to go on with, or the conversation.
        config: how samples are drawn.
        tokens: of the prompt; 0 where a server doesn't tell.
        begun: where an answer is gone on with, what completions begin with of it, and the tag of a
            thought that it has left open.
    """

    offer: Offer
    prompts: Example | Sequence[Sequence[int]]
    config: VoteConfig
    n: int
    stops: tuple[str, ...]
    effort: str | None
    tokens: int
    begun: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """Completions with what they took."""

    completions: Sequence[Completion]
    tokens: int
    extra: Extra


class Backend:
    """A respondent, and the thread of its engine where that is here.

    Args:
        samples: of a request, at most.
    """

    def __init__(self, respondent: Respondent, samples: int) -> None:
        self.respondent, self.samples = respondent, samples
        config, engine = respondent.source.config, respondent.source.engine
        assert config.max_completion_tokens
        self.widest, self.longest = config.max_prompt_tokens, config.max_completion_tokens
        self.worker: Worker | None = None
        if isinstance(engine, TokenEngine):
            # Settled for a prompt as short as a greeting: so many fit of the longest.
            fit = (config.rows or ROWS) * self.longest // (self.widest + self.longest)
            # A thought that is gone on with is part of a prompt.
            widest = self.widest + self.longest
            self.worker = Worker(engine, widest, self.longest, max(1, min(ROWS, fit)))

    def close(self) -> None:
        """Ends what is under way."""
        if self.worker:
            self.worker.close()

    def chat(self, request: ChatRequest, offer: Offer) -> Asked:
        """A conversation, settled.

        Raises:
            RefusedError: it can't be answered.
        """
        messages = [message.plain() for message in request.messages]
        goes_on, effort = request.continue_final_message, request.reasoning_effort
        role = "assistant" if goes_on else "user"
        if messages[-1]["role"] != role:
            raise RefusedError(f"messages: the last one must be the {role}'s")
        if goes_on and (offer.strategy or effort or not messages[-1]["content"]):
            raise RefusedError(
                "continue_final_message: a plain model goes on with what an assistant has begun, "
                "without reasoning_effort"
            )
        example, tokens, begun = self.respondent.prompt(messages), 0, ""
        if self.worker:
            (ids,), (begun,) = encode_prompts(self.worker.engine.tokenizer, [example])
            tokens = len(ids)
            self._require_short(tokens, self.longest if goes_on else 0)
        elif goes_on:
            self.respondent.source.engine.require_continuing()  # type: ignore[attr-defined]
        offer = offer.with_effort(effort, self.samples)
        asked = self._settled(request, offer, example, tokens, effort)
        inside = _open_thought(messages[-1]["content"])
        return replace(asked, begun=(begun, inside)) if goes_on else asked

    def texts(self, request: CompletionRequest, offer: Offer) -> Asked:
        """Texts or token ids to go on with, settled.

        Raises:
            RefusedError: they can't be.
        """
        if self.worker is None:
            raise RefusedError("model: the server behind this one is asked for chats alone")
        if offer.strategy is not None:
            raise RefusedError(f"model: {offer.strategy.name} needs a question: ask a chat")
        tokenizer, prompt = self.worker.engine.tokenizer, request.prompt
        many: list[Any] = (
            prompt if isinstance(prompt, list) and not isinstance(prompt[0], int) else [prompt]
        )
        ids = [tokenizer(p).input_ids if isinstance(p, str) else p for p in many]
        for one in ids:
            if not one:
                raise RefusedError("prompt: there is nothing to go on with")
            if not all(0 <= id < len(tokenizer) for id in one):
                raise RefusedError(f"prompt: token ids go from 0 to {len(tokenizer) - 1}")
            self._require_short(len(one))
        return self._settled(request, offer, ids, sum(map(len, ids)), None)

    def answer(self, asked: Asked, gone: threading.Event) -> Answered:
        """All of an answer.

        Raises:
            GoneError: the client has left.
            ReasonkitError: of the engine.
        """
        engine = self._engine(asked, gone)
        if asked.offer.strategy is not None:
            return self._voted(asked, engine)
        sampling = _sampling(asked)
        if isinstance(asked.prompts, Example):
            (group,) = self._thinking(asked, engine).sample([asked.prompts], asked.n, sampling)
            made = list(group.completions)
        else:
            assert isinstance(engine, Shared)
            seeds = [seed_of(sampling.seed, i) for i in range(len(asked.prompts))]
            found = dict(engine.sample_ids(asked.prompts, asked.n, sampling, seeds))
            made = list(itertools.chain(*(found[i] for i in range(len(asked.prompts)))))
        if failure := next((c.failure for c in made if c.failure), ""):
            raise RefusedError(failure)
        if asked.begun:
            had, tag = asked.begun
            made = [replace(one, text=tag + one.text[len(had) :]) for one in made]
        made = [_cut(completion, asked.stops) for completion in made]
        sure = confidence(made[0]) if len(made) == 1 else None
        extra = Extra(samples=len(made), temperature=sampling.temperature, confidence=sure)
        return Answered(made, sum(completion.tokens for completion in made), extra)

    def stream(self, asked: Asked, gone: threading.Event) -> Iterator[str | Answered]:
        """The pieces of an answer's text as they come, then what it took.

        What has to be whole before it is known comes in one piece: a vote, a thought that is kept
        to a budget, several choices, and what a server behind this one says.
        """
        engine = self._engine(asked, gone)
        whole = asked.offer.strategy or asked.effort or asked.n > 1
        if whole or not isinstance(engine, Shared) or not isinstance(asked.prompts, Example):
            yield self.answer(asked, gone)
            return
        sampling = _sampling(asked)
        pieces = engine.stream(asked.prompts, sampling)
        if asked.begun:
            # The first of them is what the client has begun.
            next(pieces)
            pieces = itertools.chain([asked.begun[1]], pieces)
        yield from _until(pieces, asked.stops)
        # The last of them may have been beyond a stop.
        for _ in pieces:
            pass
        assert engine.streamed is not None
        sure = confidence(engine.streamed)
        extra = Extra(samples=1, temperature=sampling.temperature, confidence=sure)
        yield Answered([engine.streamed], engine.streamed.tokens, extra)

    def _voted(self, asked: Asked, engine: Engine) -> Answered:
        assert isinstance(asked.prompts, Example) and asked.offer.strategy is not None
        source = replace(self.respondent.source, config=asked.config, engine=engine)
        strategy = asked.offer.strategy
        outcome = self.respondent.vote(asked.prompts, strategy.name, source)
        told = record(outcome)
        heat = 0.0 if strategy.single else asked.config.temperature or 0.0
        kept = ("way", "elected", "sureness", "answers", "others", "blank", "samples")
        extra = Extra(
            strategy=strategy.name,
            temperature=heat,
            confidence=confidence(outcome.completion),
            **{name: told[name] for name in kept},
        )
        return Answered([outcome.completion], outcome.tokens, extra)

    def _engine(self, asked: Asked, gone: threading.Event) -> Engine:
        if self.worker:
            return Shared(self.worker, gone)
        engine: ServerEngine = self.respondent.source.engine  # type: ignore[assignment]
        effort = {"reasoning_effort": asked.effort} if asked.effort else {}
        return engine.asked_by(gone, {} if asked.offer.strategy else effort)

    def _thinking(self, asked: Asked, engine: Engine) -> Engine:
        """The engine with thoughts as long as the effort allows."""
        if asked.effort is None or not isinstance(engine, Shared):
            return engine
        assert asked.config.max_completion_tokens
        most = int(THOUGHTS[asked.effort] * asked.config.max_completion_tokens)
        return BudgetEngine(engine, most, 0, "")

    def _require_short(self, tokens: int, begun: int = 0) -> None:
        if tokens > self.widest + begun:
            raise RefusedError(
                f"the prompt has {tokens} tokens, which exceeds the context length that is left "
                f"for it: {self.widest + begun}"
            )

    def _settled(
        self, request: Request, offer: Offer, prompts: Any, tokens: int, effort: str | None
    ) -> Asked:
        n, strategy = request.n or 1, offer.strategy
        many = 1 if isinstance(prompts, Example) else len(prompts)
        if strategy is not None and n > 1:
            raise RefusedError(f"n: {strategy.name} gives one answer")
        if strategy is not None and request.stops:
            raise RefusedError(f"stop: {strategy.name} needs whole completions")
        if n * many > self.samples:
            raise RefusedError(f"n: a request has at most {self.samples} samples")
        usual = self.respondent.source.config
        assert usual.max_completion_tokens and usual.temperature is not None
        longest = min(request.limit or self.longest, self.longest)
        heat = usual.temperature if request.temperature is None else request.temperature
        if strategy is not None and heat == 0:
            # Equal samples would elect themselves.
            heat = usual.temperature or 1.0
        seed = secrets.randbits(40) if request.seed is None else request.seed % 2**63
        config = replace(
            usual,
            n=offer.n,
            temperature=heat,
            top_p=usual.top_p if request.top_p is None else request.top_p,
            max_completion_tokens=longest,
            thought_tokens=max(1, min(usual.thought_tokens or longest, longest * 3 // 4)),
            seed=seed,
        )
        return Asked(offer, prompts, config, n, request.stops, effort, tokens)


def _sampling(asked: Asked) -> Sampling:
    return replace(drawn_from(asked.config), stop=asked.stops)


def _cut(completion: Completion, stops: Sequence[str]) -> Completion:
    """A completion up to where the first of the stops begins."""
    text = "".join(_until([completion.text], stops))
    ended = text != completion.text
    return replace(completion, text=text, finish_reason="stop") if ended else completion


def _until(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """Pieces of a text up to where the first of the stops begins."""
    waiting = ""
    for piece in pieces:
        waiting += piece
        if found := [place for stop in stops if (place := waiting.find(stop)) >= 0]:
            yield waiting[: min(found)]
            return
        held = unfinished(waiting, stops)
        if told := waiting[: len(waiting) - held]:
            yield told
        waiting = waiting[len(waiting) - held :]
    if waiting:
        yield waiting


def _open_thought(text: str) -> str:
    """The tag of a thought that isn't closed; empty where there is none."""
    tags = (opening for opening, closing in TAGGED if text.rfind(opening) > text.rfind(closing))
    return next(tags, "")


def apart(text: str, goes_on: bool) -> tuple[str, str | None]:
    """What a text says, and what it thinks; None where it doesn't.

    Args:
        goes_on: whether it goes on with one, so that white space before it is part of it.
    """
    told: dict[bool, list[str]] = {False: [], True: []}
    for thinking, piece in parted([text]):
        told[thinking].append(piece)
    said = "".join(told[False])
    return said if goes_on else said.lstrip(), "".join(told[True]) or None


def finished(completion: Completion) -> Finish:
    """Why a completion ended, in the API's words."""
    return "length" if completion.finish_reason == "length" else "stop"
