"""`reasonkit sft-rl` from the outside: what is learned, what is refused, what it survives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonkit.config import StageName
from reasonkit.tasks import load

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SET = {
    "cold-start.questions": 300, "rl.steps": 2, "rejection.questions": 100, "final-rl.steps": 2,
    "cold-start.samples": 2, "rejection.samples": 2, "rejection.learning_rate": 2e-3, "epochs": 1,
    "batch_tokens": 1024, "micro_batch_tokens": 1024, "validate_every": 2, "save_every": 1,
    "prompts_per_step": 4,
}  # fmt: skip
SMALL = (
    "--test-size", 30, "--validation-size", 10, "--no-baselines", "--device", "cpu",
)  # fmt: skip


def with_settings(**changes: object) -> list[str]:
    """``--set`` for each of `SET`, some of them changed; ``__`` stands for the dot."""
    changed = {name.replace("final_rl__", "final-rl."): value for name, value in changes.items()}
    return [
        word for name, value in (SET | changed).items() for word in ("--set", f"{name}={value}")
    ]


@pytest.fixture
def whole(made: Callable) -> Path:
    """A small run of the whole recipe."""
    return Path(made("sft-rl", *SMALL, *with_settings()))


def weights(run: Path) -> bytes:
    return (run / "final" / "model.safetensors").read_bytes()


def seen(run: Path) -> dict[str, tuple[str, bytes]]:
    """When each stage was begun, and what it has made."""
    return {
        name: (
            json.loads((run / "stages" / name / "run.json").read_text())["started"],
            weights(run / "stages" / name),
        )
        for name in StageName
    }


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["fsdp", pytest.param("zero3", marks=pytest.mark.deepspeed)])
def test_two_processes_that_hold_parts_reach_what_one_reaches(
    whole: Path, launch: Callable, shard: str
) -> None:
    shared = ("--processes", 2, "--shard", shard, "--run-dir", "run")
    ended = launch("sft-rl", *SMALL, *with_settings(), *shared).ended()
    assert ended.code == 0, ended.err
    both, one = (json.loads((run / "summary.json").read_text()) for run in (Path("run"), whole))
    for row, other in zip(both["stages"], one["stages"], strict=True):
        assert row["accuracy"] == pytest.approx(other["accuracy"], abs=0.1)
    assert both["after"]["accuracy"] == pytest.approx(one["after"]["accuracy"], abs=0.1)


def test_the_whole_recipe_learns_and_each_stage_has_a_row(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    rows = summary["stages"]
    assert [row["name"] for row in rows] == ["base", *StageName]
    for row in rows:
        assert set(row["general"]) == {"helpful", "harmless"}
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
    assert summary["paired"]["low"] > 0.2
    assert rows[1]["sampled"]["format"] > rows[0]["sampled"]["format"]
    assert summary["tokens_sampled"] == sum(row["tokens_sampled"] for row in rows[1:])
    assert summary["after"]["n"] == 30 and rows[-1]["n"] == 10
    page = (whole / "report.html").read_text()
    assert "After each stage" in page and page.count("<svg") == 9


def test_general_prompts_stand_in_one_order_before_and_after(whole: Path) -> None:
    before, after = (
        [c["prompt"] for c in json.loads(path.read_text())["completions"]]
        for path in (whole / f"evaluations/general-{when}.json" for when in ("before", "after"))
    )
    assert before == after == [example.question for example in load("general", test=30).test]


def test_stages_use_disjoint_questions(whole: Path) -> None:
    asked = {
        name: {
            json.loads(line)["id"]
            for line in (whole / "stages" / name / file).read_text().splitlines()
        }
        for name, file in (
            ("cold-start", "questions.jsonl"),
            ("rl", "completions.jsonl"),
            ("rejection", "questions.jsonl"),
            ("final-rl", "completions.jsonl"),
        )
    }
    assert (asked["cold-start"] | asked["rejection"]).isdisjoint(asked["rl"] | asked["final-rl"])
    assert any(id.startswith("general/") for id in asked["final-rl"])
    chats = {
        "general/" + json.loads(line)["messages"][0]["content"]
        for line in (whole / "chats.jsonl").read_text().splitlines()
    }
    assert chats.isdisjoint(asked["final-rl"])


def test_a_changed_setting_makes_its_stage_and_those_after_it_again(
    reasonkit: Callable, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    before = seen(tmp_path / "run")
    ended = reasonkit(
        "sft-rl", "--run-dir", tmp_path / "run", "--resume", *with_settings(final_rl__steps=1)
    )
    assert ended.code == 0, ended.err
    after = seen(tmp_path / "run")
    assert {name for name in StageName if before[name] != after[name]} == {"final-rl"}
    assert weights(tmp_path / "run") == after["final-rl"][1]
    assert (tmp_path / "run/stages/final-rl-replaced-1/final").is_dir()
    again = reasonkit("sft-rl", "--run-dir", tmp_path / "run", "--resume")
    assert "is finished" in again.err and seen(tmp_path / "run") == after


def test_a_stage_that_is_made_again_to_the_same_weights_leaves_those_after_it(
    reasonkit: Callable, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    before = seen(run)
    shutil.rmtree(run / "stages/cold-start")
    (run / "summary.json").unlink()
    ended = reasonkit("sft-rl", "--run-dir", run, "--resume")
    assert ended.code == 0, ended.err
    after = seen(run)
    assert after["cold-start"][1] == before["cold-start"][1]
    assert {name for name in StageName if before[name] != after[name]} == {"cold-start"}


def test_until_ends_the_recipe_there_and_skip_leaves_a_stage_out(
    reasonkit: Callable, tmp_path: Path
) -> None:
    ended = reasonkit(
        "sft-rl", "--run-dir", "run", "--skip", "cold-start", "--until", "rl",
        "--general-task", "", *SMALL, *with_settings(),
    )  # fmt: skip
    assert ended.code == 0, ended.err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert [row["name"] for row in summary["stages"]] == ["base", "rl"]
    assert summary["stages"][0]["general"] == {}
    assert [path.name for path in (tmp_path / "run/stages").iterdir()] == ["rl"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--skip", "cold-strat"], "did you mean cold-start"),
        (["--set", "rl.stepps=3"], "steps"),
        (["--set", "rl.steps=0"], "below 1"),
        (["--set", "rl.micro_batch=7"], "does not divide"),
        (["--set", "cold-start.wording=nicely"], "step-by-step"),
        (["--teacher", "nobody"], "nobody"),
        (["--general-task", "arithmetic"], "is the task itself"),
        (["--general-task", "", "--general-reward", "helpful:abacus-judge"], "needs"),
        (["--general-chats", "none.jsonl"], "none.jsonl"),
        (["--resume"], "--run-dir"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_made(
    reasonkit: Callable, tmp_path: Path, flags: list[str], said: str
) -> None:
    ended = reasonkit("sft-rl", *flags)
    assert ended.code == 2
    assert said in ended.err
    assert not list(tmp_path.iterdir())
