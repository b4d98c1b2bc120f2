"""The endpoint against a real web server that behaves well, badly, slowly or not at all."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.generation.engine import Sampling
from reasonkit.generation.paid import Drawn, Wish
from reasonkit.servers import Limits, read_key
from reasonkit.servers.client import FEW, TRIES
from reasonkit.types import Example

SAMPLING = Sampling(50)
QUICK = Limits(concurrency=4, timeout=20)


def examples(n: int) -> list[Example]:
    return [Example(f"e{i}", "t", ({"role": "user", "content": f"{i}?"},), "0") for i in range(n)]


def engine(url: str, **fields: Any) -> EndpointEngine:
    return EndpointEngine(url, **{"limits": QUICK, **fields})


def asked(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]


def texts(engine: EndpointEngine, n: int, k: int = 1) -> dict[str, list[str]]:
    groups = engine.sample(examples(n), k, SAMPLING)
    return {group.example.id: [c.text for c in group.completions] for group in groups}


def error_of(url: str, kind: type[Exception], **fields: Any) -> str:
    with pytest.raises(kind) as caught:
        list(engine(url, **fields).sample(examples(3), 2, SAMPLING))
    line = str(caught.value)
    assert "\n" not in line
    assert url in line
    return line


def test_every_example_gets_its_group(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(chat.choice(f"<answer>{asked(body)}</answer>")))

    with chat.serving(reply) as server:
        found = texts(engine(server.url), 9, 3)
    assert found == {f"e{i}": [f"<answer>{i}?</answer>"] * 3 for i in range(9)}
    assert len(server.bodies) == 27
    assert not any("n" in body for body in server.bodies)


def test_a_server_that_takes_n_is_asked_for_several_at_once(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        made = [chat.choice(f"{asked(body)} {i}") for i in range(body.get("n", 1))]
        chat.send(to, chat.answer(*made))

    with chat.serving(reply, probe=reply) as server:
        found = texts(engine(server.url), 2, 19)
    assert sorted(body.get("n", 1) for body in server.bodies) == [3, 3, 8, 8, 8, 8]
    assert Counter(found["e0"]) == Counter(f"0? {i}" for i in [*range(8), *range(8), *range(3)])


def test_samples_that_a_server_left_out_are_asked_for_again(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        made = [chat.choice(str(i)) for i in range(min(2, body.get("n", 1)))]
        chat.send(to, chat.answer(*made))

    with chat.serving(reply, probe=reply) as server:
        assert texts(engine(server.url), 1, 5) == {"e0": ["0", "1", "0", "1", "0"]}
    assert [body.get("n", 1) for body in server.bodies] == [5, 3, 1]


@pytest.mark.parametrize(
    "unknown", [("n",), ("logprobs",), ("n", "logprobs"), ("max_tokens",), ("max_tokens", "n")]
)
def test_what_a_server_refuses_is_left_out(chat: SimpleNamespace, unknown: tuple[str, ...]) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if set(unknown) & body.keys():
            chat.send(to, {"error": {"message": f"I know no {unknown}", "code": 400}}, 400)
            return
        given = {"logprobs": {"content": [{"logprob": -0.5}]}} if "logprobs" in body else {}
        made = [chat.choice("4", **given) for _ in range(body.get("n", 1))]
        chat.send(to, chat.answer(*made))

    with chat.serving(reply, probe=reply) as server:
        client = engine(server.url)
        assert texts(client, 2, 2) == {"e0": ["4", "4"], "e1": ["4", "4"]}
        found = client.connect()
    assert found.n == ("n" not in unknown)
    assert ("confidence" in client.tells) == found.logprobs == ("logprobs" not in unknown)
    assert (found.limit == "max_tokens") == ("max_tokens" not in unknown)
    assert all(body[found.limit] == 50 for body in server.bodies)


@pytest.mark.parametrize("most", [0, 5, 20])
def test_the_likeliest_tokens_are_asked_for_where_they_are_wanted(
    chat: SimpleNamespace, most: int
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if body.get("top_logprobs", 0) > most:
            chat.send(to, {"error": {"message": f"at most {most} top_logprobs"}}, 400)
            return
        likeliest = [{"logprob": -float(i)} for i in range(body.get("top_logprobs", 0))]
        given = {"logprobs": {"content": [{"logprob": -0.5, "top_logprobs": likeliest}]}}
        chat.send(to, chat.answer(*[chat.choice("4", **given)] * body.get("n", 1)))

    with chat.serving(reply, probe=reply) as server:
        client = engine(server.url, sure=True)
        (group,) = client.sample(examples(1), 1, Sampling(50))
        assert client.tells == ({"confidence", "steady"} if most == 20 else {"confidence"})
    assert group.completions[0].confidences == ((9.5,) if most == 20 else ())


@pytest.mark.parametrize(
    ("goes_on", "read"),
    {
        "goes on": (True, len),
        "ends the turn, and begins another": (False, lambda begun: len(begun) + 5),
        "overlooks it": (False, lambda begun: 0),
        "leaves a thought out": (False, lambda begun: len(begun.rpartition("</think>")[2])),
        "puts a thought before it": (False, lambda begun: len("<think></think>" + begun)),
    }.values(),
)  # fmt: skip
def test_what_prompts_weigh_tells_whether_a_server_goes_on_with_what_is_begun(
    chat: SimpleNamespace, goes_on: bool, read: Any
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        last = body["messages"][-1]
        begun = last["content"] if last["role"] == "assistant" else ""
        usage = {"prompt_tokens": 20 + (read(begun) if begun else 0), "completion_tokens": 1}
        chat.send(to, {**chat.answer(chat.choice("4")), "usage": usage})

    with chat.serving(reply, probe=reply) as server:
        client = engine(server.url)
        if goes_on:
            client.require_continuing()
        else:
            with pytest.raises(RefusedError, match="begins anew, or leaves out a part"):
                client.require_continuing()


def test_a_server_that_overlooks_logprobs_is_known_to_give_none(chat: SimpleNamespace) -> None:
    with chat.serving(lambda *_: None) as server:
        assert not engine(server.url).tells
    assert server.probes[0]["logprobs"] is True
    assert not server.bodies


def test_requests_say_how_to_sample(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(chat.choice("4")))

    sampling = Sampling(40, temperature=0.7, top_p=0.9, top_k=20, min_p=0.05, seed=3)
    with chat.serving(reply) as server:
        client = engine(server.url, key="secret", logprobs=False)
        mine = client.asked_by(threading.Event(), {"service_tier": "flex"})
        list(mine.sample(examples(1), 1, sampling))
    (body,) = server.bodies
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "0?"}],
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 20,
        "min_p": 0.05,
        "max_tokens": 40,
        "service_tier": "flex",
    }
    assert server.headers[-1]["Authorization"] == "Bearer secret"


LEAST = {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}
MOST = {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}


@pytest.mark.parametrize(
    ("known", "off", "on"),
    [
        (
            ("chat_template_kwargs", "reasoning_effort=none"),
            LEAST | {"reasoning_effort": "none"},
            MOST,
        ),
        (("chat_template_kwargs",), LEAST, MOST),
        (("reasoning_effort=minimal", "reasoning_effort=low"), {"reasoning_effort": "minimal"}, {}),
        (("reasoning_effort=low",), {"reasoning_effort": "low"}, {}),
        ((), {}, {}),
    ],
)
def test_a_server_is_told_to_think_or_not_by_the_switches_that_it_takes(
    chat: SimpleNamespace, known: tuple[str, ...], off: dict, on: dict
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        said = {name for name in ("chat_template_kwargs",) if name in body}
        said |= {f"reasoning_effort={e}" for e in [body.get("reasoning_effort")] if e}
        if said - set(known):
            chat.send(to, {"error": {"message": f"I know no {said}", "code": 400}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply, probe=reply) as server:
        client = engine(server.url, logprobs=False)
        for thinks in (False, True, None):
            asking = [replace(example, thinks=thinks) for example in examples(3)]
            assert len(list(client.sample(asking, 1, SAMPLING))) == 3
        sent = [
            {
                name: body[name]
                for name in ("chat_template_kwargs", "reasoning_effort")
                if name in body
            }
            for body in server.bodies
        ]
    assert sent == [off] * 3 + [on] * 3 + [{}] * 3


def test_any_prompt_can_be_sent(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(chat.choice(asked(body))))

    text = "¿2×3?\u2028\x00 \U0001f9ee \ud83d"
    example = Example("e", "t", ({"role": "user", "content": text},), "6")
    with chat.serving(reply) as server:
        (group,) = engine(server.url).sample([example], 1, SAMPLING)
    assert group.completions[0].text == text.replace("\ud83d", "?")


def test_the_only_model_is_taken_and_one_of_several_must_be_named(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        assert engine(server.url).model == "m"
    with chat.serving(reply, models={"data": [{"id": "a"}, {"id": "b"}]}) as server:
        assert "a, b" in error_of(server.url, RefusedError)
        assert engine(server.url, model="b").model == "b"
    with chat.serving(reply, models={"data": [{"id": "a"}, {"id": "abacus"}]}) as server:
        assert engine(server.url).model == "abacus"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_what_may_pass_is_asked_again(chat: SimpleNamespace, status: int) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if number in (0, 1, 4):
            chat.send(to, {"error": {"message": "busy"}}, status)
        else:
            chat.send(to, chat.answer(chat.choice(asked(body))))

    with chat.serving(reply) as server:
        assert texts(engine(server.url), 4) == {f"e{i}": [f"{i}?"] for i in range(4)}
    assert len(server.bodies) == 7


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_retry_after_is_honoured(
    chat: SimpleNamespace, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Also where the package would give up.
    monkeypatch.setattr("openai._base_client.MAX_RETRY_AFTER_DELAY", 0.1)
    times = []
    wait = {
        "seconds": lambda: {"Retry_After": "0.4"},
        "milliseconds": lambda: {"retry_after_ms": "400"},
        "date": lambda: {"Retry_After": formatdate(time.time() + 2, usegmt=True)},
    }[form]

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        if number == 0:
            chat.send(to, {"detail": "slow down"}, 429, **wait())
        else:
            chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        assert texts(engine(server.url), 1) == {"e0": ["4"]}
    assert times[1] - times[0] > 0.39


def test_a_server_that_asks_to_wait_is_left_alone_by_all_requests(chat: SimpleNamespace) -> None:
    told = threading.Event()
    times = []

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        if number == 3:
            chat.send(to, {"detail": "slow down"}, 429, Retry_After="1")
            told.set()
        else:
            told.wait(5)
            time.sleep(0.4)
            chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        assert len(texts(engine(server.url), 9)) == 9
    assert times[4] - times[3] > 0.99


def test_a_server_that_asks_for_short_waits_is_backed_off_from(
    chat: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.4)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.4)
    times = []

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        if number == 0:
            chat.send(to, {"detail": "slow down"}, 429, retry_after_ms="1")
        else:
            chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        texts(engine(server.url), 1)
    assert times[1] - times[0] > 0.29


def test_a_server_that_always_asks_to_wait_is_given_up(
    chat: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasonkit.servers.client.PATIENCE", 0.25)

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, {"error": {"message": "busy"}}, 429, Retry_After="0.1")

    with chat.serving(reply) as server:
        line = error_of(server.url, RunError, limits=Limits(concurrency=1))
    assert "tried 3 times; it asks to wait 0.1 s" in line
    assert len(server.bodies) == 3


def test_an_answer_without_end_is_a_failed_sample(
    chat: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasonkit.servers.client.LARGEST", 100_000)
    over = threading.Event()

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if asked(body) != "1?":
            chat.send(to, chat.answer(chat.choice("4")))
            return
        to.send_response(200)
        to.end_headers()
        to.close_connection = True
        with suppress(OSError):
            while not over.is_set():
                to.wfile.write(b" " * 10_000)

    with chat.serving(reply) as server:
        try:
            groups = list(engine(server.url).sample(examples(3), 1, SAMPLING))
        finally:
            over.set()
    failures = {group.example.id: group.completions[0].failure for group in groups}
    assert failures.pop("e1").startswith("too large an answer: ")
    assert set(failures.values()) == {""}


def test_a_rate_limit_for_good_is_given_up_with_what_the_server_said(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, {"error": {"message": "daily limit"}}, 429, Retry_After="86400")

    with chat.serving(reply) as server:
        line = error_of(server.url, RunError)
    assert "daily limit" in line and "86400 s" in line and "rate limits" in line
    assert len(server.bodies) <= QUICK.concurrency


def test_a_used_up_account_is_not_asked_again(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        said = {"message": "You exceeded your current quota", "code": "insufficient_quota"}
        chat.send(to, {"error": said}, 429)

    with chat.serving(reply) as server:
        assert "exceeded your current quota" in error_of(
            server.url, RunError, limits=Limits(concurrency=1)
        )
    assert len(server.bodies) == 1


def test_a_server_that_keeps_failing_is_given_up_after_all_patience(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, b"<h1>Bad gateway</h1>", 502)

    with chat.serving(reply) as server:
        line = error_of(server.url, RunError, limits=Limits(concurrency=1))
    assert "502" in line and "Bad gateway" in line and f"tried {TRIES} times" in line
    assert len(server.bodies) == TRIES + FEW


def _truncated(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.send_header("Content-Length", "500")
    to.end_headers()
    to.wfile.write(b'{"choices": [{"message": {"content": "4')
    to.close_connection = True


def _torn_chunk(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.send_header("Transfer-Encoding", "chunked")
    to.end_headers()
    to.wfile.write(b'50\r\n{"choices": [')
    to.close_connection = True


def _slammed(to: BaseHTTPRequestHandler) -> None:
    to.connection.shutdown(socket.SHUT_RDWR)
    to.close_connection = True


def _raw(content: bytes, **headers: str) -> Any:
    def send(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        for name, said in {"Content-Length": str(len(content)), **headers}.items():
            to.send_header(name.replace("_", "-"), said)
        to.end_headers()
        to.wfile.write(content)

    return send


BROKEN = {
    "half a body": _truncated,
    "half a chunk": _torn_chunk,
    "no answer at all": _slammed,
    "bad compression": _raw(gzip.compress(b"{}" * 99)[:20], Content_Encoding="gzip"),
}
RUBBISH = {
    "a web page": _raw(b"<html>Welcome!</html>"),
    "an event stream": _raw(b'data: {"choices": []}\n\ndata: [DONE]\n\n'),
    "half of JSON": _raw(b'{"choices": [{"message": {"content": "4'),
    "a number": _raw(b"17"),
    "null": _raw(b"null"),
    "another object": _raw(b'{"object": "list"}'),
    "no choice": _raw(b'{"choices": []}'),
    "a choice without message": _raw(b'{"choices": [{"text": "4"}]}'),
    "a message of a list": _raw(b'{"choices": [{"message": ["4"]}]}'),
    "a text that is a number": _raw(b'{"choices": [{"message": {"content": 4}}]}'),
    "no UTF-8": _raw(b'{"choices": "\xff\xfe"}'),
    "deep nesting": _raw(b"[" * 100_000),
    "an endless number": _raw(b"1" * 10_000),
}


@pytest.mark.parametrize("name", [*BROKEN, *RUBBISH])
def test_a_broken_answer_is_asked_for_again(chat: SimpleNamespace, name: str) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if number == 1:
            {**BROKEN, **RUBBISH}[name](to)
        else:
            chat.send(to, chat.answer(chat.choice(asked(body))))

    with chat.serving(reply) as server:
        assert texts(engine(server.url), 5) == {f"e{i}": [f"{i}?"] for i in range(5)}
    assert len(server.bodies) == 6


def test_a_server_gets_a_moment_after_a_broken_answer(
    chat: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasonkit.servers.client.PAUSE", 0.4)
    times = []

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        chat.send(to, b"busy" if number == 0 else chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        texts(engine(server.url), 1)
    assert times[1] - times[0] > 0.39


@pytest.mark.parametrize("name", RUBBISH)
def test_a_server_of_rubbish_is_refused_before_anything_is_made(
    chat: SimpleNamespace, name: str
) -> None:
    with chat.serving(lambda *_: None, probe=lambda b, n, to: RUBBISH[name](to)) as server:
        with pytest.raises(RefusedError) as caught:
            engine(server.url).connect()
        assert server.url in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "/v1" in str(caught.value)
        assert len(server.probes) == 1


@pytest.mark.parametrize("name", ["half a body", "a web page"])
def test_a_server_that_turns_to_rubbish_ends_the_run_with_a_line(
    chat: SimpleNamespace, name: str
) -> None:
    with chat.serving(lambda b, n, to: {**BROKEN, **RUBBISH}[name](to)) as server:
        limits = Limits(concurrency=2)
        line = error_of(server.url, RunError, limits=limits)
    assert ("broke off" if name in BROKEN else "Welcome!") in line


ALONE = {
    "a filtered prompt": (lambda to: ({"error": {"code": "content_filter"}}, 400), "content"),
    "a prompt that is too long": (
        lambda to: ({"message": "maximum context length is 8"}, 400),
        "prompt too long",
    ),
    "any other refusal": (lambda to: ({"detail": "roles must alternate"}, 400), "400"),
    "an error in an answer": (lambda to: ({"error": {"code": 400}}, 200), "400"),
    "a lasting failure in an answer": (lambda to: ({"error": "upstream"}, 200), "200"),
    "no choice": (lambda to: ({"choices": []}, 200), "no proper answer"),
    "a crash": (lambda to: (b"", 500), "500"),
}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("name", ALONE)
def test_a_prompt_that_alone_is_not_answered_is_a_failed_sample(
    chat: SimpleNamespace, name: str, concurrency: int
) -> None:
    said, kind = ALONE[name]

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if asked(body) in ("0?", "4?", "5?"):
            answer, status = said(to)
            chat.send(to, answer, status)
        else:
            chat.send(to, chat.answer(chat.choice(asked(body))))

    limits = Limits(concurrency)
    with chat.serving(reply) as server:
        groups = list(engine(server.url, limits=limits).sample(examples(6), 2, SAMPLING))
    found = {group.example.id: group.completions for group in groups}
    assert [c.text for c in found["e1"]] == ["1?", "1?"]
    for name in ("e0", "e4", "e5"):
        assert [(c.text, c.finish_reason, c.tokens) for c in found[name]] == [("", "failed", 0)] * 2
        assert all(c.failure.startswith(kind) and server.url in c.failure for c in found[name])


def test_a_choice_that_is_none_costs_none_of_its_siblings(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        made = [chat.choice(f"{number} {i}") for i in range(body.get("n", 1))]
        if len(made) == 5:
            made[1] = {"index": 1, "finish_reason": "content_filter"}
            made[3]["message"] = None
        chat.send(to, chat.answer(*made))

    with chat.serving(reply, probe=reply) as server:
        (group,) = engine(server.url).sample(examples(1), 5, SAMPLING)
    assert [c.text for c in group.completions] == ["0 0", "", "0 2", "0 4", "1 0"]
    assert [c.failure != "" for c in group.completions] == [False, True, False, False, False]
    assert [body.get("n", 1) for body in server.bodies] == [5, 1]


LASTING = {
    "a used up account": ({"error": {"message": "pay", "code": "insufficient_quota"}}, 429),
    "money that is gone": ({"error": {"message": "Your credit balance is too low"}}, 400),
    "a model that is gone": ({"error": {"message": "gone", "code": "model_not_found"}}, 404),
    "a key that is revoked": ({"error": {"message": "who are you?"}}, 401),
    "a setting": ({"error": {"message": "too many", "param": "max_tokens"}}, 400),
    "a key, in an answer": ({"error": {"message": "key", "type": "authentication_error"}}, 200),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_no_request_gets_past_ends_the_run(chat: SimpleNamespace, name: str) -> None:
    answer, status = LASTING[name]

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if number < 7:
            chat.send(to, chat.answer(chat.choice("4")))
        else:
            chat.send(to, answer, status)

    kept: list[Drawn] = []
    with chat.serving(reply) as server:
        client = engine(server.url, limits=Limits(1))
        with pytest.raises(RunError):
            list(client.draw([Wish(e, [0]) for e in examples(50)], SAMPLING, kept.append))
        assert len(server.bodies) == 8
    assert [drawn.completion.text for drawn in kept] == ["4"] * 7


SETTINGS: dict[str, tuple[Any, dict[float, set[str] | None]]] = {
    "all": (
        lambda body: False,
        {
            1.0: {"temperature", "top_p"},
            0.7: {"temperature", "top_p"},
            0.0: {"temperature", "top_p"},
        },
    ),
    "temperature 1 alone": (
        lambda body: body.get("temperature", 1) != 1,
        {1.0: {"temperature", "top_p"}, 0.7: None, 0.0: None},
    ),
    "no top_p": (
        lambda body: "top_p" in body,
        {1.0: {"temperature"}, 0.7: {"temperature"}, 0.0: {"temperature"}},
    ),
    "no temperature": (lambda body: "temperature" in body, {1.0: {"top_p"}, 0.7: None, 0.0: None}),
    "neither": (lambda body: {"temperature", "top_p"} & body.keys(), {1.0: set(), 0.7: None}),
    "one of the two": (
        lambda body: {"temperature", "top_p"} <= body.keys(),
        {1.0: {"temperature"}, 0.7: {"temperature"}, 0.0: {"temperature"}},
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_is_refused_is_left_out_if_it_changes_nothing(
    chat: SimpleNamespace, name: str
) -> None:
    refuses, expected = SETTINGS[name]

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if refuses(body):
            chat.send(to, {"error": {"message": "I don't take this"}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice("4")))

    for temperature, sent in expected.items():
        sampling = Sampling(50, temperature)
        with chat.serving(reply, probe=reply) as server:
            client = engine(server.url)
            assert client.takes(sampling) == (sent is not None)
            if sent is None:
                with pytest.raises(RefusedError, match=f"temperature {temperature:g}.*take this"):
                    client.require(sampling)
            else:
                client.require(sampling)
                list(client.sample(examples(1), 1, sampling))
                assert server.bodies[0].keys() & {"temperature", "top_p"} == sent
            assert bool(server.bodies) == (sent is not None)


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("n", [True, False])
def test_a_model_that_thinks_away_a_short_limit_is_asked_with_a_longer_one(
    chat: SimpleNamespace, limit: str, n: bool
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if limit not in body:
            chat.send(to, {"error": {"message": f"use {limit}"}}, 400)
        elif body[limit] < 100:
            chat.send(to, {"error": {"message": "could not finish: max_tokens reached"}}, 400)
        elif "n" in body and not n:
            chat.send(to, {"error": {"message": "no n"}}, 400)
        else:
            chat.send(to, chat.answer(*[chat.choice("4") for _ in range(body.get("n", 1))]))

    with chat.serving(reply, probe=reply) as server:
        client = engine(server.url)
        found = client.connect()
        assert (found.n, found.limit) == (n, limit)
        assert list(client.sample(examples(1), 2, Sampling(200)))
        assert all(body[limit] == 200 for body in server.bodies)


@pytest.mark.parametrize("message", [{"content": None}, {"content": "", "reasoning": "2+"}, {}])
def test_a_short_answer_that_is_all_thought_shows_what_a_server_takes(
    chat: SimpleNamespace, message: dict[str, Any]
) -> None:
    def probe(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        made = {"message": message, "finish_reason": "length"}
        chat.send(to, chat.answer(*[made for _ in range(body.get("n", 1))]))

    with chat.serving(lambda *_: None, probe=probe) as server:
        assert engine(server.url).connect().n
    assert len(server.probes) == 1


def test_a_refusal_says_why_under_the_name_of_the_limit_that_is_known(
    chat: SimpleNamespace,
) -> None:
    def refuse(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        usual = "max_tokens" in body
        why = "max_tokens is no field, max_completion_tokens is" if usual else "no such tier"
        chat.send(to, {"error": {"message": why}}, 400)

    with chat.serving(refuse, probe=refuse) as server:
        assert "no such tier" in error_of(server.url, RefusedError)


def test_prompts_are_counted_where_the_server_tokenizes(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if to.path == "/tokenize":
            chat.send(to, {"count": 7 + int(asked(body)[:-1]), "tokens": []})
        else:
            chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        client = engine(server.url)
        assert client.counts_prompt_tokens(examples(1)[0])
        assert client.prompt_tokens(examples(5)) == [7, 8, 9, 10, 11]
    for answer, status in (({"detail": "Not Found"}, 404), ({"tokens": []}, 200)):
        with chat.serving(lambda b, n, to, a=answer, s=status: chat.send(to, a, s)) as server:
            assert not engine(server.url).counts_prompt_tokens(examples(1)[0])


def test_a_server_that_is_down_is_refused_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        line = error_of(url, RefusedError, model="m", limits=Limits())
    assert "is the server up?" in line


def test_a_server_that_goes_down_midway_ends_the_run_with_a_line(chat: SimpleNamespace) -> None:
    def answer_and_close(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(chat.choice("4")), Connection="close")

    with chat.serving(lambda *_: None, probe=answer_and_close) as server:
        limits = Limits(concurrency=2)
        client = engine(server.url, model="m", limits=limits)
        client.connect()
    with pytest.raises(RunError, match="is the server up"):
        list(client.sample(examples(2), 1, SAMPLING))


@pytest.mark.parametrize("drip", [False, True])
def test_a_server_that_is_too_slow_ends_the_run_with_a_line(
    chat: SimpleNamespace, drip: bool
) -> None:
    over = threading.Event()

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        while not over.wait(0.05):
            if drip:
                to.wfile.write(b" ")
                to.wfile.flush()
        to.close_connection = True

    with chat.serving(reply) as server:
        try:
            limits = Limits(concurrency=1, timeout=0.3)
            line = error_of(server.url, RunError, limits=limits)
        finally:
            over.set()
    assert "within 0.3 s" in line
    assert len(server.bodies) == 3 + 3


@pytest.mark.parametrize("key", [None, "sk-secret"])
def test_a_refused_key_is_said_without_showing_it(chat: SimpleNamespace, key: str | None) -> None:
    def refuse(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, {"error": {"message": f"wrong key: {key}"}}, 401)

    with chat.serving(refuse, probe=refuse) as server:
        line = error_of(server.url, RefusedError, key=key)
    assert ("refuses" if key else "wants") + " a" in line.replace("the API", "an API")
    assert "sk-secret" not in line


def test_an_improper_answer_is_told_of_without_the_key(chat: SimpleNamespace) -> None:
    wrong = {"choices": [{"message": {}, "error": "no sk-secret\x1b" + "." * 999}]}
    with chat.serving(lambda *_: None, probe=lambda b, n, to: chat.send(to, wrong)) as server:
        line = error_of(server.url, RefusedError, key="sk-secret")
    assert "a choice holds an error" in line
    assert "sk-secret" not in line and "\x1b" not in line and len(line) < 999


def test_other_refusals_say_what_the_server_said(chat: SimpleNamespace) -> None:
    said = {
        400: {"object": "error", "message": "prompt\x1b[31m is\ntoo long"},
        404: {"detail": "no model m"},
        422: {"detail": "Unexpected fields in the request: {'top_k'}"},
    }
    for status, body in said.items():
        with chat.serving(lambda b, n, to, s=status, m=body: chat.send(to, m, s)) as server:
            line = error_of(server.url, RunError)
        assert str(status) in line
        assert "too long" in line or "no model m" in line or "top_k" in line
        assert "\x1b" not in line
    with chat.serving(lambda b, n, to: chat.send(to, b"", 308, Location="https://x/v1")) as server:
        assert "redirects to https://x/v1" in error_of(server.url, RunError)


def test_a_refusal_of_every_probe_says_what_was_said_to_the_plainest(chat: SimpleNamespace) -> None:
    def refuse(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, {"detail": f"pinned to y, not x: {len(body)} fields"}, 400)

    with chat.serving(refuse, probe=refuse) as server:
        line = error_of(server.url, RefusedError, model="x")
    assert "pinned to y, not x: 3 fields" in line


@pytest.mark.parametrize("url", ["", "localhost:8000/v1", "ftp://x/v1", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(RefusedError, match="is no URL"):
        EndpointEngine(url)


def test_a_url_may_end_in_a_slash_or_in_the_path_itself(chat: SimpleNamespace) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        assert to.path == "/v1/chat/completions"
        chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        for end in ("/", "/chat/completions", "/chat/completions/"):
            assert texts(engine(server.url + end), 1) == {"e0": ["4"]}


def test_what_is_under_way_when_another_request_fails_is_kept(chat: SimpleNamespace) -> None:
    failed = threading.Event()

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        if asked(body) == "3?":
            chat.send(to, {"error": "no"}, 401)
            failed.set()
        else:
            failed.wait(5)
            time.sleep(0.05)
            chat.send(to, chat.answer(chat.choice(asked(body))))

    kept: list[Drawn] = []
    with chat.serving(reply) as server:
        wishes = [Wish(example, [0]) for example in examples(2000)]
        drawing = engine(server.url).draw(wishes, SAMPLING, kept.append)
        with pytest.raises(RunError):
            list(drawing)
    assert {"0?", "1?", "2?"} <= {drawn.completion.text for drawn in kept}
    assert Counter(d.completion.text for d in kept) == Counter(
        asked(body) for body in server.bodies if asked(body) != "3?"
    )
    assert len(server.bodies) < 2000


@pytest.mark.parametrize("places", [1, 8])
def test_nothing_more_is_asked_once_the_caller_has_enough(
    chat: SimpleNamespace, places: int
) -> None:
    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        time.sleep(0.02)
        chat.send(to, chat.answer(chat.choice("4")))

    def probe(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        chat.send(to, chat.answer(*[chat.choice("14")] * body.get("n", 1)))

    kept: list[Drawn] = []
    with chat.serving(reply, probe) as server:
        wishes = [Wish(example, range(places)) for example in examples(5000)]
        drawing = engine(server.url).draw(wishes, SAMPLING, kept.append)
        for _ in range(10):
            next(drawing)
        enough = len(server.bodies)
        drawing.close()
        sent = len(server.bodies)
        # Some may have been on their way to the server.
        assert sent <= enough + 2 * QUICK.concurrency
        time.sleep(0.1)
        assert len(server.bodies) == sent
    assert 10 <= sent < 5000
    assert len(kept) == sent


@pytest.mark.parametrize("most_allowed", [4, 120])
def test_requests_are_under_way_together_and_no_more_than_allowed(
    chat: SimpleNamespace, most_allowed: int
) -> None:
    counting = threading.Lock()
    now, most = 0, 0
    full = threading.Event()

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        nonlocal now, most
        with counting:
            now += 1
            most = max(most, now)
            if now == most_allowed:
                full.set()
        full.wait(60)
        with counting:
            now -= 1
        chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        texts(engine(server.url, limits=Limits(most_allowed)), 2 * most_allowed)
    assert most == most_allowed


@pytest.mark.parametrize(
    "limits",
    [
        Limits(requests_per_minute=1200),
        # A request may use its 2 characters over 4 and 50 tokens.
        Limits(tokens_per_minute=1200 * 50),
    ],
)
def test_requests_are_spaced_by_the_rate_limits(chat: SimpleNamespace, limits: Limits) -> None:
    times = []

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        chat.send(to, chat.answer(chat.choice("4")))

    with chat.serving(reply) as server:
        started = time.monotonic()
        texts(engine(server.url, limits=limits), 9)
    # Nothing but waiting can make it last so long, and no slow machine makes it shorter.
    assert times[-1] - started >= 8 * 0.05


def test_a_key_is_read_from_a_file_or_the_usual_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    path = tmp_path / "key"
    path.write_text("from-file\n")
    assert read_key(path) == "from-file"
    assert read_key(None) == "from-environment"
    monkeypatch.setenv("OPENAI_API_KEY", "clé")
    with pytest.raises(RefusedError, match="OPENAI_API_KEY: expected one line"):
        read_key(None)
    monkeypatch.delenv("OPENAI_API_KEY")
    assert read_key(None) is None
    for content in ("", "two\nlines", "clé"):
        path.write_text(content)
        with pytest.raises(RefusedError, match="API key"):
            read_key(path)
    with pytest.raises(RefusedError, match="can't be read"):
        read_key(tmp_path / "nowhere")
