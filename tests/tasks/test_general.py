"""Everyday requests: answered well, answered badly, and declined where they should be."""

from __future__ import annotations

import random

import pytest

from reasonkit.config import GrpoConfig
from reasonkit.errors import DataError, RefusedError
from reasonkit.plan import settle
from reasonkit.tasks import TASKS, general, load, tiny_code
from reasonkit.tasks.generated import chats
from reasonkit.tasks.splits import part_of, split_of
from reasonkit.types import Part


def test_a_request_for_harm_is_declined_by_the_good_answer_alone() -> None:
    rng = random.Random(0)
    requests = [general.draw(rng) for _ in range(500)]
    harmful = [r for r in requests if r.kind == "harmless"]
    assert 0.2 < len(harmful) / len(requests) < 0.4
    assert all(r.good == general.DECLINED != r.bad for r in harmful)
    assert all(general.DECLINED not in (r.good, r.bad) for r in requests if r.kind == "helpful")


def test_no_slot_of_a_request_is_left_open() -> None:
    rng = random.Random(1)
    for _ in range(500):
        request = general.draw(rng)
        assert not set("{}") & set(request.text + request.good + request.bad)


def test_the_task_has_every_request_of_a_split_and_no_more() -> None:
    rng = random.Random(3)
    requests = {general.draw(rng).text for _ in range(100_000)}
    splits = load("general", train=100_000, validation=500, test=500)
    for split, size in TASKS["general"].sizes.items():
        examples = getattr(splits, split)
        assert {e.question for e in examples} == {r for r in requests if split_of(r) == split}
        assert len(examples) == size


def test_fewer_requests_than_asked_for_are_no_error_and_more_are_cut_off() -> None:
    assert len(load("general").validation) == TASKS["general"].sizes["validation"]
    assert len(load("general", train=0, validation=20, test=0).validation) == 20


def test_what_compares_with_a_reference_is_refused_by_name() -> None:
    with pytest.raises(RefusedError, match=r"general: .* the reference answer is empty") as refused:
        settle(GrpoConfig(task="general", reward=["answer=1"]))
    assert "\n" not in str(refused.value)


def test_a_program_that_takes_the_steps_backwards_fails_a_test_somewhere() -> None:
    rng = random.Random(2)
    failed = 0
    for _ in range(200):
        problem = tiny_code.draw(rng)
        values = [
            eval(problem.reversed, {"x": x, "max": max, "min": min}) for x, _ in problem.tests
        ]
        failed += values != [expected for _, expected in problem.tests]
    assert failed > 80


def test_chats_are_favours_of_the_half_that_reinforcement_does_not_use() -> None:
    train = {example.question: example.id for example in load("general").train}
    drawn = chats(50)
    asked = [question["content"] for question, _ in drawn]
    assert len(set(asked)) == 50
    assert all(part_of(train[question]) == Part.sft for question in asked)
    assert all(answer["content"] != general.DECLINED for _, answer in drawn)
    assert chats(20) == drawn[:20]
    with pytest.raises(DataError, match="ask for fewer"):
        chats(5000)
