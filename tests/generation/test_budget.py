"""Thoughts that are made longer, and thoughts that are cut short."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from reasonkit.answers import extract_answer
from reasonkit.errors import RunError
from reasonkit.generation.budget import CLOSE, OPEN, BudgetEngine
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.pool import Pool
from reasonkit.generation.store import Store
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.prompts import ask
from reasonkit.servers import Limits
from reasonkit.tasks import load
from reasonkit.types import Completion, Example

GREEDY = Sampling(160, temperature=0)
QUESTIONS = [ask(e, "step-by-step") for e in load("arithmetic", train=1, test=8).test]


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    resolved = resolve("abacus")
    return LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])


def forced(local: LocalEngine, most: int, waits: int = 0, n: int = 1) -> list[Completion]:
    engine = BudgetEngine(local, most, waits, " wait, ")
    sampling = GREEDY if n == 1 else Sampling(160)
    return [c for group in engine.sample(QUESTIONS, n, sampling) for c in group.completions]


def thought(completion: Completion) -> str:
    assert completion.text.startswith(OPEN) and CLOSE in completion.text
    return completion.text.partition(OPEN)[2].partition(CLOSE)[0]


def test_with_no_budget_to_speak_of_it_is_plain_greedy_where_that_thinks(
    local: LocalEngine,
) -> None:
    plain = {g.example.id: g.completions[0] for g in local.sample(QUESTIONS, 1, GREEDY)}
    alike = 0
    for example, completion in zip(QUESTIONS, forced(local, 120), strict=True):
        if plain[example.id].text.startswith(OPEN):
            assert completion.text == plain[example.id].text
            alike += 1
    assert alike > 4


def test_a_thought_is_closed_when_its_budget_is_used_up_and_answered_all_the_same(
    local: LocalEngine,
) -> None:
    for completion in forced(local, 8):
        assert 0 < len(thought(completion)) <= 8
        assert completion.finish_reason == "stop"
        assert extract_answer(completion.text) is not None


def test_a_thought_that_would_end_goes_on_as_often_as_it_is_told_to(local: LocalEngine) -> None:
    once, twice = forced(local, 150, waits=1), forced(local, 150, waits=2)
    assert all(thought(c).count(" wait, ") >= 1 for c in once)
    assert sum(thought(c).count(" wait, ") for c in twice) > len(twice)
    assert sum(c.tokens for c in twice) > sum(c.tokens for c in once)


def test_no_completion_is_longer_than_asked_for(local: LocalEngine) -> None:
    engine = BudgetEngine(local, 40, 3, " wait, ")
    for group in engine.sample(QUESTIONS, 1, Sampling(48, temperature=0)):
        (completion,) = group.completions
        assert len(thought(completion)) <= 40 + 3 * len(" wait, ")
        assert completion.mean_logprob is not None and completion.mean_logprob <= 0


def test_samples_of_one_question_differ_and_repeat_with_their_seed(local: LocalEngine) -> None:
    first, again = forced(local, 60, waits=1, n=2), forced(local, 60, waits=1, n=2)
    assert first == again
    assert len({c.text for c in first}) > len(QUESTIONS)


def test_of_a_server_that_gives_up_midway_nothing_is_asked_for_twice(
    chat: SimpleNamespace, tmp_path: Path
) -> None:
    asked = [Example(f"e{i}", "t", ({"role": "user", "content": f"{i}?"},), "0") for i in range(6)]
    answered: list[str] = []

    def reply(number_of_answers: int) -> Callable[[dict, int, BaseHTTPRequestHandler], None]:
        def answer(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
            if number >= number_of_answers:
                chat.send(to, {"error": "the account is used up"}, 402)
                return
            answered.append(json.dumps(body["messages"]))
            chat.send(to, chat.answer(chat.choice("so")))

        return answer

    def sampled(url: str) -> list[str]:
        server = EndpointEngine(url, "m", limits=Limits(concurrency=2))
        paid = Pool(Store(tmp_path / "thoughts", {}), server)
        engine = BudgetEngine(paid, 40, 1, " wait, ")
        groups = Pool(Store(tmp_path / "samples", {}), engine).sample(asked, 1, Sampling(50))
        return [group.completions[0].text for group in groups]

    with chat.serving(reply(8)) as server, pytest.raises(RunError, match="account is used up"):
        sampled(server.url)
    with chat.serving(reply(99)) as server:
        assert sampled(server.url) == [f"{OPEN}so wait, so{CLOSE}so"] * 6
    assert len(answered) == len(set(answered)) == 3 * 6
