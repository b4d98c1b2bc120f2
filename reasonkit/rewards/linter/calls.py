"""Calls rewards in a process of their own, which an attack may end, hang or spoil.

``python -m reasonkit.rewards.linter.calls DESCRIPTOR`` reads one JSON request after another and
writes one JSON reply each. A process that had to be killed, or whose built-ins were replaced, is
started again for the next call.
"""

from __future__ import annotations

import builtins
import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from reasonkit.errors import RunError
from reasonkit.rewards import Reward, parse
from reasonkit.rewards.guard import checked
from reasonkit.types import Completion, Example, Group

START_LIMIT = 120.0
"""Seconds that the process may take to start, on a busy machine."""

Failure = Literal["raised", "returned", "late", "ended"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one call.

    Attributes:
        values: one a completion; None where the call failed.
        failure: whether it raised, returned nonsense, took too long or ended the process; None
            where it didn't fail.
        said: the error, in one line.
        seconds: that it took.
        changed_group: whether the group, or the example in it, is not what it was.
        changed_python: whether a built-in function was replaced.
    """

    values: list[float | None] | None
    failure: Failure | None = None
    said: str = ""
    seconds: float = 0.0
    changed_group: bool = False
    changed_python: bool = False


class Calls:
    """The process with the rewards; use it as a context manager.

    Args:
        specs: the rewards, as on the command line.
        time_limit: seconds a call.
    """

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
        request = {"reward": reward, "example": asdict(group.example)}
        request["completions"] = [asdict(completion) for completion in group.completions]
        start = time.monotonic()
        try:
            pipe.send_bytes(json.dumps(request).encode())
            if not pipe.poll(self.time_limit):
                self._end()
                late = f"took longer than {self.time_limit:g} s"
                return Reply(None, "late", late, time.monotonic() - start)
            reply = Reply(**json.loads(pipe.recv_bytes()))
        except (EOFError, ConnectionError):
            self._end()
            return Reply(None, "ended", "ended the process it ran in", time.monotonic() - start)
        except BaseException:
            self._end()
            raise
        if reply.changed_python:
            self._end()
        return reply

    def _started(self) -> Connection:
        if self._pipe is not None:
            return self._pipe
        self._pipe, theirs = Pipe()
        root = str(Path(__file__).parents[3])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        try:
            self._pipe.send_bytes(json.dumps(self.specs).encode())
            if self._pipe.poll(START_LIMIT) and self._pipe.recv_bytes() == b"ready":
                return self._pipe
        except (EOFError, ConnectionError):
            pass
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


def serve(pipe: Connection) -> None:
    """Answers requests until the pipe is closed."""
    rewards = [weighted.reward for weighted in parse(json.loads(pipe.recv_bytes()))]
    pipe.send_bytes(b"ready")
    dumps = json.dumps
    while True:
        try:
            request = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        reply = _called(rewards[request["reward"]], _group(request))
        pipe.send_bytes(dumps(asdict(reply)).encode())


def _called(reward: Reward, group: Group) -> Reply:
    before, python = copy.deepcopy(group), dict(vars(builtins))
    values: list[float | None] | None = None
    failure: Failure | None = None
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
    return Reply(values, failure, " ".join(said.split()), seconds, group != before, changed_python)


def _group(request: dict[str, Any]) -> Group:
    example = request["example"]
    example["messages"] = tuple(example["messages"])
    if isinstance(example["tests"], list):
        example["tests"] = tuple(example["tests"])
    completions = [
        Completion(**{**completion, "token_ids": tuple(completion["token_ids"])})
        for completion in request["completions"]
    ]
    return Group(Example(**example), completions)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
