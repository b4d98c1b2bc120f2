"""Everyday requests: answered well, answered badly, and declined where they should be."""

from __future__ import annotations

import random

from reasonkit.tasks import general, tiny_code


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
