"""The zygote: when it is started, how it dies, and that it may be shared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil

from reasonkit.sandbox import run_tests
from reasonkit.sandbox.inside.layers import ORDER
from reasonkit.sandbox.launcher import Launcher

CODE = "def double(n):\n    return 2 * n\n"


def doubles(number: int = 4) -> bool:
    tests = [{"input": [number], "output": 2 * number}]
    return run_tests(CODE, tests, entry_point="double").passed


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def test_many_threads_share_it() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(doubles, range(200)))


def test_a_hostile_neighbour_changes_no_verdict() -> None:
    hostile = "import threading\nwhile True:\n    threading.Thread(target=list).start()"
    with ThreadPoolExecutor(3) as pool:
        neighbours = [pool.submit(run_tests, hostile, "assert f()", timeout=1) for _ in range(2)]
        assert all(pool.map(doubles, range(20)))
        assert not any(neighbour.result().passed for neighbour in neighbours)


def test_it_starts_again_after_it_was_killed(launcher: Launcher) -> None:
    assert doubles()
    zygote = launcher._zygote
    assert zygote is not None
    zygote.kill()
    zygote.wait()
    assert doubles()
    assert launcher._zygote is not zygote


def test_a_run_whose_zygote_is_killed_is_done_again(launcher: Launcher) -> None:
    assert doubles()
    first = launcher._zygote
    assert first is not None
    threading.Timer(0.3, first.kill).start()
    code = "import time\ndef double(n):\n    time.sleep(0.6)\n    return 2 * n\n"
    assert run_tests(code, [{"input": [2], "output": 4}], entry_point="double").passed


def test_a_forked_child_has_its_own(launcher: Launcher) -> None:
    assert doubles()
    parents = launcher._zygote
    child = os.fork()
    if not child:
        status = 1
        try:
            if launcher._zygote is None and doubles() and doubles():
                status = 0
                launcher.close()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert launcher._zygote is parents
    assert doubles()


def test_nothing_outlives_a_killed_parent() -> None:
    script = (
        "import threading, time\n"
        "from reasonkit.sandbox import judge, run_tests\n"
        "from reasonkit.sandbox.launcher import Launcher\n"
        f"judge.LAUNCHER = Launcher({ORDER!r})\n"
        "loop = 'while True: pass'\n"
        "for _ in range(2):\n"
        "    threading.Thread(target=run_tests, args=[loop, 'assert f()'],"
        " kwargs={'timeout': 60}).start()\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        # Zygote (and the first process of its namespace), and two processes for each run.
        assert eventually(lambda: len(below(parent.pid)) >= 5, 30)
        family = below(parent.pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert eventually(lambda: not any(p.is_running() and p.status() != "zombie" for p in family))


def test_the_zygote_outlives_the_thread_that_started_it(launcher: Launcher) -> None:
    launcher.close()
    thread = threading.Thread(target=doubles)
    thread.start()
    thread.join()
    zygote = launcher._zygote
    assert doubles()
    assert launcher._zygote is zygote


def test_the_layers_are_found_by_trying(launcher: Launcher) -> None:
    assert launcher.layers == tuple(layer for layer in ORDER if layer in launcher.layers)
    assert "rlimits" in launcher.layers
