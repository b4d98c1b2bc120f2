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
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import yaml

from reasonkit import runs
from reasonkit.errors import RunError
from reasonkit.files import write_atomically, write_json
from reasonkit.processes import KIBIBYTE

EVERY = 0.2
"""Seconds between two looks at a part."""


def carry_out(
    path: Path, command: str, settings: Mapping[str, Any], key: str, show: Callable[[str], None]
) -> tuple[bool, int]:
    """Makes sure that a part is finished.

    Args:
        path: its run directory; settings, log and a record of the process stand beside it.
        settings: of its command, complete.
        key: the hash that they stand under.
        show: called with the latest line of its output, now and then.

    Returns:
        Whether anything had to be done, and the peak memory of its process in bytes.

    Raises:
        RunError: it failed.
    """
    beside, log = _beside(path, "json"), _beside(path, "log")
    record = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    _stop_left_over(record)
    if record.get("key") != key or not (path / "run.json").exists():
        shutil.rmtree(path, ignore_errors=True)
        log.unlink(missing_ok=True)
        record = {"key": key, "peak_memory_bytes": 0}
        text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
        write_atomically(_beside(path, "yaml"), text.encode())
    elif runs.open_run(path).status == "finished":
        return False, record["peak_memory_bytes"]
    goes_on = ["--resume"] if path.exists() else ["--config", str(_beside(path, "yaml"))]
    with log.open("ab") as file:
        # In a session of its own a Ctrl-C reaches it once, from here. Without -P the folder that
        # one happens to be in would come before the installed package.
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "reasonkit", command, "--run-dir", str(path), *goes_on],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    began = psutil.Process(child.pid).create_time()
    write_json(beside, {**record, "pid": child.pid, "began": began})
    try:
        peak = max(record["peak_memory_bytes"], _watch(child, lambda: show(last_line(log))))
    finally:
        if child.returncode is None:
            child.terminate()
            child.wait()
    write_json(beside, {**record, "peak_memory_bytes": peak})
    if child.returncode:
        raise RunError(f"{path.name}: {last_line(log)} (all of it: {log})")
    return True, peak


def _beside(path: Path, ending: str) -> Path:
    return path.parent / f"{path.name}.{ending}"


def _watch(child: subprocess.Popen[bytes], look: Callable[[], None]) -> int:
    """Waits for the end; peak memory of the process in bytes."""
    while True:
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        if ended:
            child.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_maxrss * KIBIBYTE
        look()
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
