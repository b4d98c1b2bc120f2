"""Checkpoints are whole or absent, whatever interrupts their making."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reasonkit.training import checkpoints


def make(folder: Path, step: int, content: bytes = b"weights") -> Path:
    target = folder / f"checkpoint-{step}"
    staging = checkpoints.staging(target)
    (staging / "model.safetensors").write_bytes(content)
    (staging / "inner").mkdir()
    (staging / "inner" / "state.json").write_text("{}")
    checkpoints.publish(staging, target)
    return target


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_published_checkpoint_verifies_and_its_staging_is_gone(tmp_path: Path) -> None:
    made = make(tmp_path, 10)
    assert checkpoints.verify(made)
    assert names(tmp_path) == ["checkpoint-10"]


def test_the_latest_is_the_highest_number_and_not_the_last_in_the_alphabet(tmp_path: Path) -> None:
    make(tmp_path, 9)
    make(tmp_path, 100)
    (tmp_path / "checkpoint-best").mkdir()
    latest = checkpoints.latest(tmp_path)
    assert latest == tmp_path / "checkpoint-100"
    assert checkpoints.step_of(latest) == 100


def test_there_is_no_latest_in_an_empty_or_missing_folder(tmp_path: Path) -> None:
    assert checkpoints.latest(tmp_path) is None
    assert checkpoints.latest(tmp_path / "missing") is None


def test_a_flipped_byte_is_detected_and_the_former_checkpoint_taken(tmp_path: Path) -> None:
    make(tmp_path, 1)
    weights = make(tmp_path, 2) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[3] ^= 1
    weights.write_bytes(content)
    assert not checkpoints.verify(tmp_path / "checkpoint-2")
    assert checkpoints.latest(tmp_path) == tmp_path / "checkpoint-1"


@pytest.mark.parametrize("damage", ["missing", "extra", "cut", "no manifest", "odd manifest"])
def test_a_checkpoint_that_is_not_as_it_was_written_does_not_verify(
    tmp_path: Path, damage: str
) -> None:
    made = make(tmp_path, 1)
    if damage == "missing":
        (made / "inner" / "state.json").unlink()
    elif damage == "extra":
        (made / "optimizer.pt").write_bytes(b"pickle")
    elif damage == "cut":
        (made / "model.safetensors").write_bytes(b"wei")
    elif damage == "no manifest":
        (made / checkpoints.MANIFEST).unlink()
    else:
        (made / checkpoints.MANIFEST).write_text('{"files": [1]}')
    assert not checkpoints.verify(made)


def test_publishing_replaces_an_older_checkpoint_of_the_same_step(tmp_path: Path) -> None:
    make(tmp_path, 1, b"broken")
    made = make(tmp_path, 1, b"good")
    assert (made / "model.safetensors").read_bytes() == b"good"
    assert checkpoints.verify(made)
    assert names(tmp_path) == ["checkpoint-1"]


def test_pruning_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    made = [make(tmp_path, step) for step in (5, 10, 15, 20)]
    checkpoints.prune(tmp_path, keep=2, best=made[0])
    assert names(tmp_path) == ["checkpoint-15", "checkpoint-20", "checkpoint-5"]
    checkpoints.prune(tmp_path, keep=1)
    assert names(tmp_path) == ["checkpoint-20"]


KILLED_WHILE_PUBLISHING = """
import os, sys, time
from pathlib import Path
from reasonkit.training import checkpoints

folder, victim = Path(sys.argv[1]), sys.argv[2]
def hang(*arguments):
    print("reached", flush=True)
    time.sleep(60)
setattr(os, victim, hang)
target = folder / "checkpoint-2"
staging = checkpoints.staging(target)
(staging / "model.safetensors").write_bytes(b"new")
checkpoints.publish(staging, target)
"""


@pytest.mark.parametrize("reached", ["fsync", "replace", "rename"])
def test_a_kill_while_publishing_leaves_the_former_checkpoint_the_latest(
    tmp_path: Path, reached: str
) -> None:
    former = make(tmp_path, 1)
    command = [sys.executable, "-c", KILLED_WHILE_PUBLISHING, str(tmp_path), reached]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reached\n"
        os.kill(process.pid, signal.SIGKILL)
    assert checkpoints.latest(tmp_path) == former
    assert ".staging-checkpoint-2" in names(tmp_path)
    assert not list(checkpoints.clean(tmp_path).iterdir())
    assert names(tmp_path) == [".staging-trainer", "checkpoint-1"]
