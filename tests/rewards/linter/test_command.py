"""``reasonkit rewards check`` prints what it found, and says by its exit code whether it did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

FAULTY = Path(__file__).parent / "faulty.py"


def told(text: str) -> list[str]:
    """The lines of stderr but for those that say what is going on, where that takes long."""
    return [line for line in text.splitlines() if not line.startswith("… ")]


def test_a_fault_is_shown_and_exits_with_one(reasonkit: Callable) -> None:
    ended = reasonkit(
        "rewards", "check", f"{FAULTY}:hollow_format=0.5", "--task", "arithmetic", "--questions", 2
    )
    assert ended.code == 1
    assert "hollow_format pays for nothing" in ended.out
    assert "<think></think>" in ended.out
    assert "2/2" in ended.out
    (error,) = told(ended.err)
    assert "hollow_format: faults were found" in error


def test_the_tasks_own_rewards_are_checked_where_none_is_named(reasonkit: Callable) -> None:
    ended = reasonkit("rewards", "check", "--task", "arithmetic", "--questions", 1)
    assert ended.code == 0
    assert "answer" in ended.out and "format" in ended.out
    assert "nothing to gain was found" in ended.out
    assert "under a wrong" in ended.out
    assert not told(ended.err)


def test_what_was_and_was_not_checked_is_said(reasonkit: Callable) -> None:
    ended = reasonkit("rewards", "check", "format", "--task", "general", "--questions", 1)
    assert ended.code == 0
    assert "nothing to gain" not in ended.out
    assert "no fault was found in what was checked" in ended.out
    assert "checked: that values are in range" in ended.out
    assert "a broken form is paid less" in ended.out
    assert "right answers are paid more" not in ended.out
    assert "what right and wrong ones are paid isn't checked" in ended.out


def test_json_holds_the_whole_report(reasonkit: Callable, gsm8k_like: Path) -> None:
    ended = reasonkit(
        "rewards", "check", f"{FAULTY}:substring", "--task", gsm8k_like, "--questions", 1, "--json"
    )
    assert ended.code == 1
    report = json.loads(ended.out)
    assert report["task"] == str(gsm8k_like)
    assert report["rewards"][0]["name"] == "substring"
    assert {f["what"] for f in report["findings"]} >= {"every number from -20 to 100"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["answr", "--task", "arithmetic"], "answer"),
        (["answer", "--task", "arithmatic"], "arithmetic"),
        (["answer=0", "--task", "arithmetic"], "weight"),
        (["nowhere.py:score", "--task", "arithmetic"], "nowhere.py"),
        (["answer", "--task", "nowhere.jsonl"], "no such file"),
        (["answer", "--task", "arithmetic", "--columns", "x=y"], "--columns 'x=y'"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(
    reasonkit: Callable, arguments: list[str], said: str
) -> None:
    ended = reasonkit("rewards", "check", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "\n" not in ended.err.strip()
    assert not ended.out


def test_without_check_the_rewards_are_listed(reasonkit: Callable) -> None:
    ended = reasonkit("rewards")
    assert ended.code == 0
    assert "answer" in ended.out and "language" in ended.out
