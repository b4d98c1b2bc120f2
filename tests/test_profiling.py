"""A profile tells how hard a task is for a model, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.profiling import spread_at_k, tasks_of
from reasonkit.tasks import TASKS, describe


@given(st.integers(1, 7), st.data())
def test_a_spread_is_the_share_of_groups_that_are_not_all_of_a_kind(
    n: int, data: st.DataObject
) -> None:
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    groups = list(combinations([True] * right + [False] * (n - right), k))
    mixed = sum(len(set(group)) == 2 for group in groups) / len(groups)
    assert spread_at_k(n, right, k) == pytest.approx(mixed)


def test_a_generated_task_is_profiled_at_several_difficulties_and_a_file_as_it_is() -> None:
    assert len(tasks_of(["arithmetic"])) > 3
    assert tasks_of(["mine.jsonl", "arithmetic:digits=2"]) == ["mine.jsonl", "arithmetic:digits=2"]
    everything = tasks_of([])
    assert all(describe(task) for task in everything)
    assert {task.partition(":")[0] for task in everything} < TASKS.keys()


def test_what_a_model_can_and_can_not_learn_is_told_apart(
    reasonkit: Callable, in_an_empty_folder: None, gsm8k_like: Path
) -> None:
    named = ("arithmetic:operands=2", "arithmetic:operands=2,digits=4", str(gsm8k_like))
    flags = [flag for task in named for flag in ("--task", task)]
    before = set(Path().iterdir())
    ended = reasonkit("tasks", "profile", *flags, "--questions", 4, "--json")
    assert ended.code == 0, ended.err
    easy, hard, own = json.loads(ended.out)
    assert [p["task"] for p in (easy, hard, own)] == list(named)
    assert easy["verdict"] == "teaches" and easy["questions"] == 4
    assert easy["solvable"]["accuracy"] > easy["right"]["accuracy"] > 0.3
    assert hard["verdict"].startswith("hopeless") and hard["solvable"]["accuracy"] == 0
    assert hard["solvable"]["high"] > 0.1
    assert own["samples"] == own["group_size"] == 8
    assert set(Path().iterdir()) == before


def test_the_table_says_in_words_which_tasks_would_teach(reasonkit: Callable) -> None:
    ended = reasonkit("tasks", "profile", "--task", "arithmetic:operands=2", "--questions", 4)
    assert ended.code == 0, ended.err
    assert "pass@8" in ended.out and "teaches: arithmetic:operands=2" in ended.out
    assert "cut off, and" not in ended.out
    short = ("--questions", 2, "--max-completion-tokens", 2)
    ended = reasonkit("tasks", "profile", "--task", "arithmetic:operands=2", *short)
    assert "hopeless" in ended.out and "100% of the completions are cut off" in ended.out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--samples", 3), "--samples 3: a group of abacus has 8"),
        (("--task", "arithmetic:digits=7"), "digits=7"),
        (("--model", "abacuss"), "did you mean abacus"),
    ],
)
def test_what_can_not_be_profiled_is_refused_at_once(
    reasonkit: Callable, flags: tuple, said: str
) -> None:
    ended = reasonkit("tasks", "profile", *flags)
    assert ended.code == 2
    assert said in ended.err and "\n" not in ended.err.strip()
