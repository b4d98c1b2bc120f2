"""Runs the command of a part in a process of its own, so that its time and memory are its own.

What it prints goes to a log beside its run directory. A part that is finished is taken as it is if
the hash of its settings and inputs is the same; one that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import yaml

from reasonkit import runs
from reasonkit.comparison.planning import Job
from reasonkit.errors import RunError
from reasonkit.files import write_atomically, write_json

EVERY = 0.2
"""Seconds between two looks at a part."""

KIBIBYTES = 1 if sys.platform == "darwin" else 1024
"""Bytes of a unit of ``ru_maxrss``."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where the parts of a comparison are made.

    Attributes:
        path: the folder that holds their run directories.
    """

    path: Path

    def run_of(self, name: str) -> Path:
        """The run directory of a job."""
        return self.path / name

    def record(self, name: str) -> dict[str, Any]:
        """What is known of how a job was run: its key, its process, its peak memory."""
        path = self.path / f"{name}.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def log(self, name: str) -> Path:
        """Where its output goes."""
        return self.path / f"{name}.log"

    def carry_out(
        self, job: Job, settings: Mapping[str, Any], key: str, show: Callable[[str], None]
    ) -> bool:
        """Makes sure that a job is finished.

        Args:
            settings: of its command, complete.
            key: the hash that they stand under.
            show: called with the latest line of its output, now and then.

        Returns:
            Whether anything had to be done.

        Raises:
            RunError: it failed.
        """
        path, record = self.run_of(job.name), self.record(job.name)
        _stop_left_over(record)
        if record.get("key") != key or not (path / "run.json").exists():
            shutil.rmtree(path, ignore_errors=True)
            self.log(job.name).unlink(missing_ok=True)
            record = {"key": key, "peak_memory_bytes": 0}
        elif runs.open_run(path).status == "finished":
            return False
        argv = [job.part.command, "--run-dir", str(path)]
        if path.exists():
            argv.append("--resume")
        else:
            written = self.path / f"{job.name}.yaml"
            text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
            write_atomically(written, text.encode())
            argv += ["--config", str(written)]
        self._run(job.name, argv, record, show)
        return True

    def _run(
        self, name: str, argv: list[str], record: dict[str, Any], show: Callable[[str], None]
    ) -> None:
        with self.log(name).open("ab") as log:
            # In a session of its own a Ctrl-C reaches it once, from here. Without -P the folder
            # that one happens to be in would come before the installed package.
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "reasonkit", *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began = psutil.Process(child.pid).create_time()
        write_json(self.path / f"{name}.json", {**record, "pid": child.pid, "began": began})
        try:
            peak = self._watch(child, name, show)
        finally:
            if child.returncode is None:
                child.terminate()
                child.wait()
        peak = max(peak, record["peak_memory_bytes"])
        write_json(self.path / f"{name}.json", {**record, "peak_memory_bytes": peak})
        if child.returncode:
            raise RunError(f"{name}: {last_line(self.log(name))} (all of it: {self.log(name)})")

    def _watch(self, child: subprocess.Popen[bytes], name: str, show: Callable[[str], None]) -> int:
        """Waits for the end; peak memory of the process in bytes."""
        while True:
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
            if ended:
                child.returncode = os.waitstatus_to_exitcode(status)
                return usage.ru_maxrss * KIBIBYTES
            show(last_line(self.log(name)))
            time.sleep(EVERY)


def last_line(path: Path) -> str:
    """The last line of a log that says anything; empty where there is none."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith("error:")]
    return (errors or said or [""])[-1]


def _stop_left_over(record: Mapping[str, Any]) -> None:
    """Stops what a comparison that was killed has left running, so that one process goes on."""
    if "pid" not in record:
        return
    try:
        process = psutil.Process(record["pid"])
        # A process id is used again; the clock may be set.
        if abs(process.create_time() - record["began"]) < 2:
            process.terminate()
            process.wait(60)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        raise RunError(f"process {record['pid']} still works on this part: stop it first") from None
