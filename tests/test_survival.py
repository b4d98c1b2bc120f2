"""What a run survives: kills at any moment, signals, a full disk, damage to its files."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TRAINING = (
    "grpo", "--steps", "6", "--group-size", "4", "--prompts-per-step", "4",
    "--max-completion-tokens", "24", "--test-size", "8", "--validation-size", "4",
    "--validate-every", "2", "--save-every", "2", "--no-baselines", "--device", "cpu",
)  # fmt: skip
DISTILLING = (
    "distill", "--teacher", "abacus", "--keep", "answer=0", "--questions", "400", "--epochs", "4",
    "--batch-tokens", "2048", "--max-completion-tokens", "48", "--test-size", "8",
    "--validation-size", "4", "--save-every", "3", "--no-baselines", "--device", "cpu",
)  # fmt: skip
VOTING = (
    "vote", "--n", "8", "--strategy", "adaptive", "--also", "majority", "--test-size", "120",
    "--device", "cpu",
)  # fmt: skip
IN_STAGES = (
    "sft-rl", "--test-size", "8", "--validation-size", "4", "--no-baselines", "--device", "cpu",
    "--set", "cold-start.questions=200", "--set", "rejection.questions=100",
    "--set", "steps=3", "--set", "epochs=1", "--set", "validate_every=2", "--set", "save_every=1",
    "--set", "prompts_per_step=4",
)  # fmt: skip
COMMAND = (
    sys.executable,
    "-c",
    "import sys; from reasonkit.cli import main; sys.argv[0] = 'reasonkit'; main()",
)
VOLATILE = ("seconds", "memory", "per_second", "pid", "process", "started", "ended", "argv")
"""Times, memory, throughput and process ids; what is left has to be the same."""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lasting(value: object) -> object:
    """A record without what differs between two runs of the same thing."""
    if isinstance(value, dict):
        return {
            key: lasting(inner)
            for key, inner in value.items()
            if not any(word in key for word in VOLATILE)
        }
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def text(path: Path, run: Path) -> str:
    """A file of a run, but for the name of the run, which may be where a model is from."""
    return path.read_text().replace(f"{run.name}/", "RUN/")


def left_by(run: Path) -> dict[str, object]:
    """What a finished run holds, by file name."""
    held: dict[str, object] = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.suffix == ".safetensors" and path.parent.name == "final":
            held[name] = path.read_bytes()
        elif path.suffix == ".jsonl":
            held[name] = [lasting(json.loads(line)) for line in text(path, run).splitlines()]
        elif path.name in ("summary.json", "ballots.json") or path.parent.name == "evaluations":
            held[name] = lasting(json.loads(text(path, run)))
    return held


def started(*argv: str, **options: object) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *argv], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, **options
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [TRAINING, DISTILLING, VOTING, IN_STAGES], ids=lambda command: command[0]
)
def test_a_run_killed_at_any_moment_resumes_to_the_same_files(
    reasonkit: Callable, tmp_path: Path, command: tuple[str, ...]
) -> None:
    began = time.monotonic()
    child = started(*command, "--run-dir", "whole")
    assert child.wait() == 0
    took = time.monotonic() - began
    rng = random.Random(0)
    for trial in range(20):
        run = tmp_path / f"killed-{trial}"
        child = started(*command, "--run-dir", run.name)
        time.sleep(rng.uniform(0.2, 1) * took)
        child.kill()
        child.communicate()
        if not (run / "run.json").exists():
            assert not run.exists() or not (run / "config.yaml").exists()
            continue
        while reasonkit(command[0], "--run-dir", run.name, "--resume").code != 0:
            pytest.fail(f"trial {trial} can't be resumed")
        assert left_by(run) == left_by(tmp_path / "whole"), f"trial {trial}"


def test_a_cluster_that_asks_a_run_to_stop_gets_a_checkpoint(tmp_path: Path) -> None:
    child = started(*TRAINING, "--steps", "200", "--save-every", "0", "--run-dir", "run")
    metrics = tmp_path / "run/metrics.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and not (
        metrics.exists() and len(metrics.read_bytes().splitlines()) > 2
    ):
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert b"--resume" in said
    assert b"Traceback" not in said
    done = json.loads(metrics.read_text().splitlines()[-1])["step"]
    assert (tmp_path / f"run/checkpoints/checkpoint-{done:g}").exists()


def test_a_full_disk_is_one_line_and_what_was_written_stays(
    reasonkit: Callable, tmp_path: Path
) -> None:
    # No file may exceed a size between that of the logs and that of the weights.
    limit = 300_000

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    child = started(*TRAINING, "--run-dir", "run", preexec_fn=no_room)
    _, said = child.communicate(timeout=120)
    last = said.decode().strip().splitlines()[-1]
    assert child.returncode == 1, said
    assert last.startswith("error:")
    assert "--resume" in last
    assert "Traceback" not in said.decode()
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"
    assert (tmp_path / "run/evaluations/before.json").exists()
    assert reasonkit("grpo", "--run-dir", "run", "--resume").code == 0


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    reasonkit: Callable, tmp_path: Path
) -> None:
    assert reasonkit(*TRAINING, "--run-dir", "whole").code == 0
    assert reasonkit(*TRAINING, "--run-dir", "cut").code == 0
    cut = tmp_path / "cut"
    for name in ("summary.json", "final"):
        (cut / name).rename(tmp_path / f"gone-{name}")
    (cut / "evaluations/after.json").unlink()
    (cut / "run.json").write_text((cut / "run.json").read_text().replace("finished", "interrupted"))
    weights = next((cut / "checkpoints/checkpoint-6").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    resumed = reasonkit("grpo", "--run-dir", "cut", "--resume")
    assert resumed.code == 0, resumed.err
    assert "checkpoint-6 is damaged" in resumed.err
    assert "checkpoint-4" in resumed.err
    assert left_by(cut) == left_by(tmp_path / "whole")
