"""A sandboxed process, seen from outside: messages on a private pipe, its outputs, its end."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from reasonkit.sandbox.inside import frames, zygote

START_LIMIT = 60.0
"""Seconds that the zygote may take to start, and a process to be forked, on a busy machine."""

LARGEST_ANSWER = 4 << 20
"""Bytes of JSON that a sandboxed process may send at once."""


class LostError(Exception):
    """The zygote died, or couldn't fork, under a process that had not done anything yet."""


class EndedError(Exception):
    """The process ended, or has to be ended, before it answered; the message says how."""


class Process:
    """A sandboxed process. Closing it kills it and waits until it is gone.

    Attributes:
        deadline: until when it is waited for, as of ``time.monotonic``.
        output: where its standard output can be read, if it was asked for.
        errors: the same for standard error.
    """

    def __init__(
        self, pipe: socket.socket, leash: socket.socket, outputs: Sequence[int] = ()
    ) -> None:
        self.deadline = time.monotonic() + START_LIMIT
        self.output, self.errors = outputs or (-1, -1)
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
            EndedError: the process is gone.
        """
        self._pipe.settimeout(self._left())
        try:
            self._pipe.sendall(frames.packed(message))
        except (BrokenPipeError, ConnectionResetError):
            raise EndedError(self.explain()) from None
        except RecursionError:
            # An answer that could just be read, on its way to the tests.
            raise EndedError("the answer is nested too deeply") from None

    def receive(self) -> Any:
        """The next message from the private pipe: any JSON at all.

        Raises:
            TimeoutError: it isn't complete before the deadline.
            EndedError: the process is gone, or it sent what is no message.
        """

        def some(size: int) -> bytes:
            self._pipe.settimeout(self._left())
            return self._pipe.recv(size)

        try:
            return frames.read(some, LARGEST_ANSWER)
        except OverflowError:
            raise EndedError("the answer is too large, or no answer") from None
        except (EOFError, ConnectionResetError):
            raise EndedError(self.explain()) from None
        except (ValueError, RecursionError):
            raise EndedError("the answer is garbage") from None

    def wait(self, ready: Sequence[int]) -> list[int]:
        """Those of some descriptors that can be read, or are at their end, once one of them can.

        Raises:
            TimeoutError: none before the deadline.
        """
        poll = select.poll()
        for descriptor in ready:
            poll.register(descriptor, select.POLLIN)
        found = poll.poll(math.ceil(self._left() * 1000))
        if not found:
            raise TimeoutError
        return [descriptor for descriptor, _ in found]

    @property
    def end(self) -> int:
        """A descriptor that can be read once the process has ended."""
        return self._leash.fileno()

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
