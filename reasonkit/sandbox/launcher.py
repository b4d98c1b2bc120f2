"""Starts sandboxed processes through a zygote, and talks to them.

The zygote is started on first use, with ``posix_spawn`` or ``vfork`` and no Python code between, as
is safe in a process with many threads and torch loaded; again when it has died; and anew in a
forked child.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reasonkit.errors import RunError
from reasonkit.sandbox.inside import frames, zygote
from reasonkit.sandbox.inside.layers import ORDER

START_LIMIT = 60.0
"""Seconds that the zygote may take to start, and a process to be forked, on a busy machine."""

LARGEST_ANSWER = 4 << 20
"""Bytes of JSON that a sandboxed process may send at once."""

_KEPT_ERRORS = 4096


class LostError(Exception):
    """The zygote died, or couldn't fork, under a process that had not done anything yet."""


class FailedError(Exception):
    """A program is wrong: it ended, or has to be ended; the message says why."""


class Process:
    """A sandboxed process. Closing it kills it and waits until it is gone.

    Attributes:
        deadline: until when it is waited for, as of ``time.monotonic``.
    """

    def __init__(self, pipe: socket.socket, leash: socket.socket, outputs: Sequence[int]) -> None:
        self.deadline = time.monotonic() + START_LIMIT
        self._pipe, self._leash, self._outputs = pipe, leash, outputs
        self._code: int | None = None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: Any) -> None:
        """Sends a message on the private pipe.

        Raises:
            TimeoutError: it isn't taken before the deadline.
            FailedError: the process is gone.
        """
        self._pipe.settimeout(self._left())
        try:
            self._pipe.sendall(frames.packed(message))
        except (BrokenPipeError, ConnectionResetError):
            raise FailedError(self.explain()) from None
        except RecursionError:
            # An answer that could just be read, on its way to the tests.
            raise FailedError("the answer is nested too deeply") from None

    def receive(self) -> Any:
        """The next message from the private pipe: any JSON at all.

        Raises:
            TimeoutError: it isn't complete before the deadline.
            FailedError: the process is gone, or it sent what is no message.
        """

        def some(size: int) -> bytes:
            self._pipe.settimeout(self._left())
            return self._pipe.recv(size)

        try:
            return frames.read(some, LARGEST_ANSWER)
        except OverflowError:
            raise FailedError("the answer is too large, or no answer") from None
        except (EOFError, ConnectionResetError):
            raise FailedError(self.explain()) from None
        except (ValueError, RecursionError):
            raise FailedError("the answer is garbage") from None

    def printed(self, most: int) -> tuple[bytes, bytes]:
        """All of standard output and the last of standard error, once the process has ended.

        Raises:
            TimeoutError: it hasn't before the deadline.
            FailedError: it has printed more bytes than that.
        """
        output, errors, leash = bytearray(), b"", self._leash.fileno()
        with selectors.DefaultSelector() as selector:
            for end in (*self._outputs, leash):
                selector.register(end, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(self._left()):
                    piece = os.read(key.fd, 1 << 16) if key.fd != leash else b""
                    if not piece:
                        selector.unregister(key.fd)
                    elif key.fd == self._outputs[0]:
                        output += piece
                    else:
                        errors = (errors + piece)[-_KEPT_ERRORS:]
                    if len(output) > most:
                        raise FailedError("printed far more than was expected")
        return bytes(output), errors

    def close(self) -> int:
        """Kills the process, waits until it is gone with its files, and gives its exit code.

        Raises:
            LostError: the zygote died first, and with it the process.
        """
        if self._code is None:
            try:
                self._leash.settimeout(START_LIMIT)
                with contextlib.suppress(OSError):
                    self._leash.send(b"kill")
                (self._code,) = zygote.STATUS.unpack(self._leash.recv(zygote.STATUS.size))
            except (struct.error, OSError):
                raise LostError from None
            finally:
                self._pipe.close()
                self._leash.close()
                for output in self._outputs:
                    os.close(output)
                self._outputs = ()
        return self._code

    def explain(self) -> str:
        """Closes the process and says how it ended."""
        code = self.close()
        if code == zygote.DISK_FULL:
            return "the program wrote more than its scratch folder may hold"
        if code < 0:
            return f"the program was ended by signal {-code}"
        return f"the program exited with status {code}"

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Launcher:
    """A zygote with those of the wanted layers that work here. May be shared between threads."""

    def __init__(self, wanted: Sequence[str] = ORDER) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._layers: tuple[str, ...] = ()
        self._folder = ""
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._forget)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that work here, the strongest first.

        Raises:
            RunError: the zygote can't be started.
        """
        with self._lock:
            if not self._layers:
                self._start()
            return self._layers

    def process(self, memory: int, seconds: float, outputs: bool = False) -> Process:
        """A new sandboxed process, in its sandbox already and waiting for its role.

        Args:
            memory: bytes of address space.
            seconds: until its deadline, once it is there, and of processor time, rounded up.
            outputs: whether its standard output and error are wanted. They are dropped otherwise.

        Raises:
            RunError: it can't be started.
            LostError: the zygote died meanwhile.
        """
        pipe, pipe_inside = socket.socketpair()
        leash, leash_inside = socket.socketpair()
        ends = [os.pipe() for _ in range(2 if outputs else 0)]
        given = [pipe_inside.fileno(), leash_inside.fileno(), *(write for _, write in ends)]
        process = Process(pipe, leash, [read for read, _ in ends])
        try:
            try:
                request = zygote.REQUEST.pack(memory, min(math.ceil(seconds) + 1, 1 << 31))
                self._ask(request, given)
            finally:
                pipe_inside.close()
                leash_inside.close()
                for _, write in ends:
                    os.close(write)
            process.receive()
            process.deadline = time.monotonic() + seconds
        except BaseException as error:
            with contextlib.suppress(LostError):
                process.close()
            if isinstance(error, FailedError | TimeoutError):
                raise RunError(
                    "a sandboxed process didn't start: more memory than this is needed "
                    f"({memory} bytes), or the machine is out of processes"
                ) from None
            raise
        return process

    def close(self) -> None:
        """Ends the zygote and every run; the next run starts another."""
        with self._lock:
            self._stop()

    def _ask(self, request: bytes, descriptors: Sequence[int]) -> None:
        with self._lock:
            for _ in range(2):
                if self._zygote is None or self._zygote.poll() is not None:
                    self._start()
                assert self._control is not None
                try:
                    socket.send_fds(self._control, [request], descriptors)
                    return
                except OSError:
                    self._stop()
        raise RunError("the process that starts sandboxed processes keeps dying")

    def _start(self) -> None:
        self._stop()
        self._control, inside = socket.socketpair()
        options = {"layers": self._wanted, "parent": os.getpid(), "folder": tempfile.gettempdir()}
        # A Python built with a shared library may be found by this alone.
        libraries = {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
        # As -I is, except that it would ignore the seed: sets should have one order in every run.
        command = [sys.executable, "-P", "-s", "-S", "-X", "utf8", "-m", "inside.zygote"]
        with inside:
            self._zygote = subprocess.Popen(
                [*command, json.dumps(options)],
                stdin=inside.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(Path(__file__).parent), "PYTHONHASHSEED": "0", **libraries},
                cwd="/",
                start_new_session=True,
            )
        self._control.settimeout(START_LIMIT)
        try:
            with self._control.makefile("rb") as lines:
                layers, self._folder = json.loads(lines.readline())
            self._layers = tuple(layers)
        except (ValueError, OSError):
            self._stop()
            raise RunError("the process that starts sandboxed processes didn't start") from None

    def _stop(self) -> None:
        process, self._zygote = self._zygote, None
        control, self._control = self._control, None
        if control is not None:
            control.close()
        if process is not None:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder:
            # Its own zygote removes it, unless that was killed.
            with contextlib.suppress(OSError):
                zygote.remove(self._folder)
        self._folder = ""

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._folder = ""
        if self._zygote is not None:
            # It is no child of this process, so there is nothing to wait for.
            self._zygote.returncode = 0
        self._stop()
