"""The fork of a loaded process is what a process that was started would be."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

SHOWN = """
import os, sys
print(os.getcwd(), os.environ["MINE"], sys.argv[1:], sys.stdin.read(), "torch" in sys.modules)
print("to stderr", file=sys.stderr)
sys.exit(7)
"""


def test_it_has_streams_a_folder_an_environment_and_an_exit_code_of_its_own(
    launch: Callable, tmp_path: Path
) -> None:
    running = launch("-c", SHOWN, "a b", cwd=tmp_path, MINE="yes")
    ended = running.ended()
    assert ended.out == f"{tmp_path} yes ['a b']  True\n"
    assert (ended.code, ended.err) == (7, "to stderr\n")
    assert running.pid != os.getpid()
    assert "MINE" not in os.environ


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("pass", 0),
        ("raise ValueError('no')", 1),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import atexit, os; atexit.register(os._exit, 5)", 5),
    ],
)
def test_it_ends_as_a_process_ends(launch: Callable, code: str, left: int) -> None:
    ended = launch("-c", code).ended()
    assert ended.code == left
    assert ("ValueError: no" in ended.err) == (left == 1)


def test_signals_reach_it_and_what_it_starts_is_a_fork_too(
    launch: Callable, tmp_path: Path
) -> None:
    inner = "import sys, time; print('torch' in sys.modules, flush=True); time.sleep(10)"
    # Said by the one that waits: a signal is lost to Python in the midst of a fork.
    outer = f"""
import subprocess, sys
with subprocess.Popen([sys.executable, "-c", {inner!r}], stdout=subprocess.PIPE) as started:
    try:
        print(started.stdout.readline().decode(), end="", flush=True)
        started.wait()
    finally:
        started.kill()
"""
    for number, left in ((signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)):
        running = launch("-c", outer, cwd=tmp_path)
        ended = running.until(lambda running=running: running.said()).signalled(number)
        assert (ended.code, ended.out) == (left, "True\n")
