"""The process that runs math-verify can be killed, and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reasonkit.answers.worker import Checker
from reasonkit.errors import RunError

ENDLESS = "2^{2^{2^{49}}}"


@pytest.fixture
def checker() -> Iterator[Checker]:
    checker = Checker(time_limit=1.5)
    yield checker
    checker.close()


def _pid(checker: Checker) -> int:
    assert checker._process is not None
    return checker._process.pid


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_starts_on_first_use_only(checker: Checker) -> None:
    assert checker._process is None
    assert checker.equal("1+x", "x+1") is True
    first = _pid(checker)
    assert checker.equal("2+x", "x+1") is False
    assert _pid(checker) == first


def test_an_endless_comparison_is_killed_and_the_next_one_answered(checker: Checker) -> None:
    checker.equal("1", "1")
    first, start = _pid(checker), time.monotonic()
    assert checker.equal(ENDLESS, "5") is False
    assert time.monotonic() - start < 4
    assert not _alive(first)
    assert checker.equal("1+x", "x+1") is True


def test_a_killed_process_is_started_again(checker: Checker) -> None:
    checker.equal("1", "1")
    os.kill(_pid(checker), signal.SIGKILL)
    assert checker.equal("1+x", "x+1") is True


def test_a_comparison_cut_short_does_not_answer_the_next(checker: Checker) -> None:
    checker.time_limit = 5
    checker.equal("1", "1")

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            checker.equal(ENDLESS, "5")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [checker.equal("1+x", "x+1"), checker.equal("2", "x+1")] == [True, False]


def test_an_unreadable_reference_has_no_verdict(checker: Checker) -> None:
    assert checker.equal("1", "\\frac{1}{") is None
    assert not checker.readable("\\frac{1}{")
    assert checker.readable("\\frac{1}{x}")


def test_threads_share_it_without_mixing_replies(checker: Checker) -> None:
    checker.time_limit = 20
    checker.equal("1", "1")
    verdicts: dict[int, bool | None] = {}

    def ask(k: int) -> None:
        verdicts[k] = checker.equal(f"{k}x", f"{k - k % 2}x")

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(2, 22)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {k: k % 2 == 0 for k in range(2, 22)}


def test_a_forked_child_starts_its_own_and_leaves_ours(checker: Checker) -> None:
    checker.equal("1", "1")
    ours = _pid(checker)
    child = os.fork()
    if child == 0:
        same = checker.equal("1+x", "x+1") is True and _pid(checker) != ours
        checker.close()
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert checker.equal("1+x", "x+1") is True
    assert _pid(checker) == ours


@pytest.mark.skipif(sys.platform != "linux", reason="memory and parent death: Linux only")
def test_its_memory_is_capped(checker: Checker) -> None:
    checker.equal("1", "1")
    limits = Path(f"/proc/{_pid(checker)}/limits").read_text()
    line = next(line for line in limits.splitlines() if line.startswith("Max address space"))
    assert line.split()[3] == str(2 << 30)


@pytest.mark.skipif(sys.platform != "linux", reason="memory and parent death: Linux only")
def test_it_outlives_its_parent_by_no_more_than_its_time_limit() -> None:
    code = (
        "import threading, time\n"
        "from reasonkit.answers.worker import Checker\n"
        "checker = Checker(time_limit=2)\n"
        "checker.equal('1', '1')\n"
        "print(checker._process.pid, flush=True)\n"
        f"checker.equal({ENDLESS!r}, '5')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    assert _alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_a_process_that_cannot_start_is_tried_once_and_said_in_one_line(
    checker: Checker, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    with pytest.raises(RunError, match="didn't start") as refused:
        checker.equal("1+x", "x+1")
    assert "\n" not in str(refused.value)
    monkeypatch.undo()
    with pytest.raises(RunError):
        checker.equal("1+x", "x+1")
    assert checker._process is None
