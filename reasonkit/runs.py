"""Run directories: everything that is known about a run, in files that survive a ``kill -9``.

A directory is a run once it holds ``run.json``. Whole files are written aside and renamed, so a
reader sees the old or the new one; the two append-only logs may end in a torn line, which readers
skip and `Run.truncate_after` removes. Leaves out moving, merging and deleting runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import IO, Any, Literal

import psutil  # type: ignore[import-untyped]
import yaml

from reasonkit import console, processes
from reasonkit.errors import RefusedError
from reasonkit.files import beside, read_records, to_line, write_atomically, write_json
from reasonkit.interruption import handled
from reasonkit.provenance import git_commit, hardware, process, versions

Status = Literal["running", "finished", "failed", "interrupted"]

RUNS = Path("runs")
"""Where runs are made that were given no directory."""

KEEP_ALL_BYTES = 16 * 2**20
KEEP_SOME_BYTES = 64 * 2**20
EVERY = 10
"""``completions.jsonl`` takes every step up to the first size, then each tenth, then none."""


_watching: list[Callable[[Run, dict[str, Any]], object]] = []


@contextmanager
def watched(watch: Callable[[Run, dict[str, Any]], object] | None) -> Iterator[None]:
    """Calls a function, if any, with every run of this process and each step that it logs."""
    _watching[:] = [watch] if watch else []
    try:
        yield
    finally:
        _watching.clear()


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory.

    Attributes:
        leads: whether this process writes it; where another does, methods that write do nothing.
    """

    path: Path
    leads: bool = True
    _lock: IO[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def config(self) -> dict[str, Any]:
        """The settings, fully resolved, as ``config.yaml`` holds them."""
        return dict(yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8")))

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` says now."""
        return dict(json.loads((self.path / "run.json").read_text(encoding="utf-8")))

    @property
    def status(self) -> Status:
        """``run.json``'s status; ``interrupted`` where its process died without a word."""
        return _status(self.record)

    @property
    def names(self) -> dict[str, str]:
        """Of command, model and task, as ``run.json`` has them."""
        return {name: str(self.record[name]) for name in ("command", "model", "task")}

    @property
    def evaluations(self) -> Path:
        """Folder of the per-example verdicts."""
        return self.path / "evaluations"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def stages(self) -> Path:
        """Folder of the runs that a recipe in stages is made of, by the name of the stage."""
        return self.path / "stages"

    @property
    def final(self) -> Path:
        """Folder of the finished model."""
        return self.path / "final"

    def summary(self) -> dict[str, Any]:
        """What ``summary.json`` of a finished run says."""
        return dict(json.loads((self.path / "summary.json").read_text(encoding="utf-8")))

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The records of ``metrics.jsonl``, torn lines skipped."""
        return read_records(self.path / "metrics.jsonl")

    def completions(self) -> Iterator[dict[str, Any]]:
        """The records of ``completions.jsonl``, torn lines skipped."""
        return read_records(self.path / "completions.jsonl")

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Adds one logged step; ``record`` holds its number under ``step``."""
        if self.leads:
            with (self.path / "metrics.jsonl").open("ab") as file:
                file.write(to_line(record))
            for watch in _watching:
                watch(self, record)

    def append_completions(self, records: Iterable[dict[str, Any]]) -> None:
        """Adds sampled completions, each with its ``step``, within the bounds of this module.

        Which steps are kept depends on the file's size and the step alone, so that a resumed run
        keeps the same ones.
        """
        if not self.leads:
            return
        with (self.path / "completions.jsonl").open("ab") as file:
            size = file.tell()
            for record in records:
                line = to_line(record)
                wanted = size < KEEP_ALL_BYTES or record["step"] % EVERY == 0
                if wanted and size + len(line) <= KEEP_SOME_BYTES:
                    file.write(line)
                    size += len(line)

    def truncate_after(self, step: int) -> None:
        """Drops every logged record of a later step, and torn lines; -1 drops all."""
        for name in ("metrics.jsonl", "completions.jsonl"):
            path = self.path / name
            if self.leads and path.exists():
                kept = (record for record in read_records(path) if record["step"] <= step)
                write_atomically(path, b"".join(map(to_line, kept)))

    def write_config(self, config: dict[str, Any]) -> None:
        """Writes ``config.yaml``: the settings, fully resolved, plain values only."""
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        if self.leads:
            write_atomically(self.path / "config.yaml", text.encode())

    def write_json(self, name: str, value: object) -> None:
        """Writes a file of the run, as the function of this name does."""
        if self.leads:
            write_json(self.path / name, value)

    def update(self, **fields: Any) -> None:
        """Sets fields of ``run.json``."""
        self.write_json("run.json", {**self.record, **fields})

    def mark(self, status: Status) -> None:
        """Sets the status. Any but ``running`` ends the run and lets go of its lock."""
        if status == "running":
            self.update(status=status, ended=None, **process())
            return
        # A launcher stops the processes beside one that failed while they write down the same.
        with handled(signal.SIG_IGN):
            self.update(status=status, ended=_now(), hardware=hardware())
        if self._lock is not None:
            self._lock.close()


def create(
    command: str,
    model: str,
    task: str,
    config: dict[str, Any],
    run_dir: Path | None,
    argv: Sequence[str],
    data: str | None = None,
) -> Run:
    """Makes a run directory and holds its lock.

    Args:
        config: fully resolved; plain values only, as YAML knows them.
        run_dir: a fresh directory under `RUNS`, named after time and arguments, if None.
        data: a hash of the data that the run is made from.

    Raises:
        RefusedError: the directory isn't empty or can't be made. Nothing is left behind.
    """
    path = run_dir or fresh(command, model, task)
    record = {
        "command": command,
        "model": model,
        "task": task,
        "argv": list(argv),
        "versions": versions(),
        "git_commit": git_commit(),
        "data": data,
        "hardware": hardware(),
        "seeds": {name: value for name, value in config.items() if "seed" in name},
        "status": "running",
        "started": _now(),
        "ended": None,
        **process(),
        "processes": processes.size(),
        "seconds": {},
        "tokens": {},
    }
    require_free(path)
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        made = Run(path, _lock=_lock(path))
        made.write_config(config)
        write_json(path / "run.json", record)
    except OSError as error:
        with suppress(OSError):
            for name in (".lock", "config.yaml"):
                (path / name).unlink(missing_ok=True)
            for folder in missing:
                folder.rmdir()
        raise _cannot_make(path, error) from None
    return made


def require_free(run_dir: Path | None) -> None:
    """Refuses, before any work is done, what `create` would refuse.

    Raises:
        RefusedError: the directory isn't empty, or can't be made.
    """
    path = run_dir or RUNS
    if run_dir is not None and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RefusedError(
            f"{path} isn't empty: pass --resume to go on with it, or another --run-dir"
        )
    folders = (path.absolute(), *path.absolute().parents)
    nearest = next(folder for folder in folders if folder.exists())
    try:
        # Root passes every permission check, on a file system that takes no new folders too.
        os.rmdir(tempfile.mkdtemp(prefix=".reasonkit-", dir=nearest))
    except OSError as error:
        raise _cannot_make(path, error) from None


def _cannot_make(path: Path, e: OSError) -> RefusedError:
    return RefusedError(f"{path} can't be made ({e.strerror}): pass another --run-dir")


def open_run(path: Path, command: str | None = None) -> Run:
    """A run to read from.

    Args:
        command: that it has to be of, if any.

    Raises:
        RefusedError: ``path`` isn't a run directory, is one of another command, or its
            ``run.json`` or ``config.yaml`` is broken.
    """
    run = Run(path)
    try:
        record, _ = run.record, run.config
        readable = {"command", "status", *process()} <= record.keys()
    except FileNotFoundError:
        hint = f"`reasonkit runs` lists those under {RUNS}/"
        raise RefusedError(f"{path} isn't a run directory{beside(path)}: {hint}") from None
    except OSError as error:
        raise RefusedError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, TypeError, yaml.YAMLError):
        readable = False
    if not readable:
        raise RefusedError(f"{path} can't be read: its run.json or config.yaml is broken")
    if command not in (None, record["command"]):
        raise RefusedError(f"{path} is a run of `reasonkit {record['command']}`, not of {command}")
    return run


def resume(path: Path) -> Run:
    """A run to go on with: locked and marked as running.

    Raises:
        RefusedError: as `open_run`, or another process is working on it.
    """
    begun_by = open_run(path).record.get("processes", 1)
    try:
        run = Run(path, _lock=_lock(path))
        run.mark("running")
        if begun_by != processes.size():
            console.note(
                f"{path} goes on in {processes.size()} process(es), not {begun_by}: to an "
                "equivalent run, not to the same bytes"
            )
            run.update(processes=processes.size())
    except OSError as error:
        raise RefusedError(f"can't write to the run directory {path} ({error.strerror})") from None
    return run


def fresh(*words: str) -> Path:
    """A directory under `RUNS` that isn't there, named after the time and words.

    Args:
        words: of which the last part of paths, hub ids and names stays.
    """
    words = (f"{datetime.now():%Y%m%d-%H%M%S}", *words)
    last = (word.replace("\\", "/").rstrip("/").rpartition("/")[2].lower() for word in words)
    slugs = (re.sub(r"[^a-z0-9.]+", "-", word).strip("-.")[:40] for word in last)
    name = "-".join(slug or "x" for slug in slugs)
    names = chain((name,), (f"{name}-{number}" for number in count(2)))
    return next(path for path in map(RUNS.joinpath, names) if not path.exists())


def _lock(path: Path) -> IO[bytes]:
    file = (path / ".lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise RefusedError(
            f"another process is working on {path}: wait for it or stop it first"
        ) from None
    return file


def _status(record: dict[str, Any]) -> Status:
    status: Status = record["status"]
    if status != "running" or record["host"] != socket.gethostname():
        return status
    try:
        started = psutil.Process(record["pid"]).create_time()
    except psutil.Error:
        return "interrupted"
    # A process id is used again, after a restart of the machine above all; the clock may be set.
    return "running" if abs(started - record["process_started"]) < 2 else "interrupted"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
