"""A web server on loopback that answers chat completions as a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from reasonkit.generation.endpoint import PROBE_TOKENS

Reply = Callable[[dict[str, Any], int, BaseHTTPRequestHandler], None]
"""Answers a posted body; told how many were posted before it. Probes, which are told from other
requests by their token limit, are counted apart."""


def choice(text: str, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"index": 0, "message": message, "finish_reason": "stop", **fields}


def answer(*choices: dict[str, Any], tokens: int | None = 7) -> dict[str, Any]:
    usage = None if tokens is None else {"completion_tokens": tokens, "prompt_tokens": 3}
    return {"object": "chat.completion", "choices": list(choices), "usage": usage}


def send(
    to: BaseHTTPRequestHandler, value: object, status: int = 200, **headers: str | int
) -> None:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    to.send_response(status)
    for name, said in {"Content-Length": len(content), **headers}.items():
        to.send_header(name.replace("_", "-"), str(said))
    to.end_headers()
    to.wfile.write(content)


@dataclass
class ChatServer:
    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def serving(
    reply: Reply,
    probe: Reply = lambda body, number, to: send(to, answer(choice("14"))),
    models: object = None,
) -> Iterator[ChatServer]:
    """A server that is up as long as the context is."""
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            send(self, models or {"data": [{"id": "m"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            limit = body.get("max_tokens", body.get("max_completion_tokens"))
            with counting:
                seen = there.probes if limit == PROBE_TOKENS else there.bodies
                seen.append(body)
                there.headers.append(dict(self.headers))
                number = len(seen) - 1
            (probe if limit == PROBE_TOKENS else reply)(body, number, self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = ChatServer(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def chat() -> SimpleNamespace:
    return SimpleNamespace(serving=serving, choice=choice, answer=answer, send=send)
