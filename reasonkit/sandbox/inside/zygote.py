"""A clean interpreter that forks a sandboxed process for each request.

It is started with an empty environment and without site-packages, imports what programs
often use, and sees only descriptors and limits: programs, tests and answers pass between the
launcher and the sandboxed process directly. It dies with its launcher, and all runs with it.

A request is :data:`REQUEST` with two or four descriptors: the private pipe, the leash and, if
wanted, standard output and error. A run is killed as soon as its leash is written to or closed at
the other end; when it is gone and its scratch folder removed, its exit code (:data:`STATUS`) is
sent on the leash.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import shutil
import signal
import site
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from . import child, frames, layers
from .kernel import call, die_with_parent
from .namespaces import SCRATCH_BYTES, SCRATCH_FILES, Namespaces

REQUEST = struct.Struct(">QI")
"""Bytes of address space and seconds of processor time."""

STATUS = struct.Struct(">i")
"""As of ``os.waitstatus_to_exitcode``, or :data:`DISK_FULL`."""

DISK_FULL = 1000

_OPEN_FILES = 4096
_LOOK_AT_DISK = 50
"""Milliseconds between looks at scratch folders that nothing else bounds."""

_M_ARENA_MAX = -8

_PRELOADED = """
argparse array ast asyncio base64 bisect calendar cmath codecs collections collections.abc
contextlib copy dataclasses datetime decimal difflib enum fractions functools hashlib heapq
inspect io itertools json keyword math numbers operator pathlib pprint queue random re statistics
string struct textwrap threading time traceback types typing unittest uuid zlib
"""


@dataclass
class Run:
    """A sandboxed process: its leash, its scratch folder where nothing bounds that, its excess."""

    leash: int
    scratch: str
    full: bool = False


@dataclass
class Zygote:
    """Forks runs and watches over them until its launcher is gone.

    Attributes:
        parent: a descriptor that becomes readable when the launcher's process ends, or None.
        folder: where scratch folders are made, unless there are namespaces.
    """

    control: socket.socket
    parent: int | None
    folder: str
    taken: Sequence[str]
    namespaces: Namespaces | None

    def __post_init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._poll = select.poll()
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for descriptor in (self.control.fileno(), self._woken, self.parent):
            if descriptor is not None:
                self._poll.register(descriptor, select.POLLIN)

    def work(self) -> None:
        """Serves requests until the launcher is gone; then ends every run."""
        while True:
            bounded = self.namespaces is not None or not self._runs
            ready = {fd for fd, _ in self._poll.poll(None if bounded else _LOOK_AT_DISK)}
            if self.parent in ready:
                break
            if self._woken in ready:
                os.read(self._woken, 1 << 12)
            for pid, run in self._runs.items():
                if run.leash in ready:
                    self._poll.unregister(run.leash)
                    _kill(pid)
            if self.control.fileno() in ready and not self._accept():
                break
            for pid, run in self._runs.items():
                if run.scratch and _too_large(run.scratch):
                    run.full = True
                    _kill(pid)
            self._reap()
        for pid in self._runs:
            _kill(pid)
        while self._runs:
            time.sleep(0.01)
            self._reap()

    def _accept(self) -> bool:
        """Starts the run that is asked for; False at the end of requests."""
        request, descriptors, _, _ = socket.recv_fds(self.control, REQUEST.size, 4)
        if not request:
            return False
        run = Run(descriptors.pop(1), "")
        try:
            if self.namespaces is None:
                run.scratch = tempfile.mkdtemp(dir=self.folder)
            pid = os.fork() if self.namespaces is None else self.namespaces.fork()
        except OSError:
            # The closed leash tells the launcher.
            os.close(run.leash)
            if run.scratch:
                os.rmdir(run.scratch)
        else:
            if not pid:
                self._become(descriptors, run.scratch, *REQUEST.unpack(request))
            self._runs[pid] = run
            self._poll.register(run.leash, select.POLLIN)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _become(self, descriptors: Sequence[int], scratch: str, memory: int, seconds: int) -> None:
        """Turns this process, newly forked, into a run."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            layers.enter(self.taken, self.namespaces, scratch, memory, seconds)
            pipe, *outputs = descriptors
            for target, output in enumerate(outputs, start=1):
                os.dup2(output, target)
            os.dup2(pipe, frames.PIPE)
            os.closerange(frames.PIPE + 1, _OPEN_FILES)
            child.main()
        finally:
            os._exit(1)

    def _reap(self) -> None:
        while self._runs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            run = self._runs.pop(pid)
            if run.scratch:
                with contextlib.suppress(OSError):
                    remove(run.scratch)
            code = DISK_FULL if run.full else os.waitstatus_to_exitcode(status)
            with contextlib.suppress(KeyError):
                self._poll.unregister(run.leash)
            with contextlib.suppress(OSError):
                os.write(run.leash, STATUS.pack(code))
            os.close(run.leash)


def main() -> None:
    """Finds the layers that work, says so, and serves; options are JSON in the first argument."""
    # It led here; programs import the standard library alone.
    del sys.path[0]
    options = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    os.dup2(1, 0)
    parent = None
    with contextlib.suppress(OSError, AttributeError):
        parent = os.pidfd_open(options["parent"])
    if os.getppid() != options["parent"]:
        return
    layers.limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _preload()
    taken = layers.usable(options["layers"])
    namespaces = None
    if "namespaces" in taken:
        namespaces = Namespaces()
        if not namespaces.settle():
            # Only its death matters now: the zygote's follows.
            control.close()
            os.wait()
            return
        die_with_parent()
    folder = tempfile.mkdtemp(prefix="reasonkit-", dir=options["folder"]) if not namespaces else ""
    try:
        control.sendall(json.dumps([taken, folder]).encode() + b"\n")
        gc.collect()
        # Pages that only a collection would touch stay shared with the runs.
        gc.freeze()
        Zygote(control, parent, folder, taken, namespaces).work()
    finally:
        if folder:
            remove(folder)


def _preload() -> None:
    for name in _PRELOADED.split():
        __import__(name)
    # What a plain start would have added: exit, quit, help and the like.
    site.setquit()
    site.sethelper()
    site.setcopyright()
    if sys.platform == "linux":
        # Each thread's arena reserves address space, which is limited.
        call("mallopt", _M_ARENA_MAX, 2)


def _kill(pid: int) -> None:
    # A run that has not got to its own session yet has no group.
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _too_large(folder: str) -> bool:
    """Whether a folder, however it is nested, holds more than a scratch folder may."""
    size = files = 0
    folders = [folder]
    try:
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    files += 1
                    if files > SCRATCH_FILES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        # It was being changed; the next look comes soon.
        return False
    except OSError:
        # A path too long, or a folder that was made unreadable.
        return True
    return size > SCRATCH_BYTES


def remove(folder: str) -> None:
    """Removes a folder however deep it is, by lifting what is nested to its top; or an OSError."""
    while True:
        nested = [entry for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
        if not nested:
            break
        for entry in nested:
            os.chmod(entry.path, 0o700)
            for inner in list(os.scandir(entry.path)):
                if inner.is_dir(follow_symlinks=False):
                    # The parent of a folder is written in it.
                    os.chmod(inner.path, 0o700)
                    # By a name that the program can't have taken.
                    os.rename(inner.path, f"{folder}/{os.urandom(8).hex()}")
                else:
                    os.unlink(inner.path)
            os.rmdir(entry.path)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
