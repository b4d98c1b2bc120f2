"""Calls rewards in a process of their own, which an attack may end, hang or spoil.

A process that had to be killed, or whose built-ins were replaced, is started again for the next
call.
"""

from __future__ import annotations

import builtins
import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Literal

from reasonkit.errors import RunError
from reasonkit.rewards import Reward, parse
from reasonkit.rewards.guard import checked
from reasonkit.types import Group

START_LIMIT = 120.0
"""Seconds that the process may take to start, on a busy machine."""

LONGEST = 60
"""Characters that are kept of an error."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one call.

    Attributes:
        values: one a completion; None where the call failed.
        said: of a failure, in one line.
        changed_group: whether the group, or the example in it, is not what it was.
        changed_python: whether a built-in function was replaced.
    """

    values: list[float | None] | None
    failure: Literal["raised", "returned", "late", "ended"] | None = None
    said: str = ""
    seconds: float = 0.0
    changed_group: bool = False
    changed_python: bool = False


class Calls:
    """The process with the rewards; a context manager. The time limit is in seconds a call."""

    def __init__(self, specs: Sequence[str], time_limit: float) -> None:
        self.specs = list(specs)
        self.time_limit = time_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def score(self, reward: int, group: Group) -> Reply:
        """Calls the reward at this place in ``specs``.

        Raises:
            RunError: the process can't be started.
        """
        pipe = self._started()
        start = time.monotonic()
        reply = None
        try:
            pipe.send((reward, group))
            if pipe.poll(self.time_limit):
                reply = pipe.recv()
                assert isinstance(reply, Reply)
            else:
                reply = Reply(None, "late", "hangs", time.monotonic() - start)
        except (EOFError, ConnectionError):
            reply = Reply(None, "ended", "ends the process", time.monotonic() - start)
        finally:
            if reply is None or reply.failure in ("late", "ended") or reply.changed_python:
                self._end()
        return reply

    def _started(self) -> Connection:
        if self._pipe is not None:
            return self._pipe
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,
            )
        with suppress(EOFError, ConnectionError):
            self._pipe.send(self.specs)
            if self._pipe.poll(START_LIMIT) and self._pipe.recv() == "ready":
                return self._pipe
        self._end()
        raise RunError(f"the process that calls the rewards didn't start: {' '.join(self.specs)}")

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._pipe = self._process = None


def serve(descriptor: int) -> None:
    """Answers requests until the pipe is closed."""
    pipe = Connection(descriptor)
    rewards = [weighted.reward for weighted in parse(pipe.recv())]
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            place, group = pipe.recv()
            pipe.send(_called(rewards[place], group))


def _called(reward: Reward, group: Group) -> Reply:
    before, python = copy.deepcopy(group), dict(vars(builtins))
    values: list[float | None] | None = None
    failure: Literal["raised", "returned"] | None = None
    said = ""
    start = time.monotonic()
    try:
        returned = reward.score(group)
    except (Exception, SystemExit) as error:
        failure, said = "raised", f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - start
    changed_python = dict(vars(builtins)) != python
    vars(builtins).update(python)
    if failure is None:
        try:
            values = checked(returned, len(group.completions))
        except (TypeError, ValueError) as error:
            failure, said = "returned", str(error)
    said = "raises " * (failure == "raised") + " ".join(said.split())[:LONGEST]
    return Reply(values, failure, said, seconds, group != before, changed_python)
