"""One real server for all tests of serving, and what asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from commands import Launched

LIMITS = ("--concurrency", 6, "--queue", 4, "--n", 64)


@pytest.fixture(scope="session")
def serve(launch: Callable) -> Callable[..., tuple[Launched, str]]:
    """Starts ``reasonkit serve`` and waits until it listens; the process and its URL."""

    def serve(*argv: object, cwd: Path | None = None) -> tuple[Launched, str]:
        started = launch("serve", *argv, cwd=cwd)
        started.until(lambda: "http://" in started.said())
        assert started.said(), started.ended().err
        return started, started.said().strip()

    return serve


@pytest.fixture(scope="module")
def url(serve: Callable) -> Iterator[str]:
    started, url = serve("abacus-reasoner", "--port", 0, *LIMITS)
    yield url
    # Whatever was asked of it, it ends by itself and says nothing of an error.
    ended = started.signalled(15)
    assert (ended.code, "Traceback" in ended.err) == (0, False), ended.err


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client
