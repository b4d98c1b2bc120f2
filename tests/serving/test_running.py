"""The process of a server: who may ask it, kills, restarts, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from starlette.types import Message

from reasonkit.answering import open_respondent
from reasonkit.config import VoteConfig
from reasonkit.generation.together import GoneError
from reasonkit.serving import ServingLimits
from reasonkit.serving.backend import Backend
from reasonkit.serving.desk import Gate
from reasonkit.serving.metrics import Metrics
from reasonkit.serving.offers import Menu
from reasonkit.serving.schema import ChatRequest
from reasonkit.voting import routing
from reasonkit.voting.strategies import Draw, Option, Policy

ASKED: Any = [{"role": "user", "content": "What is (1+5)*3+6?"}]
NAME = "abacus-reasoner"


def said(client: openai.OpenAI) -> str | None:
    made = client.chat.completions.create(model=NAME, messages=ASKED, temperature=0)
    return made.choices[0].message.content


def test_other_machines_need_a_key_and_a_killed_server_comes_back(
    serve: Callable, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("sesame\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    guarded = (NAME, "--host", "0.0.0.0", "--port", port, "--require-key", "key")
    started, _ = serve(*guarded, cwd=tmp_path)
    url = f"http://127.0.0.1:{port}/v1"
    stranger = openai.OpenAI(base_url=url, api_key="guessed", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError, match="a key is needed"):
        said(stranger)
    with openai.OpenAI(base_url=url, api_key="sesame", max_retries=0) as client:
        assert said(client) == "24"
        started.signalled(signal.SIGKILL)
        with pytest.raises(openai.APIConnectionError):
            said(client)
        again, _ = serve(*guarded, cwd=tmp_path)
        assert said(client) == "24"
        # What is under way when it is asked to stop is finished, and nothing new is begun.
        asked = f"{NAME}:majority@64"
        stream = client.chat.completions.create(model=asked, messages=ASKED, stream=True)
        assert next(iter(stream)).choices[0].delta.role == "assistant"
        ending: list[Any] = []
        stopping = threading.Thread(target=lambda: ending.append(again.signalled(signal.SIGTERM)))
        stopping.start()
        assert [event.choices[0].finish_reason for event in stream][-1] == "stop"
        stopping.join()
        assert ending[0].code == 0 and "Traceback" not in ending[0].err
        with pytest.raises(openai.APIConnectionError):
            said(client)


def test_what_cant_be_served_is_refused(reasonkit: Callable, tmp_path: Path) -> None:
    open_to_all = reasonkit("serve", "abacus", "--host", "0.0.0.0")
    assert (open_to_all.code, "--require-key" in open_to_all.err) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert reasonkit("serve", "abacus", "--port", port).code == 2
    assert "holds no model" in reasonkit("serve", tmp_path, "--port", 0).err
    assert "needs --policy" in reasonkit("serve", "abacus", "--route").err
    alike = Policy(Draw("asked", 0), (Option("majority", 8, "asked"),))
    routing.save(alike, tmp_path / routing.FILE)
    blind = reasonkit("serve", "abacus", "--route", "--policy", tmp_path)
    assert (blind.code, "spends the same on every question" in blind.err) == (2, True)
    (tmp_path / "key").write_text("two words")
    assert reasonkit("serve", "--require-key", tmp_path / "key").code == 2


def test_a_request_that_takes_too_long_to_arrive_is_given_up() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(60)
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    gate = Gate(None, ServingLimits(patience=0.01), None, Metrics())  # type: ignore[arg-type]
    headers = [(b"host", b"localhost:8000"), (b"content-length", b"9")]
    scope = {"type": "http", "path": "/v1/models", "method": "POST", "headers": headers}
    asyncio.run(gate(scope, receive, send))
    assert sent[0]["status"] == 408


def test_a_vote_before_another_server_asks_it_and_stops_with_the_client(
    chat: SimpleNamespace,
) -> None:
    late = threading.Event()

    def reply(body: dict[str, Any], number: int, to: Any) -> None:
        if "slow" in str(body["messages"]):
            late.wait(30)
        chat.send(to, chat.answer(chat.choice(f"It is {24 + (number % 4 == 0)}.")))

    with chat.serving(reply) as there:
        respondent = open_respondent(VoteConfig(endpoint=there.url, baselines=False), None)
        backend, menu = Backend(respondent, 64), Menu(respondent, "m", 64)
        names = [offer.id for offer in menu]
        assert "m:majority@8" in names and "m:budget" not in names
        request = ChatRequest(model="m", messages=ASKED, reasoning_effort="low")
        plain = backend.answer(backend.chat(request, menu.find("m")), threading.Event())
        assert plain.completions[0].text.startswith("It is 2")
        assert there.bodies[-1]["reasoning_effort"] == "low"
        vote = backend.chat(request, menu.find("m:majority@16"))
        made = backend.answer(vote, threading.Event())
        assert (made.extra.elected, made.extra.samples) == ("24", 8)
        slow = ChatRequest(model="m", messages=[{"role": "user", "content": "slow"}])
        gone = threading.Event()
        threading.Timer(0.2, gone.set).start()
        begun = time.monotonic()
        with pytest.raises(GoneError):
            backend.answer(backend.chat(slow, menu.find("m:majority@8")), gone)
        # Half of what the other server would have taken: it isn't waited for.
        assert time.monotonic() - begun < 15
        late.set()
