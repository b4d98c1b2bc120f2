"""Sound rewards pass: the built-in ones, every task's own composition, and users' own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from reasonkit.errors import DataError
from reasonkit.rewards import linter
from reasonkit.rewards.linter import Report
from reasonkit.tasks import TASKS, load
from reasonkit.types import Example

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
ALIKE = {"aime24": "math500"}
"""Tasks that ask what another one asks."""

COMPETITION = [
    ("Compute $\\arcsin \\left( -\\frac{1}{2} \\right)$ in radians.", "-\\frac{\\pi}{6}"),
    ("Find all $x$ with $|x - 1| \\le 2$.", "[-1,3]"),
    ("What is $\\sqrt{242}$ in simplest form?", "11\\sqrt{2}"),
    ("Write $\\frac{3}{8}$ as a decimal.", "0.375"),
    ("Evelyn, Debra and Angela run. Who is the fastest?", "\\text{Evelyn}"),
]


def examples(task: str, gsm8k_like: Path) -> list[Example]:
    if TASKS[task].source == "generated":
        return load(task, train=100, validation=0, test=0).train
    if task == "gsm8k":
        return load(str(gsm8k_like)).train
    return [
        Example(str(i), task, ({"role": "user", "content": question},), answer)
        for i, (question, answer) in enumerate(COMPETITION)
    ]


def compositions() -> list[tuple[str, tuple[str, ...]]]:
    """Those of the tasks and those of the recipe files, with the task of each."""
    usual = [
        (task.name, [f"{name}={w:g}" for name, w in task.rewards])
        for task in TASKS.values()
        if task.name not in ("general", "chat")
    ]
    recipes = [yaml.safe_load(path.read_text()) or {} for path in ROOT.glob("recipes/*/*.yaml")]
    usual += [(r.get("task", "arithmetic"), r["reward"]) for r in recipes if "reward" in r]
    return sorted({(ALIKE.get(task, task), tuple(rewards)) for task, rewards in usual})


@pytest.mark.parametrize(("task", "rewards"), compositions())
def test_every_default_composition_leaves_nothing_to_gain(
    lint: Callable[..., Report], task: str, rewards: tuple[str, ...], gsm8k_like: Path
) -> None:
    report = lint(rewards, examples(task, gsm8k_like), count=1 if "code" in task else 2)
    assert report.findings == ()
    assert report.notes == ()
    assert {finding.what for finding in report.unseen} >= {"right answer under a wrong thought"}


def test_without_references_only_what_needs_none_is_checked(
    lint: Callable[..., Report],
) -> None:
    examples = load("general", train=20, validation=0, test=0).train
    report = lint(["helpful:abacus-judge", "harmless:abacus-judge"], examples, count=1)
    assert report.findings == () == report.unseen
    assert report.notes == (
        "no reference answers: what right and wrong ones are paid isn't checked",
    )
    assert not report.answered
    assert len(report.checked) == 1
    assert min(facts.calls for facts in report.rewards) > 20
    assert lint(["format"], examples, count=1).findings == ()
    usual = [f"{name}={weight:g}" for name, weight in TASKS["chat"].rewards]
    assert lint(usual, load("chat").train, count=1).findings == ()
    with pytest.raises(DataError, match="to check answer with"):
        linter.lint(["answer", "format"], examples)


@pytest.mark.parametrize(
    "reward",
    ["format", "tags", "length", "overlong", "repetition", "language", "confidence"],
)
def test_every_built_in_reward_keeps_its_claim(check: Callable[..., Report], reward: str) -> None:
    assert check(reward, seconds=10).findings == ()


@pytest.mark.parametrize(
    ("reward", "task"),
    [("exact", "arithmetic"), ("close", "arithmetic"), ("careful_countdown", "countdown")],
)
def test_a_sound_reward_of_the_users_own_passes(
    check: Callable[..., Report], reward: str, task: str
) -> None:
    report = check(reward, task=task)
    assert report.findings == ()
    assert report.notes == (
        f"{reward} finds no answer in the style: box after a thought, box, ####, sentence",
    )


@pytest.mark.skipif(not (DATA / "gsm8k").is_dir(), reason="the real data isn't here")
@pytest.mark.slow
def test_the_usual_composition_leaves_nothing_to_gain_on_real_questions(
    lint: Callable[..., Report], tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in (DATA / "math500" / "test.jsonl").open()]
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps({"question": r["problem"], "answer": r["answer"]}) + "\n" for r in rows)
    )
    for task in (DATA / "gsm8k", tmp_path):
        report = lint(["answer", "format=0.2"], load(str(task)).test, count=40)
        assert report.findings == ()
