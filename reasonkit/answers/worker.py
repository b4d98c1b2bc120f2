r"""math-verify in a process of its own, which can be killed.

sympy has no time limit that holds (``2^{2^{2^{49}}}`` never returns) and can eat all memory, so it
runs here, under a memory cap: ``python -m reasonkit.answers.worker`` reads one JSON request a line
and writes one JSON reply a line. Formulas are parsed as LaTeX only: math-verify's other parsers end
in sympy's ``parse_expr``, which evaluates Python, and a model's words are never evaluated.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from reasonkit.errors import RunError

TIME_LIMIT = 3.0
"""Seconds that one comparison may take."""

START_LIMIT = 120.0
"""Seconds that the process may take to import sympy, on a busy machine."""

MEMORY_LIMIT = 2 << 30
"""Bytes of address space."""


class Checker:
    """A process that compares formulas, started on first use and again after it had to be killed.

    Where it can't be started, that is tried once only. May be shared between threads; a forked
    child starts a process of its own.
    """

    def __init__(self, time_limit: float = TIME_LIMIT) -> None:
        self.time_limit = time_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._broken = ""
        self._lock = threading.Lock()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._forget)

    def equal(self, candidate: str, reference: str) -> bool | None:
        """Whether two LaTeX formulas are equal; False past the time limit.

        Returns:
            None where the reference can't be read.

        Raises:
            RunError: the process can't be started.
        """
        verdict = self._ask({"reference": reference, "candidate": candidate})
        return None if verdict == "unreadable" else verdict == "equal"

    def readable(self, reference: str) -> bool:
        """Whether a LaTeX formula has a value that others can be compared with.

        Raises:
            RunError: the process can't be started.
        """
        return self._ask({"reference": reference}) == "readable"

    def close(self) -> None:
        """Ends the process; the next comparison starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _let_go(process)

    def _ask(self, request: dict[str, Any]) -> str | None:
        """The reply, None for one that took too long or ended the process twice."""
        line = json.dumps({**request, "seconds": self.time_limit}).encode() + b"\n"
        with self._lock:
            for _ in range(2):
                process = self._started()
                try:
                    if reply := _reply(process, line):
                        return str(json.loads(reply))
                    self.close()
                except BaseException:
                    # An interrupt between question and reply would leave the reply to the next.
                    self.close()
                    raise
                if process.returncode == -signal.SIGALRM:
                    break
        return None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        if self._broken:
            raise RunError(self._broken)
        self.close()
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-P", "-m", "reasonkit.answers.worker"]
        try:
            self._process = process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
            said = (
                "" if _reply(process) else f"`python {' '.join(command[2:])} </dev/null` shows why"
            )
        except (OSError, ValueError) as error:
            said = str(error)
        if said:
            self.close()
            self._broken = f"the process that compares formulas didn't start: {said}"
            raise RunError(self._broken)
        return process

    def _forget(self) -> None:
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None:
            _let_go(process)


def _reply(process: subprocess.Popen[bytes], line: bytes = b"") -> bytes:
    """The line that the process writes; empty where it ends, as it does when its time is up."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(line)
    return process.stdout.readline()


def _let_go(process: subprocess.Popen[bytes]) -> None:
    for pipe in filter(None, (process.stdin, process.stdout)):
        pipe.close()


def main() -> None:
    """Answers requests until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The kernel ends the process at this signal, whatever sympy is at and whoever still listens.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, START_LIMIT)
    # A library that prints must not be taken for a reply.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import Basic, I, Set, expand_complex, simplify

    # Units are off: math-verify would take the t of 2+3t for one. Boxes are open already.
    default = LatexExtractionConfig()
    normal = dataclasses.replace(default.normalization_config, units=False, boxed="none")
    config = dataclasses.replace(default, normalization_config=normal)

    def imaginary(part: Any) -> Any:
        units = [symbol for symbol in part.free_symbols if symbol.name == "i"]
        return part.subs(dict.fromkeys(units, I)).doit() if units else part

    def same_number(*pair: Any) -> bool:
        complex_ = any(isinstance(part, Basic) and part.has(I) for part in pair)
        numbers = complex_ and all(getattr(part, "is_number", False) for part in pair)
        return numbers and bool(simplify(expand_complex(pair[0] - pair[1])) == 0)

    @functools.lru_cache(maxsize=4096)
    def value(formula: str) -> list[Any]:
        # The limits of math-verify itself are off: they can't interrupt sympy, the signal can.
        parsed = parse(
            f"${formula}$",
            extraction_config=[config],
            fallback_mode="no_fallback",
            parsing_timeout=None,
        )
        parsed = [part.doit() if isinstance(part, Set) else part for part in parsed]
        return [imaginary(part) if isinstance(part, Basic) else part for part in parsed]

    def verdict(request: dict[str, Any]) -> str:
        reference = value(request["reference"])
        if not reference:
            return "unreadable"
        if "candidate" not in request:
            return "readable"
        candidate = value(request["candidate"])
        # math-verify is asymmetric: the reference goes first.
        same = len(candidate) == 1 and verify(
            reference, candidate, timeout_seconds=None, allow_set_relation_comp=True
        )
        if not same and len(candidate) == len(reference) == 1:
            same = same_number(reference[0], candidate[0])
        return "equal" if same else "different"

    signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps("ready"), file=replies)
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
        try:
            reply = verdict(request)
        except (Exception, MemoryError):
            reply = "different" if "candidate" in request else "unreadable"
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(reply), file=replies)


if __name__ == "__main__":
    main()
