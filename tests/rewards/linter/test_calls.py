"""A reward runs in a process of its own, which outlives nothing and is started again."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from reasonkit.errors import RunError
from reasonkit.rewards.linter.calls import Calls
from reasonkit.rewards.linter.candidates import completion
from reasonkit.types import Example, Group

EXAMPLE = Example(
    "1", "t", ({"role": "user", "content": "2+7?"},), "9", ({"input": 1, "output": 2},), "f", "x=1"
)
GROUP = Group(EXAMPLE, [completion("nine"), completion("")])
SOURCE = """
import builtins, os, time

def sees(group):
    example, (first, second) = group.example, group.completions
    assert (example.answer, example.entry_point, example.setup) == ("9", "f", "x=1")
    assert example.tests == ({"input": 1, "output": 2},) and example.question == "2+7?"
    print("noise")
    return [float(first.tokens), None if second.text == "" else 1.0]

def pid(group):
    return [float(os.getpid())] * 2

def exits(group):
    os._exit(0)

def sleeps(group):
    time.sleep(60)

def patches(group):
    builtins.len = lambda thing: 7
    return [0.0, 0.0]

def interrupts(group):
    raise KeyboardInterrupt
"""
NAMES = ("sees", "pid", "exits", "sleeps", "patches", "interrupts")


@pytest.fixture
def specs(tmp_path: Path) -> list[str]:
    (tmp_path / "own.py").write_text(SOURCE)
    return [f"{tmp_path / 'own.py'}:{name}" for name in NAMES]


def test_the_reward_sees_the_whole_group_and_may_print(specs: list[str]) -> None:
    with Calls(specs, 20) as calls:
        reply = calls.score(0, GROUP)
    assert (reply.values, reply.failure, reply.said) == ([1.0, None], None, "")
    assert not reply.changed_group and not reply.changed_python


def test_a_process_that_was_ended_is_started_again_and_none_is_left(specs: list[str]) -> None:
    with Calls(specs, 1) as calls:
        first = calls.score(1, GROUP).values
        assert first == calls.score(1, GROUP).values != [float(os.getpid())] * 2
        assert calls.score(2, GROUP).failure == "ended"
        second = calls.score(1, GROUP).values
        assert calls.score(3, GROUP).failure == "late"
        third = calls.score(1, GROUP).values
        assert calls.score(4, GROUP).changed_python
        fourth = calls.score(1, GROUP).values
        assert calls.score(5, GROUP).failure == "ended"
        used = [int(values[0]) for values in (first, second, third, fourth) if values]
    assert len(set(used)) == 4
    assert not any(psutil.pid_exists(pid) for pid in used)


def test_a_reward_that_is_gone_when_the_process_starts_is_named(
    specs: list[str], tmp_path: Path
) -> None:
    (tmp_path / "own.py").unlink()
    with Calls(specs, 1) as calls, pytest.raises(RunError, match=r"own\.py:sees"):
        calls.score(0, GROUP)
