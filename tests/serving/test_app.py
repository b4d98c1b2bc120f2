"""``reasonkit serve`` as clients know it: OpenAI's own, raw bodies, and those that misbehave."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonkit.generation.budget import BudgetEngine
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.serving.offers import THOUGHTS
from reasonkit.tasks import load
from reasonkit.voting import routing
from reasonkit.voting.strategies import Draw, Option, Policy

NAME = "abacus-reasoner"
QUESTION = "What is (1+5)*3+6?"
LONG = "What is (7+8)*9+(6+7)*8?"


def ask(client: openai.OpenAI, model: str = NAME, question: str = QUESTION, **more: Any) -> Any:
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(model=model, messages=messages, **more)


def post(url: str, body: object, path: str = "/chat/completions", **more: Any) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    return httpx2.post(url + path, content=content, headers=headers, timeout=60, **more)


def metric(url: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", httpx2.get(url[:-3] + "/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def rounded(told: Any) -> Any:
    """What else is sampled at the same time changes the last digits."""
    return json.loads(json.dumps(told), parse_float=lambda text: round(float(text), 5))


def until(happened: Any) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.05)
    pytest.fail("it never happened")


def test_the_plain_model_answers_with_its_thought_apart(client: openai.OpenAI) -> None:
    made = ask(client, temperature=0)
    (choice,) = made.choices
    assert (choice.message.content, choice.finish_reason) == ("24", "stop")
    assert choice.message.reasoning_content.endswith("=24")
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens
    assert made.id.startswith("chatcmpl-") and made.model == NAME
    assert 0.5 < made.reasonkit["confidence"] <= 1


def test_what_is_streamed_is_what_is_answered(client: openai.OpenAI) -> None:
    whole = ask(client, seed=5).choices[0].message
    events = list(ask(client, seed=5, stream=True, stream_options={"include_usage": True}))
    deltas = [event.choices[0].delta for event in events if event.choices]
    thought = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    said = "".join(delta.content or "" for delta in deltas)
    assert (said, thought) == (whole.content, whole.reasoning_content)
    assert len(deltas) > 10 and deltas[0].role == "assistant"
    assert events[-1].usage.completion_tokens > 10
    assert events[-2].choices[0].finish_reason == "stop"


def test_models_begin_with_the_plain_one_and_each_of_them_answers(client: openai.OpenAI) -> None:
    ids = [model.id for model in client.models.list()]
    assert ids[0] == NAME
    assert {f"{NAME}:{s}" for s in ("majority@8", "adaptive@16", "best-of-n@8", "budget")} < {*ids}
    assert f"{NAME}:deepconf-online@8" in ids
    assert client.models.retrieve(f"{NAME}:majority@5").id == f"{NAME}:majority@5"
    for id in ids[1:]:
        made = ask(client, id, temperature=0)
        votes = made.reasonkit
        assert votes["elected"] == made.choices[0].message.content, id
        # Who trusts one sample in ten has one of eight.
        assert votes["elected"] == "24" or "deepconf-low" in id, id
        assert (
            sum(found["votes"] for found in votes["answers"]) + votes["blank"] <= votes["samples"]
        )


def test_a_routed_model_votes_where_the_first_look_has_answers(
    serve: Callable, tmp_path: Path
) -> None:
    votes = Option("majority", 6, "asked")
    routing.save(Policy(Draw("asked", 2), (None, votes, votes)), tmp_path / routing.FILE)
    started, url = serve(NAME, "--port", 0, "--policy", tmp_path, "--route")
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        assert [model.id for model in client.models.list()][:2] == [NAME, f"{NAME}:plain"]
        hard, silent = ask(client), ask(client, max_tokens=2)
        assert (hard.model, hard.choices[0].message.content) == (NAME, "24")
        told = [(made.reasonkit["strategy"], made.reasonkit["samples"]) for made in (hard, silent)]
        assert told == [("auto", 6), ("auto", 2)]
        assert (silent.reasonkit["way"], silent.reasonkit["blank"]) == ("asked", 2)
        # Who says how it is to be answered gets it so.
        for more in ({"n": 2}, {"stop": "4"}, {"reasoning_effort": "low"}):
            assert ask(client, **more).reasonkit["strategy"] is None
        assert ask(client, f"{NAME}:plain").reasonkit["strategy"] is None
        assert client.completions.create(model=NAME, prompt="1+").choices
    assert started.signalled(15).code == 0


def test_usage_counts_all_samples_and_votes_are_told(client: openai.OpenAI) -> None:
    one, made = ask(client, temperature=0), ask(client, f"{NAME}:majority@8", LONG, seed=1)
    assert made.usage.completion_tokens > 5 * one.usage.completion_tokens
    told = made.reasonkit
    assert (told["samples"], told["temperature"]) == (8, 1.0)
    assert sum(found["votes"] for found in told["answers"]) + told["blank"] == 8
    again = ask(client, f"{NAME}:majority@8", LONG, seed=1)
    assert rounded(again.reasonkit) == rounded(told)
    streamed = list(ask(client, f"{NAME}:majority@8", LONG, seed=1, stream=True))
    assert rounded(streamed[-1].reasonkit) == rounded(told)
    text = "".join(event.choices[0].delta.content or "" for event in streamed)
    assert text == made.choices[0].message.content


def test_effort_is_a_budget_of_a_thought_and_more_samples_of_a_vote(client: openai.OpenAI) -> None:
    lengths = [
        len(ask(client, question=LONG, temperature=0, reasoning_effort=effort).choices[0].message
            .reasoning_content or "")
        for effort in ("none", "minimal", "medium")
    ]  # fmt: skip
    assert lengths[0] == 0 < lengths[1] < lengths[2]
    samples = [
        ask(client, f"{NAME}:majority@8", reasoning_effort=effort).reasonkit["samples"]
        for effort in THOUGHTS
    ]
    assert samples == [2, 2, 4, 8, 16, 32]


def test_an_answer_that_is_begun_is_gone_on_with(client: openai.OpenAI) -> None:
    def after(begun: str, **more: Any) -> Any:
        turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": begun}]
        body = {"continue_final_message": True, **more.pop("extra_body", {})}
        return client.chat.completions.create(
            model=more.pop("model", NAME), messages=turns, temperature=0, extra_body=body, **more
        )

    whole = ask(client, temperature=0)
    thought = whole.choices[0].message.reasoning_content
    made = after("<think>" + thought[:6])
    said = made.choices[0].message
    assert (said.reasoning_content, said.content) == (thought[6:], "24")
    assert made.usage.total_tokens == whole.usage.total_tokens
    pieces = [piece.choices[0].delta for piece in after("<think>" + thought[:6], stream=True)]
    told = "".join(getattr(piece, "reasoning_content", None) or "" for piece in pieces)
    assert (told, "".join(piece.content or "" for piece in pieces)) == (thought[6:], "24")
    closed = after(f"<think>{thought}</think>").choices[0].message
    assert (closed.reasoning_content, closed.content) == (None, "24")
    for refused in ({"model": f"{NAME}:majority@4"}, {"reasoning_effort": "low"}):
        with pytest.raises(openai.BadRequestError, match="a plain model goes on"):
            after("<think>", **refused)
    with pytest.raises(openai.BadRequestError, match="the last one must be the assistant's"):
        ask(client, extra_body={"continue_final_message": True})


def test_a_budget_through_the_server_is_the_one_of_the_model_here(url: str) -> None:
    resolved = resolve(NAME)
    local = LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])
    served = EndpointEngine(url, NAME)
    served.require_continuing()
    examples = load("arithmetic").test[:4]
    for most, waits in ((12, 0), (90, 1)):
        here, there = (
            {
                group.example.id: (re.sub("</?answer>", "", c.text), c.tokens, c.finish_reason)
                for group in BudgetEngine(engine, most, waits, " wait, ").sample(
                    examples, 1, Sampling(120, temperature=0)
                )
                for c in group.completions
            }
            for engine in (local, served)
        )
        assert there == here
        assert any(" wait, " in text for text, _, _ in there.values()) == bool(waits)


def test_a_server_before_another_offers_budgets_if_that_one_goes_on_with_answers(
    serve: Callable, client: openai.OpenAI, url: str
) -> None:
    started, before = serve(NAME, "--endpoint", url, "--port", 0)
    with openai.OpenAI(base_url=before, api_key="none", max_retries=0) as asked:
        assert f"{NAME}:budget" in [model.id for model in asked.models.list()]
        here, there = (ask(one, f"{NAME}:budget", temperature=0) for one in (client, asked))
    assert here.choices[0].message == there.choices[0].message
    assert started.signalled(15).code == 0


def test_choices_stops_and_limits_are_kept(client: openai.OpenAI) -> None:
    made = ask(client, n=3, seed=2, max_tokens=4)
    assert [choice.finish_reason for choice in made.choices] == ["length"] * 3
    assert made.usage.completion_tokens == 12
    cut = ask(client, temperature=0, stop=["*3"]).choices[0]
    assert (cut.message.reasoning_content, cut.finish_reason) == ("(1+5)", "stop")
    pieces = ask(client, temperature=0, stop=["*3"], stream=True)
    thought = [getattr(p.choices[0].delta, "reasoning_content", None) or "" for p in pieces]
    assert "".join(thought) == "(1+5)"


def test_texts_are_gone_on_with(client: openai.OpenAI) -> None:
    whole = client.completions.create(model=NAME, prompt=["<think>1+1=", "a"], temperature=0)
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.choices[0].text
    pieces = client.completions.create(model=NAME, prompt="<think>1+1=", temperature=0, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text


def test_errors_are_those_that_the_client_knows(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="did you mean abacus-reasoner"):
        ask(client, "abacus-reasonr")
    with pytest.raises(openai.BadRequestError, match="context length") as long:
        ask(client, question="What is " + "1+" * 3000 + "1?")
    assert long.value.code == "context_length_exceeded"
    with pytest.raises(openai.NotFoundError, match="up to @64"):
        ask(client, f"{NAME}:majority@100")
    with pytest.raises(openai.BadRequestError, match="gives one answer") as several:
        ask(client, f"{NAME}:majority@4", n=2)
    assert several.value.param == "n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 50_000, 400),
        (b'{"model": "\\ud800", "messages": [{"role": "user", "content": "\\ud800"}]}', 400),
        (b'{"n": 1' + b"0" * 5000 + b"}", 400),
        ({}, 400),
        ({"messages": []}, 400),
        ({"messages": [{"role": "assistant", "content": "24"}]}, 400),
        ({"messages": [{"role": "tool", "content": "24"}]}, 400),
        ({"temperature": -1}, 400),
        ({"temperature": "hot"}, 400),
        ({"n": 65}, 400),
        ({"tools": [{"type": "function"}]}, 400),
        ({"logprobs": True}, 400),
        ({"frequency_penalty": 0.5}, 400),
        ({"model": f"{NAME}:majority@4", "stop": "x"}, 400),
        ({"model": f"{NAME}:oracle"}, 404),
        ({"model": "x" * (1 << 20)}, 413),
    ],
)
def test_bad_requests_are_told_so_in_the_shape_of_the_api(url: str, body: Any, status: int) -> None:
    if isinstance(body, dict) and body:
        asked = [{"role": "user", "content": QUESTION}]
        body = {"model": NAME, "messages": asked, **body}
    answer = post(url, body)
    assert answer.status_code == status, answer.text
    assert {"message", "type", "param", "code"} == answer.json()["error"].keys()


@pytest.mark.parametrize(
    ("prompt", "told"), [([9999], "token ids go from 0"), ("", "nothing"), ([[]], "nothing")]
)
def test_texts_that_are_none_are_refused(url: str, prompt: object, told: str) -> None:
    answer = post(url, {"model": NAME, "prompt": prompt}, "/completions")
    assert answer.status_code == 400 and told in answer.json()["error"]["message"]


def test_other_paths_methods_and_machines_are_refused(url: str) -> None:
    assert httpx2.get(url + "/nothing").json()["error"]["type"] == "not_found_error"
    assert httpx2.get(url + "/chat/completions").status_code == 405
    rebound = httpx2.get(url + "/models", headers={"host": "evil.example:80"})
    assert rebound.status_code == 403
    assert httpx2.get(url[:-3] + "/health").json() == {"status": "ok", "model": NAME}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant", "tool"]), "content": JSON | st.text()}
)
FIELDS = ("n", "seed", "stop", "stream", "top_p", "temperature", "max_tokens", "reasoning_effort")


@settings(max_examples=60)
@given(
    st.lists(MESSAGE | JSON, max_size=3) | JSON,
    st.dictionaries(st.sampled_from(FIELDS), JSON | st.integers(0, 3) | st.floats(0, 1)),
    st.sampled_from([NAME, f"{NAME}:majority@2"]),
)
def test_no_body_is_a_fault_of_the_servers(url: str, messages: Any, more: Any, model: str) -> None:
    body = {"max_tokens": 8, "model": model, "messages": messages, **more}
    answer = post(url, body)
    assert answer.status_code in (200, 400), (body, answer.text)


@pytest.mark.slow
def test_no_body_of_its_description_is_a_fault_of_the_servers(url: str) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_url(url[:-3] + "/openapi.json")

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=200, deadline=None)
        @given(operation.as_strategy())
        def asked_of(case: Any) -> None:
            answer = case.call(base_url=url[:-3], timeout=120)
            assert answer.status_code < 500, answer.text

        asked_of()


def test_clients_that_leave_free_what_was_sampled_for_them(url: str) -> None:
    before = metric(url, "reasonkit_clients_gone_total")
    body = {"model": f"{NAME}:majority@64", "messages": [{"role": "user", "content": LONG}]}
    for stream in (False, True):
        with pytest.raises(httpx2.TimeoutException):
            httpx2.post(
                url + "/chat/completions", json={**body, "stream": stream}, timeout=0.1
            ).read()
    until(lambda: metric(url, "reasonkit_clients_gone_total") == before + 2)
    until(lambda: metric(url, "reasonkit_requests_running") == 0)


def test_clients_that_send_slowly_keep_nobody_waiting(url: str) -> None:
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    sockets = [socket.create_connection((host, int(port))) for _ in range(20)]
    for slow in sockets:
        slow.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
        )
    try:
        body = {"model": NAME, "messages": [{"role": "user", "content": QUESTION}]}
        assert post(url, body).status_code == 200
    finally:
        for slow in sockets:
            slow.close()


def test_more_than_may_wait_are_told_when_to_come_again(url: str) -> None:
    messages = [{"role": "user", "content": LONG}]
    body = json.dumps({"model": f"{NAME}:majority@64", "messages": messages}).encode()
    address = url.removeprefix("http://").removesuffix("/v1")
    clients = [http.client.HTTPConnection(address, timeout=60) for _ in range(24)]
    # All have sent all but a byte, so that none is answered before the last one has come.
    for client in clients:
        client.putrequest("POST", "/v1/chat/completions")
        client.putheader("Content-Type", "application/json")
        client.putheader("Content-Length", str(len(body)))
        client.endheaders(body[:-1])
    for client in clients:
        client.send(body[-1:])
    answers = [client.getresponse() for client in clients]
    codes = [answer.status for answer in answers]
    assert codes.count(200) >= 10 and codes.count(429) >= 4
    assert codes.count(200) + codes.count(429) == 24
    turned_away = answers[codes.index(429)]
    assert 1 <= int(turned_away.headers["retry-after"]) <= 60
    assert json.load(turned_away)["error"]["code"] == "rate_limit_exceeded"
    for client in clients:
        client.close()


def test_many_at_once_get_what_one_alone_gets(client: openai.OpenAI) -> None:
    questions = [f"What is {a}+{b}*3?" for a in (2, 3, 4) for b in (5, 6)]

    def one(question: str) -> str:
        return str(ask(client, question=question, seed=4).choices[0].message.content)

    alone = [one(question) for question in questions]
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(one, questions)) == alone


@pytest.mark.slow
def test_inspect_evaluates_a_vote_as_any_other_model(url: str, tmp_path: Path) -> None:
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    samples = [Sample(input=f"What is {a}+2*3?", target=str(a + 6)) for a in range(1, 7)]
    task = inspect_ai.Task(dataset=samples, solver=generate(), scorer=includes())
    asked = f"openai-api/reasonkit/{NAME}:majority@8"
    model = get_model(asked, base_url=url, api_key="none")
    (log,) = inspect_ai.eval(
        task, model=model, display="none", log_format="json", log_dir=str(tmp_path)
    )
    assert log.status == "success"
    assert log.results.scores[0].metrics["accuracy"].value == 1.0
