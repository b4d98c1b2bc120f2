"""Answers piece by piece, as server-sent events.

Each piece of text goes as soon as it is there, a thought in ``reasoning_content``; while there is
none, a comment now and then keeps the line open. An error on the way is an event too.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any
from uuid import uuid4

from reasonkit.answering import parted
from reasonkit.serving.backend import Answered, Asked, Backend, apart, finished
from reasonkit.serving.desk import Visit
from reasonkit.serving.faults import fault
from reasonkit.serving.schema import Usage

QUIET = 5.0
"""Seconds after which a comment is sent."""

Piece = tuple[bool, str] | Answered
"""Whether it is a thought and a text; at the end all of the answer."""

Chunk = dict[str, Any]


def usage(asked: Asked, answered: Answered) -> Usage:
    """The tokens of an answer."""
    read, made = asked.tokens, answered.tokens
    return Usage(prompt_tokens=read, completion_tokens=made, total_tokens=read + made)


async def events(
    visit: Visit,
    backend: Backend,
    asked: Asked,
    is_chat: bool,
    wants_usage: bool,
    done: Callable[[Answered], object],
) -> AsyncIterator[str]:
    """The events of an answer to a conversation, or of the continuation of a text.

    Args:
        done: told what the answer took.
    """
    told = partial(_chat, asked) if is_chat else _text
    kind, prefix = ("chat.completion.chunk", "chatcmpl") if is_chat else ("text_completion", "cmpl")
    same = {"id": f"{prefix}-{uuid4().hex}", "object": kind, "created": int(time.time())}
    same["model"] = asked.offer.id
    streamed = False
    try:
        for index in range(asked.n if is_chat else 0):
            yield _event({**same, "choices": [_delta(index, role="assistant", content="")]})
        async for piece in _pieces(visit, backend, asked, is_chat):
            if piece is None:
                yield ": still at work\n\n"
                continue
            choices = told(piece, streamed)
            streamed = True
            if not isinstance(piece, Answered):
                yield "".join(_event({**same, "choices": [choice]}) for choice in choices)
                continue
            *before, last = choices
            done(piece)
            extra = piece.extra.model_dump()
            yield "".join(_event({**same, "choices": [choice]}) for choice in before)
            yield _event({**same, "choices": [last], "reasonkit": extra})
            if wants_usage:
                took = usage(asked, piece).model_dump()
                yield _event({**same, "choices": [], "usage": took})
    except Exception as error:
        yield _event({"error": fault(error)[1].model_dump()})
    else:
        yield "data: [DONE]\n\n"


def _event(body: Chunk) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def _pieces(
    visit: Visit, backend: Backend, asked: Asked, is_chat: bool
) -> AsyncIterator[Piece | None]:
    """What a thread makes, as it comes; None where nothing does for a while."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()

    def work(gone: threading.Event) -> None:
        last: Exception | None = None
        try:
            for piece in _spoken(backend.stream(asked, gone), is_chat, asked.begun is not None):
                loop.call_soon_threadsafe(arrived.put_nowait, piece)
        except Exception as error:
            last = error
        loop.call_soon_threadsafe(arrived.put_nowait, last)

    visit.desk.start(lambda: work(visit.gone))
    while True:
        try:
            async with asyncio.timeout(QUIET):
                piece = await arrived.get()
        except TimeoutError:
            yield None
            continue
        if piece is None:
            return
        if isinstance(piece, Exception):
            raise piece
        yield piece


def _spoken(pieces: Iterator[str | Answered], is_chat: bool, begun: bool) -> Iterator[Piece]:
    """Pieces of a text with thoughts told apart, where it is one of a conversation."""
    whole: list[Answered] = []

    def texts() -> Iterator[str]:
        for piece in pieces:
            if isinstance(piece, Answered):
                whole.append(piece)
            else:
                yield piece

    for thinking, text in parted(texts()) if is_chat else ((False, text) for text in texts()):
        if is_chat and not thinking and not begun:
            text = text.lstrip()
        begun = begun or (not thinking and bool(text))
        if text:
            yield thinking, text
    yield from whole


def _delta(index: int, finish: str | None = None, **delta: str) -> Chunk:
    return {"index": index, "delta": delta, "finish_reason": finish}


def _chat(asked: Asked, piece: Piece, streamed: bool) -> Iterator[Chunk]:
    if not isinstance(piece, Answered):
        thinking, text = piece
        yield _delta(0, **{"reasoning_content" if thinking else "content": text})
        return
    for index, completion in enumerate(piece.completions):
        said, thought = apart(completion.text, asked.begun is not None)
        if thought and not streamed:
            yield _delta(index, reasoning_content=thought)
        if said and not streamed:
            yield _delta(index, content=said)
        yield _delta(index, finished(completion))


def _text(piece: Piece, streamed: bool) -> Iterator[Chunk]:
    if not isinstance(piece, Answered):
        yield {"index": 0, "text": piece[1], "finish_reason": None}
        return
    for index, completion in enumerate(piece.completions):
        text = "" if streamed else completion.text
        yield {"index": index, "text": text, "finish_reason": finished(completion)}
