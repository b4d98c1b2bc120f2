"""A reward that misbehaves is named, counted, timed out, and stops training by the stated rule."""

from __future__ import annotations

import contextlib
import itertools
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from reasonkit.errors import RunError
from reasonkit.rewards import Reward, WeightedReward
from reasonkit.rewards.guard import Guard
from reasonkit.types import Completion, Example, Group, Scores

GROUP = Group(Example("1", "t", (), "9"), [Completion("9", (1,), "stop")] * 2)


def _reward(
    name: str, score: Callable[[Group], Any], weight: float = 1.0, **settings: Any
) -> WeightedReward:
    return WeightedReward(Reward(name, "", "", score, **settings), weight)


def _fail(group: Group) -> list[float | None]:
    raise ValueError("no\nluck")


def _hang(group: Group) -> list[float | None]:
    time.sleep(60)
    return [0.0, 0.0]


def _swallow(group: Group) -> list[float | None]:
    for _ in range(2):
        with contextlib.suppress(BaseException):
            time.sleep(30)
    return [0.0, 0.0]


@pytest.mark.parametrize(
    "score",
    [
        _fail,
        lambda group: [1.0],
        lambda group: [1.0, 2.0, 3.0],
        lambda group: [1.0, float("nan")],
        lambda group: [1.0, float("inf")],
        lambda group: [1.0, 10**400],
        lambda group: ["1", "2"],
        lambda group: "12",
        lambda group: 1.0,
        lambda group: None,
        lambda group: {0: 1.0, 1: 1.0},
        lambda group: [[1.0], [2.0]],
        lambda group: exit(),
    ],
)
def test_a_failed_call_is_counted_and_gives_no_verdict(score: Callable[[Group], Any]) -> None:
    guard = Guard([_reward("bad", score), _reward("good", lambda group: [1.0, 0.5])])
    assert guard.score(GROUP) == {"bad": [None, None], "good": [1.0, 0.5]}
    assert guard.failures == {"bad": 1}


def test_numbers_of_other_libraries_and_no_verdict_are_fine() -> None:
    guard = Guard(
        [
            _reward("numpy", lambda group: np.array([1.0, 0.5], dtype=np.float32)),
            _reward("truth", lambda group: (True, False)),
            _reward("none", lambda group: [None, 1]),
        ]
    )
    scores = guard.score(GROUP)
    assert scores == {"numpy": [1.0, 0.5], "truth": [1.0, 0.0], "none": [None, 1.0]}
    assert all(type(v) in (float, type(None)) for v in itertools.chain(*scores.values()))
    assert not guard.failures


@pytest.mark.parametrize("score", [_hang, _swallow])
def test_a_call_that_hangs_is_stopped(score: Callable[[Group], Any]) -> None:
    before = signal.getsignal(signal.SIGALRM)
    guard, start = Guard([_reward("slow", score)], time_limit=0.2), time.monotonic()
    assert guard.score(GROUP) == {"slow": [None, None]}
    assert guard.failures == {"slow": 1}
    assert time.monotonic() - start < 5
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_call_that_hangs_off_the_main_thread_is_left_behind() -> None:
    release = threading.Event()

    def wait(group: Group) -> list[float | None]:
        release.wait(60)
        return [0.0, 0.0]

    guard = Guard(
        [_reward("slow", wait), _reward("bad", _fail), _reward("good", lambda group: [1.0, 0.0])],
        time_limit=0.2,
    )
    scored: list[Any] = []
    thread = threading.Thread(target=lambda: scored.append(guard.score(GROUP)))
    thread.start()
    thread.join(10)
    release.set()
    assert scored == [{"slow": [None, None], "bad": [None, None], "good": [1.0, 0.0]}]
    assert guard.failures == {"slow": 1, "bad": 1}


def test_rewards_that_wait_run_beside_each_other_and_beside_the_rest() -> None:
    meeting = threading.Barrier(3)

    def meet(group: Group) -> list[float | None]:
        meeting.wait(20)
        return [1.0, 0.0]

    guard = Guard(
        [
            _reward("judge", meet, waits=True),
            _reward("own", meet),
            _reward("code", meet, waits=True),
            _reward("last", lambda group: [0.5, 0.5]),
        ],
        time_limit=30,
    )
    scores = guard.score(GROUP)
    assert list(scores) == ["judge", "own", "code", "last"]
    assert scores["judge"] == scores["own"] == scores["code"] == [1.0, 0.0]
    assert not guard.failures


def test_a_reward_of_the_users_runs_in_the_main_thread() -> None:
    threads: dict[str, bool] = {}

    def noted(name: str) -> Callable[[Group], Any]:
        def score(group: Group) -> list[float | None]:
            threads[name] = threading.current_thread() is threading.main_thread()
            return [0.0, 0.0]

        return score

    Guard([_reward("own", noted("own")), _reward("code", noted("code"), waits=True)]).score(GROUP)
    assert threads == {"own": True, "code": False}


def test_several_groups_keep_their_order_and_one_that_hangs_holds_up_no_other() -> None:
    groups = [
        Group(Example(str(i), "t", (), str(i)), [Completion(str(i), (1,), "stop")])
        for i in range(6)
    ]

    def odd(group: Group) -> list[float | None]:
        if group.example.id == "2":
            time.sleep(2)
        return [float(group.example.id)]

    guard = Guard([_reward("beside", odd, waits=True), _reward("main", odd)], time_limit=0.3)
    scored = guard.score_all(groups)
    expected = [[0.0], [1.0], [None], [3.0], [4.0], [5.0]]
    assert [s["beside"] for s in scored] == [s["main"] for s in scored] == expected
    assert guard.failures == {"beside": 1, "main": 1}
    assert guard.score_all([]) == []


