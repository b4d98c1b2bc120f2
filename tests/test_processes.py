"""`reasonkit grpo` in two processes: one run, the same steps, and nothing said or written twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit import processes

STEPS = 6
SMALL = (
    "--steps", STEPS, "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 24,
    "--test-size", 8, "--validation-size", 5, "--validate-every", 3, "--save-every", 2,
    "--no-baselines", "--device", "cpu",
)  # fmt: skip
# What is named after GPUs starts processes on CPUs too; --cpu would need MPI.
LAUNCH = (
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
    "--main_process_port", "0", "-m", "reasonkit", "grpo",
)  # fmt: skip


def launched(folder: Path, *argv: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LAUNCH, *map(str, argv)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that was left alone."""
    folder = tmp_path_factory.mktemp("two")
    child = launched(folder, "--run-dir", "run", *SMALL)
    said, _ = child.communicate()
    assert child.returncode == 0, said
    assert said.count("run: run") == said.count("after: ") == 1
    assert [path.name for path in folder.iterdir()] == ["run"]
    return folder / "run"


def test_two_processes_do_together_what_one_does(
    reasonkit: Callable, whole: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    alone = tmp_path / "alone"
    assert reasonkit("grpo", "--run-dir", alone, *SMALL).code == 0
    both, one = (rows(run / "completions.jsonl") for run in (whole, alone))
    # Those of the first step are drawn from the very same weights.
    assert both[:16] == one[:16]
    assert [row["step"] for row in both] == [row["step"] for row in one]
    both, one = (rows(run / "metrics.jsonl") for run in (whole, alone))
    assert [row["step"] for row in both] == list(range(STEPS + 1))
    for name in ("loss", "grad_norm", "entropy", "reward", "right", "completion_tokens"):
        assert both[1][name] == pytest.approx(one[1][name], rel=1e-4), name
    assert both[1]["grad_norm"] > 0
    assert both[1]["tokens_sampled"] == one[1]["tokens_sampled"]
    assert both[1]["tokens_trained"] == one[1]["tokens_trained"]
    before = [json.loads((run / "evaluations/before.json").read_text()) for run in (whole, alone)]
    assert before[0]["verdicts"] == before[1]["verdicts"]
    assert json.loads((whole / "run.json").read_text())["processes"] == 2
    assert AutoModelForCausalLM.from_pretrained(whole / "final").num_parameters() > 1e6


def signalled(folder: Path, number: int, ranks: str) -> str:
    """Starts a run, signals some of its processes after a step, and returns what was said."""
    child = launched(folder, "--run-dir", "run", *SMALL)
    until = time.monotonic() + 300
    while time.monotonic() < until and len(rows(folder / "run/metrics.jsonl")) < 2:
        time.sleep(0.01)
    for process in psutil.Process(child.pid).children():
        if process.environ()["RANK"] in ranks:
            process.send_signal(number)
    said, _ = child.communicate()
    assert not (folder / "run/final").exists(), said
    return said


def assert_goes_on_to(whole: Path, folder: Path) -> None:
    child = launched(folder, "--run-dir", "run", "--resume")
    said, _ = child.communicate()
    assert child.returncode == 0, said
    for name in ("final/model.safetensors", "completions.jsonl"):
        assert (folder / "run" / name).read_bytes() == (whole / name).read_bytes()


def test_killed_and_resumed_they_come_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    signalled(tmp_path, signal.SIGKILL, "01")
    assert_goes_on_to(whole, tmp_path)


@pytest.mark.slow
def test_all_stop_and_save_when_one_is_asked_to(whole: Path, tmp_path: Path) -> None:
    said = signalled(tmp_path, signal.SIGTERM, "1")
    assert said.count("error:") == said.count("stopped; go on with") == 1
    done = rows(tmp_path / "run/metrics.jsonl")[-1]["step"]
    assert (tmp_path / f"run/checkpoints/checkpoint-{done:g}").exists()
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "interrupted"
    assert_goes_on_to(whole, tmp_path)


@pytest.mark.slow
def test_the_death_of_one_is_a_line_of_another(whole: Path, tmp_path: Path) -> None:
    said = signalled(tmp_path, signal.SIGKILL, "1")
    assert said.count("error: another process was killed") == 1
    assert "RuntimeError" not in said
    assert_goes_on_to(whole, tmp_path)


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    child = launched(tmp_path, "--run-dir", "run", *SMALL, "--prompts-per-step", 3)
    said, _ = child.communicate()
    assert said.count("error:") == 1
    assert "try 4" in said
    assert "exitcode  : 2" in said
    assert not list(tmp_path.iterdir())


def test_what_fails_in_one_process_ends_all_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "def broken(group):\n"
        "    assert os.environ['RANK'] == '0', 'no idea'\n"
        "    return [0.0] * len(group.completions)\n"
    )
    argv = ("--reward", "mine.py:broken=1", "--reward", "answer=1")
    child = launched(tmp_path, "--run-dir", "run", *SMALL, *argv, "--steps", 20)
    said, _ = child.communicate()
    assert said.count("error:") == 1
    assert "no idea" in said
    assert "RuntimeError" not in said
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"


def test_a_run_goes_on_in_as_many_processes(
    reasonkit: Callable, whole: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "config.yaml").write_bytes((whole / "config.yaml").read_bytes())
    record = (whole / "run.json").read_text().replace("finished", "interrupted")
    (cut / "run.json").write_text(record)
    ended = reasonkit("grpo", "--run-dir", cut, "--resume")
    assert ended.code == 2
    assert "begun by 2" in ended.err


def test_other_commands_say_that_they_run_alone() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "reasonkit", "vote"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.stderr.count("error:") == 1
    assert "only grpo" in ended.stderr


@given(st.lists(st.integers()), st.integers(1, 9))
def test_shares_are_the_whole_in_its_order(items: list[int], size: int) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WORLD_SIZE", str(size))
        shared = []
        for rank in range(size):
            environment.setenv("RANK", str(rank))
            shared.append(processes.share(items))
    assert [item for part in shared for item in part] == items
    assert max(map(len, shared)) - min(map(len, shared)) <= 1
