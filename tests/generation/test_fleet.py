"""Several servers of one model, some of which fail, come and go."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from reasonkit.errors import RefusedError, RunError
from reasonkit.generation import fleet
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.generation.engine import Sampling
from reasonkit.generation.fleet import urls_of
from reasonkit.generation.paid import Drawn, Wish
from reasonkit.servers import Limits
from reasonkit.types import Example

FEW = Limits(concurrency=3)


def wishes(count: int, n: int = 2) -> list[Wish]:
    asked = [
        Example(f"e{i}", "t", ({"role": "user", "content": f"{i}?"},), "") for i in range(count)
    ]
    return [Wish(example, range(n)) for example in asked]


def drawn(engine: EndpointEngine, asked: list[Wish]) -> Counter[tuple[str, int]]:
    """How often each sample was kept; every one that is given has been."""
    kept: list[Drawn] = []
    given = list(engine.draw(asked, Sampling(50), kept.append))
    assert given == kept
    return Counter((one.example.id, one.place) for one in kept)


def all_once(asked: list[Wish]) -> Counter[tuple[str, int]]:
    return Counter((wish.example.id, place) for wish in asked for place in wish.places)


def test_servers_are_named_one_by_one_with_commas_or_in_a_file(tmp_path: Path) -> None:
    assert urls_of("http://a/v1") == ["http://a/v1"]
    assert urls_of("http://a/v1, http://b/v1,") == ["http://a/v1", "http://b/v1"]
    path = tmp_path / "servers.txt"
    path.write_text("http://a/v1\n\n# not now: http://c/v1\n http://b/v1 \n")
    assert urls_of(str(path)) == ["http://a/v1", "http://b/v1"]
    path.write_text("# none\n")
    with pytest.raises(RefusedError, match="names no server"):
        urls_of(str(path))


def test_whoever_is_free_is_asked(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(chat.choice("4")))

    asked = wishes(40)
    with chat.serving(reply) as one, chat.serving(reply) as other:
        engine = EndpointEngine(f"{one.url},{other.url}", "m", limits=FEW)
        assert drawn(engine, asked) == all_once(asked)
        assert len(one.bodies) > 5 and len(other.bodies) > 5


def test_what_a_server_fails_at_is_asked_of_another_and_nothing_is_doubled(
    chat: SimpleNamespace, capsys: pytest.CaptureFixture
) -> None:
    down = threading.Event()

    def failing(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if number > 5:
            down.set()
        if down.is_set():
            to.close_connection = True
        else:
            chat.send(to, chat.answer(chat.choice("4")))

    def working(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        down.wait(20)
        chat.send(to, chat.answer(chat.choice("4")))

    asked = wishes(60)
    with chat.serving(failing) as one, chat.serving(working) as other:
        engine = EndpointEngine(f"{one.url},{other.url}", "m", limits=FEW)
        assert drawn(engine, asked) == all_once(asked)
    told = capsys.readouterr().err
    assert "set aside" in told and "samples by server" in told


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_request_that_fails_alone_is_asked_of_another_server_once(
    chat: SimpleNamespace, everywhere: bool
) -> None:
    """As llama.cpp's server breaks one off now and then, and answers the next."""
    asked = wishes(20, n=1)

    def answers(fails: bool) -> Callable:
        def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
            said = body["messages"][0]["content"]
            if fails and said.startswith("7?"):
                to.close_connection = True
            else:
                chat.send(to, chat.answer(chat.choice("4")))

        return reply

    # So that it is the one that fails which is asked first.
    asked = [asked[7], *asked[:7], *asked[8:]]
    with chat.serving(answers(True)) as one, chat.serving(answers(everywhere)) as other:
        engine = EndpointEngine(f"{one.url},{other.url}", "m", limits=Limits(concurrency=1))
        given = list(engine.draw(asked, Sampling(50), lambda drawn: None))
        tried = [
            any(body["messages"][0]["content"].startswith("7?") for body in there.bodies)
            for there in (one, other)
        ]
    assert Counter(drawn.example.id for drawn in given) == Counter(w.example.id for w in asked)
    failed = [drawn.example.id for drawn in given if drawn.completion.failure]
    assert (failed, tried) == (["e7"] if everywhere else [], [True, True])


def test_a_server_that_is_down_from_the_start_is_done_without(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(chat.choice("4")))

    asked = wishes(5)
    with chat.serving(reply) as there:
        engine = EndpointEngine(f"http://127.0.0.1:9/v1,{there.url}", "m", limits=FEW)
        assert drawn(engine, asked) == all_once(asked)
    engine = EndpointEngine("http://127.0.0.1:9/v1,http://127.0.0.1:10/v1", "m", limits=FEW)
    with pytest.raises(RefusedError, match=":10/v1 can't be reached"):
        drawn(engine, asked)


def test_where_all_servers_have_failed_the_drawing_ends(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if number > 3:
            to.close_connection = True
        else:
            chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as one, chat.serving(reply) as other:
        engine = EndpointEngine(f"{one.url},{other.url}", "m", limits=FEW)
        with pytest.raises(RunError, match="broke off"):
            drawn(engine, wishes(40))


def test_a_server_that_is_added_to_the_file_is_asked_too(
    chat: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "LOOK", 0.05)
    path, added = tmp_path / "servers.txt", threading.Event()

    def slow(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if number == 3:
            path.write_text(f"{one.url}\n{other.url}\n")
        if number > 3:
            added.wait(20)
        chat.send(to, chat.answer(chat.choice("4")))

    def quick(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        added.set()
        chat.send(to, chat.answer(chat.choice("4")))

    asked = wishes(30)
    with chat.serving(slow) as one, chat.serving(quick) as other:
        path.write_text(f"{one.url}\n")
        engine = EndpointEngine(str(path), "m", limits=FEW)
        assert drawn(engine, asked) == all_once(asked)
        assert other.bodies
