"""`reasonkit compare` from the outside: what it makes, what it keeps, what it refuses."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SMALL = (
    "compare", "--only", "grpo", "--test-size", 4, "--validation-size", 4, "--device", "cpu",
    "--max-completion-tokens", 48, "--set", "grpo.steps=3", "--set", "grpo.group_size=4",
    "--set", "grpo.prompts_per_step=4", "--set", "grpo.save_every=1",
)  # fmt: skip
TIMES = ("seconds", "memory_bytes", "question_seconds")


@pytest.fixture
def whole(made: Callable) -> Path:
    """A comparison that was never stopped."""
    return Path(made(*SMALL))


def lasting(value: object) -> object:
    """What two runs of the same thing share."""
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in TIMES}
    return [lasting(v) for v in value] if isinstance(value, list) else value


def summary(path: Path) -> dict:
    return dict(json.loads((path / "summary.json").read_text()))


def record(path: Path, part: str) -> dict:
    return dict(json.loads((path / "parts" / part / "run.json").read_text()))


def test_every_part_is_a_run_of_its_own_command(whole: Path) -> None:
    assert [record(whole, part)["command"] for part in ("base", "grpo")] == ["vote", "grpo"]
    assert (whole / "parts/grpo/final/model.safetensors").exists()
    made = summary(whole)
    names = ["abacus, asked directly", "abacus, step by step", "grpo"]
    assert [row["name"] for row in made["rows"]] == names
    by_name = {row["name"]: row for row in made["rows"]}
    evaluation = json.loads((whole / "parts/grpo/evaluations/after.json").read_text())
    assert by_name["grpo"]["accuracy"] == evaluation["summary"]["accuracy"]
    assert by_name["grpo"]["memory_bytes"] > 10**8
    assert by_name["grpo"]["longer"]["n"] == by_name["grpo"]["requests"]["n"] == 4
    page = (whole / "compare.html").read_text()
    assert all(name in page for name in names)


def test_a_finished_comparison_is_shown_again_as_it_is(reasonkit: Callable, whole: Path) -> None:
    ended = reasonkit("compare", "--run-dir", whole, "--resume", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == summary(whole)


def test_a_part_whose_inputs_have_changed_is_made_anew_and_a_kill_costs_no_more_than_that(
    launch: Callable, whole: Path, stopped: Callable
) -> None:
    run = stopped(whole, "parts/grpo/checkpoints")
    part = run / "parts/grpo.json"
    part.write_text(json.dumps({**json.loads(part.read_text()), "key": "of something else"}))
    running = launch("compare", "--run-dir", run, "--resume")
    running.until((run / "parts/grpo/checkpoints").exists).signalled(signal.SIGKILL)
    left = psutil.Process(json.loads(part.read_text())["pid"])
    assert record(run, "grpo")["started"] != record(whole, "grpo")["started"]
    assert launch("compare", "--run-dir", run, "--resume").ended().code == 0
    assert not left.is_running()
    assert record(run, "base") == record(whole, "base")
    assert "--resume" in record(run, "grpo")["argv"] or record(run, "grpo")["status"] == "finished"
    assert lasting(summary(run)["rows"]) == lasting(summary(whole)["rows"])


def test_a_part_that_fails_is_named_with_its_reason(
    reasonkit: Callable, whole: Path, stopped: Callable
) -> None:
    run = stopped(whole, "parts/grpo")
    (run / "parts/grpo").write_text("in the way")
    ended = reasonkit("compare", "--run-dir", run, "--resume")
    assert ended.code == 1
    assert "grpo: error: " in ended.err and "grpo.log" in ended.err
    assert record(run, "base") == record(whole, "base")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--only", "gpro"), "grpo"),
        (("--budget", "lots"), "--budget"),
        (("--budget", "1e12", "--task", "tiny-code"), "--set"),
        (("--set", "grpo.stpes=4"), "steps"),
        (("--teacher", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_made(
    reasonkit: Callable, tmp_path: Path, flags: tuple[str, ...], named: str
) -> None:
    ended = reasonkit("compare", *flags, "--run-dir", "run")
    assert ended.code == 2
    assert named in ended.err
    assert not (tmp_path / "run").exists()