def test_a_reward_that_waits_and_keeps_failing_stops_the_run_too() -> None:
    guard = Guard([_reward("bad", _fail, waits=True), _reward("good", lambda group: [1.0, 1.0])])
    with pytest.raises(RunError, match="'bad' failed 5 times in a row"):
        guard.score_all([GROUP] * 9)
    assert guard.failures == {"bad": 5}


def test_the_time_of_each_reward_is_counted_and_what_it_says_to_have_spent() -> None:
    class Paid:
        costs: ClassVar[dict[str, float]] = {"requests": 2, "dollars": 0.5}

        def __call__(self, group: Group) -> list[float | None]:
            time.sleep(0.05)
            return [1.0, 1.0]

    guard = Guard([_reward("paid", Paid(), waits=True), _reward("free", lambda group: [1.0, 1.0])])
    guard.score_all([GROUP, GROUP])
    spent = guard.spent
    assert spent["reward_seconds/paid"] >= 0.1
    assert spent["reward_seconds/free"] >= 0
    assert spent["reward_costs/paid/requests"] == 2
    assert len(spent) == 4


def test_what_is_right_is_told_by_the_first_reward_that_can_tell() -> None:
    scores = {"judge": [0.9, 0.1, 0.9, None], "length": [-0.5, 0.6, None, -1.0]}
    judge = _reward("judge", _fail)
    judge = WeightedReward(replace(judge.reward, claim="correctness"))
    length = _reward("length", _fail)
    length = WeightedReward(
        replace(length.reward, claim="correctness", needs_answer=True, range=(-1.0, 1.0))
    )
    assert Guard([judge, length]).right(scores) == [False, True, None, False]
    own = WeightedReward(replace(length.reward, range=(-math.inf, math.inf)))
    assert Guard([own]).right(scores) == [False, True, None, False]


def test_nobody_knows_what_is_right_where_no_reward_can_tell() -> None:
    scores: Scores = {"judge": [0.9, 0.1, None], "length": [0.5, 0.6, -1.0]}
    judge = _reward("judge", _fail)
    judge = WeightedReward(replace(judge.reward, claim="correctness"))
    assert Guard([judge, _reward("length", _fail)]).right(scores) == [None, None, None]


def test_five_failures_in_a_row_stop_the_run_and_say_which_and_why() -> None:
    guard = Guard([_reward("bad", _fail)])
    for _ in range(4):
        guard.score(GROUP)
    with pytest.raises(RunError, match="'bad' failed 5 times in a row; last: ValueError: no luck"):
        guard.score(GROUP)
    assert guard.failures["bad"] == 5


def test_a_good_call_breaks_the_row() -> None:
    calls = itertools.count()
    guard = Guard([_reward("odd", lambda g: _fail(g) if next(calls) % 5 else [1.0, 1.0])])
    for _ in range(15):
        guard.score(GROUP)
    assert guard.failures["odd"] == 12


def test_more_than_half_of_the_last_forty_failing_stops_the_run() -> None:
    calls = itertools.count()
    guard = Guard([_reward("flaky", lambda g: _fail(g) if next(calls) % 3 else [1.0, 1.0])])
    for _ in range(31):
        guard.score(GROUP)
    with pytest.raises(RunError, match="'flaky' failed 21 times in its last 32 calls"):
        guard.score(GROUP)


def test_half_of_the_calls_failing_does_not_stop_the_run() -> None:
    calls = itertools.count()
    guard = Guard([_reward("coin", lambda g: _fail(g) if next(calls) % 2 else [1.0, 1.0])])
    for _ in range(120):
        guard.score(GROUP)
    assert guard.failures["coin"] == 60


def test_rewards_are_counted_apart() -> None:
    guard = Guard([_reward("a", _fail), _reward("b", lambda group: [1.0, 1.0])])
    for _ in range(4):
        guard.score(GROUP)
    assert guard.failures == {"a": 4}


def test_the_total_is_weighted_and_skips_missing_verdicts() -> None:
    guard = Guard([_reward("a", _fail, 2.0), _reward("b", _fail, -0.5)])
    scores = {"a": [1.0, None, None], "b": [1.0, 4.0, None]}
    assert guard.total(scores) == [1.5, -2.0, None]


def test_an_interrupt_of_the_user_passes_through() -> None:
    def interrupt(group: Group) -> list[float | None]:
        raise KeyboardInterrupt

    guard = Guard([_reward("a", interrupt)])
    with pytest.raises(KeyboardInterrupt):
        guard.score(GROUP)
    assert not guard.failures


def test_a_reward_of_one_task_has_no_verdict_on_the_examples_of_another() -> None:
    ours = _reward("ours", lambda group: [1.0, 2.0])
    theirs = replace(_reward("theirs", _fail), task="other")
    guard = Guard([ours, theirs])
    scores = guard.score(GROUP)
    assert scores == {"ours": [1.0, 2.0], "theirs": [None, None]}
    assert guard.total(scores) == [1.0, 2.0]
    assert not guard.failures
