"""Signs of gamed rewards: each rule fires on its own hack, and none on a healthy run."""

from __future__ import annotations

from typing import Any

from reasonkit.training.reward_hacking import look
from reasonkit.types import Scored

RIGHT = "<think>{0}+{0}*6={0}+{1}={2}</think><answer>{2}</answer>"


def healthy(i: int) -> Scored:
    text = RIGHT.format(i, 6 * i, 7 * i)
    return Scored("q", text, 1.2, {"answer": 1.0, "format": 1.0})


ROLLOUT = [healthy(i) for i in range(1, 17)]


def run(validations: list[float], **columns: list[float]) -> list[dict[str, Any]]:
    """Ten steps a validation; columns are given once a validation."""
    made: list[dict[str, Any]] = []
    for i, validation in enumerate(validations):
        values = {
            "reward": 0.1 + 1.1 * validation,
            "completion_tokens": 40.0,
            "truncated": 0.0,
            "reward/answer": validation,
            "reward/format": validation,
        } | {name: column[i] for name, column in columns.items()}
        made += [{"step": 10 * i + k, **values} for k in range(1, 11)]
        made[-1] |= {"validation": validation, "validation_high": validation + 0.05}
    return made


def names(records: list[dict[str, Any]], rollout: list[Scored] = ROLLOUT) -> list[str]:
    return [sign.name for sign in look(records, rollout, 1.2)]


def test_a_healthy_run_shows_none() -> None:
    for last in range(1, 7):
        assert names(run([0.1, 0.4, 0.7, 0.9, 0.93, 0.92][:last])) == []


def test_a_reward_that_rises_without_validation_shows_with_a_paid_wrong_answer() -> None:
    records = run([0.4, 0.41, 0.40], reward=[0.3, 0.5, 0.9])
    paid = Scored("q", "I am right.", 1.0, {"answer": 0.0, "mine": 1.0})
    (sign,) = look(records, [*ROLLOUT, paid], 1.2)
    assert (sign.name, sign.example) == ("hollow reward", "I am right.")
    assert "0.90" in sign.message


def test_samples_that_catch_up_with_greedy_answers_are_no_sign() -> None:
    caught_up = {"reward": [0.6, 0.8, 1.0], "reward/answer": [0.5, 0.7, 0.9]}
    assert names(run([0.94, 0.94, 0.94], **caught_up)) == []
    beyond = {"reward": [0.2, 0.5, 1.0], "reward/answer": [0.2, 0.5, 0.9]}
    assert names(run([0.3, 0.3, 0.3], **beyond)) == ["hollow reward"]


def test_completions_that_grow_beyond_use_show() -> None:
    assert names(run([0.5, 0.8, 0.6], completion_tokens=[30, 40, 90])) == ["length"]
    assert names(run([0.5, 0.8, 0.9], completion_tokens=[30, 40, 90])) == []
    assert names(run([0.5, 0.8, 0.85], truncated=[0.0, 0.1, 0.6])) == ["length"]


def test_a_phrase_that_takes_over_shows() -> None:
    mill = Scored("q", "so the answer is so the answer is " * 9 + "4", 1.0, {"answer": 1.0})
    (sign,) = look(run([0.5, 0.6]), [mill] * 16, 1.2)
    assert sign.name == "one phrase"
    assert sign.example == mill.text


def test_format_without_answers_shows_with_an_example() -> None:
    hollow = Scored("q", "<think>yes yes</think><answer>no</answer>", 0.2,
                    {"answer": 0.0, "format": 1.0})  # fmt: skip
    records = run(
        [0.1, 0.1], **{"reward/format": [0.1, 0.9], "reward/answer": [0.2, 0.2], "reward": [1, 1]}
    )
    (sign,) = look(records, [*ROLLOUT, hollow], 1.2)
    assert (sign.name, sign.example) == ("format without answer", hollow.text)


def test_nothing_is_said_before_the_first_validation() -> None:
    assert look([{"step": 1, "reward": 1.0}], ROLLOUT, 1.2) == []
    assert look([], [], 1.2) == []
