"""The routes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import Receive, Scope, Send

from reasonkit.serving import ServingLimits
from reasonkit.serving.backend import Answered, Asked, Backend, apart, finished
from reasonkit.serving.desk import Desk, Gate
from reasonkit.serving.faults import answer_errors
from reasonkit.serving.metrics import Metrics
from reasonkit.serving.offers import PLAIN, Menu, Offer
from reasonkit.serving.schema import (
    ChatAnswer,
    ChatRequest,
    Choice,
    CompletionAnswer,
    CompletionRequest,
    Faulty,
    Health,
    ModelCard,
    ModelList,
    Said,
    TextChoice,
)
from reasonkit.serving.streaming import events, usage

FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": Faulty, "description": about}
    for status, about in (
        (400, "Something of the request isn't valid, or isn't done here."),
        (401, "A key is needed."),
        (403, "The request names another machine."),
        (404, "There is no such model."),
        (408, "The request took too long to arrive."),
        (413, "The request is too large."),
        (429, "Too many requests are waiting; Retry-After says when to come again."),
        (502, "The engine has failed."),
        (503, "The server is shutting down."),
    )
}
STREAM = "text/event-stream"


def make(backend: Backend, menu: Menu, limits: ServingLimits, key: str | None) -> FastAPI:
    """The app over a backend; ``key`` as of `reasonkit.serving.desk.Gate`."""
    metrics, began = Metrics(), int(time.time())
    desk = Desk(limits, metrics)
    # The pages that show a description load their code from elsewhere.
    app = FastAPI(title="reasonkit", docs_url=None, redoc_url=None, responses=FAULTS)
    app.state.desk = desk
    answer_errors(app)
    app.add_middleware(Gate, limits=limits, key=key, metrics=metrics)

    def card(offer: Offer) -> ModelCard:
        return ModelCard(id=offer.id, created=began, description=offer.description)

    def count(asked: Asked, answered: Answered, started: float) -> None:
        name = asked.offer.strategy.name if asked.offer.strategy else PLAIN
        metrics.tokens.labels("prompt").inc(asked.tokens)
        metrics.tokens.labels("completion").inc(answered.tokens)
        metrics.samples.labels(name).inc(answered.extra.samples)
        metrics.seconds.labels(name).observe(time.monotonic() - started)

    async def answered(
        request: Request,
        settle: Callable[[], Asked],
        whole: Callable[[Asked, Answered], Any],
        body: ChatRequest | CompletionRequest,
    ) -> Any:
        """What is said to a request that is settled once there is a place for it."""
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            visit = await stack.enter_async_context(desk.place(request.receive))
            asked = await run_in_threadpool(settle)
            if not body.stream:
                found = await visit.have(lambda gone: backend.answer(asked, gone))
                count(asked, found, started)
                return whole(asked, found)
            # From here on the place is the stream's, which leaves it at its end.
            kept = stack.pop_all()

        def done(found: Answered) -> None:
            visit.answered = True
            count(asked, found, started)

        streamed = events(
            visit, backend, asked, isinstance(body, ChatRequest), body.wants_usage, done
        )
        return _Stream(streamed, kept)

    @app.get("/health")
    async def health() -> Health:
        """Whether the server answers; needs no key."""
        return Health(model=menu.name)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def show_metrics() -> Response:
        """Counts for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/models")
    async def models() -> ModelList:
        """The model, then each strategy before it."""
        return ModelList(data=[card(offer) for offer in menu])

    @app.get("/v1/models/{id:path}")
    async def model(id: str) -> ModelCard:
        """One of them, with any number of samples that is allowed."""
        return card(menu.find(id))

    @app.post(
        "/v1/chat/completions",
        response_model=ChatAnswer,
        responses={200: {"content": {STREAM: {"schema": {"type": "string"}}}}},
    )
    async def chat(body: ChatRequest, request: Request) -> Any:
        """Goes on with a conversation."""

        def whole(asked: Asked, found: Answered) -> ChatAnswer:
            return ChatAnswer(
                id=f"chatcmpl-{uuid4().hex}",
                model=asked.offer.id,
                choices=[_choice(i, asked, found) for i in range(len(found.completions))],
                usage=usage(asked, found),
                reasonkit=found.extra,
            )

        offer = menu.find(body.model, body.open)
        return await answered(request, lambda: backend.chat(body, offer), whole, body)

    @app.post(
        "/v1/completions",
        response_model=CompletionAnswer,
        responses={200: {"content": {STREAM: {"schema": {"type": "string"}}}}},
    )
    async def completions(body: CompletionRequest, request: Request) -> Any:
        """Goes on with a text."""

        def whole(asked: Asked, found: Answered) -> CompletionAnswer:
            made = enumerate(found.completions)
            return CompletionAnswer(
                id=f"cmpl-{uuid4().hex}",
                model=asked.offer.id,
                choices=[
                    TextChoice(index=i, text=one.text, finish_reason=finished(one))
                    for i, one in made
                ],
                usage=usage(asked, found),
                reasonkit=found.extra,
            )

        offer = menu.find(body.model, open=False)
        return await answered(request, lambda: backend.texts(body, offer), whole, body)

    return app


def _choice(index: int, asked: Asked, found: Answered) -> Choice:
    completion = found.completions[index]
    said, thought = apart(completion.text, asked.begun is not None)
    message = Said(content=said, reasoning_content=thought)
    return Choice(index=index, message=message, finish_reason=finished(completion))


class _Stream(StreamingResponse):
    """Events, and the place that is left once they are over or nobody takes them any more."""

    def __init__(self, events: AsyncIterator[str], place: AsyncExitStack) -> None:
        super().__init__(events, media_type=STREAM)
        self.place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.place:
            await super().__call__(scope, receive, send)
