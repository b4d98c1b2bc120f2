"""The commands with `--engine vllm`, as a user runs them, on a CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

pytest.importorskip("vllm")
pytestmark = [pytest.mark.vllm, pytest.mark.usefixtures("in_an_empty_folder")]

VLLM = ("--engine", "vllm", "--device", "cpu")
FEW = ("--test-size", 40, "--validation-size", 20, "--no-baselines")


def test_grpo_learns_and_tells_how_far_the_sampler_is_off(launch: Callable, tmp_path: Path) -> None:
    ended = launch(
        "grpo", *VLLM, "--no-baselines", "--steps", 40, "--run-dir", "run", cwd=tmp_path
    ).ended()
    assert ended.code == 0, ended.err
    assert "vllm samples: asked for" in ended.err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["after"]["accuracy"] > 0.9 > 0.2 > summary["before"]["accuracy"]
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    for record in records[1:]:
        assert 0 < record["mismatch/mean"] < 1e-5 and record["mismatch/max"] < 1e-3
        assert record["mismatch/effective_sample_share"] > 0.999
        assert record["mismatch/truncated"] == 0
    settings = (tmp_path / "run/config.yaml").read_text()
    assert "engine: vllm" in settings and "importance: token_truncate" in settings
    assert "equivalent" in json.loads((tmp_path / "run/run.json").read_text())["resume"]
    assert "Sampler and policy" in (tmp_path / "run/report.html").read_text()


@pytest.mark.parametrize("lora", [(), ("--lora",)])
def test_a_run_that_is_killed_goes_on(launch: Callable, tmp_path: Path, lora: tuple) -> None:
    started = launch(
        "grpo",
        *VLLM,
        *FEW,
        *lora,
        "--steps",
        6,
        "--save-every",
        1,
        "--run-dir",
        "run",
        cwd=tmp_path,
    )
    checkpoints = tmp_path / "run" / "checkpoints"
    started.until(lambda: list(checkpoints.glob("checkpoint-2"))).signalled(9)
    ended = launch("grpo", "--run-dir", "run", "--resume", cwd=tmp_path).ended()
    assert ended.code == 0, ended.err
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    assert sorted({record["step"] for record in records}) == [0, 1, 2, 3, 4, 5, 6]


def test_processes_that_hold_parts_and_sample_together_learn_what_one_learns(
    launch: Callable, tmp_path: Path
) -> None:
    ways = {
        "one": (),
        "two": ("--processes", 2, "--shard", "fsdp", "--tensor-parallel", 2),
    }
    learned = {}
    for name, flags in ways.items():
        told = ("--steps", 2, "--micro-batch", 8, "--run-dir", name)
        ended = launch("grpo", *VLLM, *FEW, *told, *flags, cwd=tmp_path).ended()
        assert ended.code == 0, ended.err
        learned[name] = load_file(tmp_path / name / "final/model.safetensors")
    for name, weight in learned["one"].items():
        assert (learned["two"][name] - weight).norm() <= 1e-6 * weight.norm(), name
    for record in [json.loads(line) for line in (tmp_path / "two/metrics.jsonl").open()][1:]:
        assert 0 < record["mismatch/mean"] < 1e-5


def test_a_vote_and_a_search_are_sampled(launch: Callable, tmp_path: Path) -> None:
    ended = launch(
        "vote", *VLLM, "--test-size", 40, "--n", 4, "--strategy", "majority", "--also", "budget",
        "--run-dir", "run", cwd=tmp_path,
    ).ended()  # fmt: skip
    assert ended.code == 0, ended.err
    rows = json.loads((tmp_path / "run/summary.json").read_text())["strategies"]
    assert {"majority", "budget"} <= {row["name"] for row in rows}


def test_traces_of_a_teacher_are_sampled_and_learned(launch: Callable, tmp_path: Path) -> None:
    ended = launch(
        "distill", *VLLM, *FEW, "--questions", 150, "--epochs", 4, "--run-dir", "run", cwd=tmp_path
    ).ended()
    assert ended.code == 0, ended.err
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["traces"] > 100
    assert summary["after"]["thinks"] > 0.9 > summary["before"]["thinks"]
