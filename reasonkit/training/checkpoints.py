"""Checkpoints that are either complete or not there, and which one a run goes on from.

A checkpoint is written into a staging folder, hashed, flushed to the disk and renamed. Whatever
interrupts that, the newest checkpoint that verifies is what ``--resume`` reads.

transformers' Trainer pickles ``optimizer.pt`` and ``rng_state.pth``, and DeepSpeed its parts. Only
checkpoints of the run that is being resumed are ever loaded, and only once `verify` has found every
file as this program wrote it; that guards against damage, not against someone who can write to the
run directory.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from safetensors import SafetensorError

from reasonkit import console, processes
from reasonkit.files import write_json
from reasonkit.runs import Run

MANIFEST = "manifest.json"
PREFIX = "checkpoint-"
STAGING = ".staging-"
DISCARDED = ".discarded-"


def taken_up(run: Run, updates_a_step: int = 1) -> Path | None:
    """The checkpoint to go on from, if any; the logs end where it was written."""
    newest = latest(run.checkpoints)
    for path in _checkpoints(run.checkpoints):
        if newest is None or step_of(path) > step_of(newest):
            console.warn(f"{path} is damaged: going on from {newest or 'the start'}")
    done = max((record["step"] for record in run.metrics()), default=0)
    kept = step_of(newest) // updates_a_step if newest else 0
    if done > kept:
        console.note(f"going on from step {kept}: {done - kept:g} step(s) after it are done again")
    run.truncate_after(step_of(newest) // updates_a_step if newest else -1)
    return newest


def clean(folder: Path) -> Path:
    """A folder for a trainer to write into, without what an earlier session left half-made."""
    for path in folder.glob(".*"):
        if path.name.startswith((STAGING, DISCARDED)):
            shutil.rmtree(path)
    return staging(folder / "trainer")


def emptied(run: Run) -> Path:
    """A `clean` folder for the trainers of all processes."""
    return processes.from_main(partial(clean, run.checkpoints))


def staging(target: Path) -> Path:
    """An empty folder beside ``target``, to write what `publish` then moves there."""
    path = target.with_name(STAGING + target.name)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """For saving weights and optimizer states.

    Raises:
        OSError: a file can't be written; safetensors and torch have errors of their own for that.
    """
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        text = str(error)
        if "os error" not in text and "PytorchStreamWriter" not in text:
            raise
        raise OSError(errno.EIO, text.splitlines()[0], str(folder)) from error


def publish(staging: Path, target: Path) -> None:
    """Turns a written folder into a checkpoint, atomically.

    Args:
        staging: on the file system of ``target``; gone afterwards.
        target: replaced if it exists.
    """
    listing = {}
    for path in _files(staging):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        listing[path.relative_to(staging).as_posix()] = _fingerprint(path)
    write_json(staging / MANIFEST, {"files": listing})
    for folder in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
        _sync_folder(folder)
    if target.exists():
        _discard(target)
    os.rename(staging, target)
    _sync_folder(target.parent)


def verify(path: Path) -> bool:
    """Whether a folder holds exactly the files of its manifest, each with its size and hash."""
    try:
        listing = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["files"]
        found = {file.relative_to(path).as_posix(): file for file in _files(path)}
        return found.keys() == listing.keys() and all(
            file.stat().st_size == listing[name]["bytes"] and _fingerprint(file) == listing[name]
            for name, file in found.items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def step_of(path: Path) -> int:
    """The step of ``checkpoint-N``."""
    return int(path.name.removeprefix(PREFIX))


def latest(folder: Path) -> Path | None:
    """The newest ``checkpoint-N`` that verifies; None if there is none."""
    return next((path for path in reversed(_checkpoints(folder)) if verify(path)), None)


def prune(folder: Path, keep: int, best: Path | None = None) -> None:
    """Deletes all but the ``keep`` (at least 1) newest checkpoints and the best one."""
    for path in _checkpoints(folder)[:-keep]:
        if best is None or path.name != best.name:
            _discard(path)


def drop_after(folder: Path, step: int) -> None:
    """Deletes the checkpoints of later steps."""
    for path in _checkpoints(folder):
        if step_of(path) > step:
            _discard(path)


def _checkpoints(folder: Path) -> list[Path]:
    """Oldest first, broken ones included."""
    found = [p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdecimal()]
    return sorted(found, key=step_of)


def _discard(path: Path) -> None:
    """Deletes a checkpoint; it stops being one before its first file goes."""
    aside = path.with_name(DISCARDED + path.name)
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(path, aside)
    shutil.rmtree(aside)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if not p.is_dir() and p != folder / MANIFEST)


def _fingerprint(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
