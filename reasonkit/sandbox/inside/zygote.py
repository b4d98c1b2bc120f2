"""A clean interpreter that forks a sandboxed process for each request.

It is started by path, with an empty environment and without site-packages, imports what programs
often use, and sees only descriptors and limits: programs, tests and answers pass between the
launcher and the sandboxed process directly. It dies with its launcher, and all runs with it.

A request is :data:`REQUEST` with two or four descriptors: the private pipe, the leash and, if
wanted, standard output and error. A run is killed as soon as its leash is written to or closed at
the other end; when it is gone and its scratch folder removed, its exit code (:data:`STATUS`) is
sent on the leash.
"""

from __future__ import annotations

import contextlib
import ctypes
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

from . import child, layers
from .namespaces import Namespaces

REQUEST = struct.Struct(">QI")
"""Bytes of address space and seconds of processor time."""

STATUS = struct.Struct(">i")
"""As of ``os.waitstatus_to_exitcode``, or :data:`DISK_FULL`."""

DISK_FULL = 1000

_OPEN_FILES = 4096
_LOOK_AT_DISK = 50
"""Milliseconds between looks at scratch folders that nothing else bounds."""

_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8

_PRELOADED = """
argparse array ast asyncio base64 bisect calendar cmath codecs collections collections.abc
contextlib copy dataclasses datetime decimal difflib enum fractions functools hashlib heapq
inspect io itertools json keyword math numbers operator pathlib pprint queue random re statistics
string struct textwrap threading time traceback types typing unittest uuid zlib
"""


class Zygote:
    """Forks runs and watches over them until its launcher is gone.

    Args:
        control: where requests come from.
        parent: a descriptor that becomes readable when the launcher's process ends, or None.
        folder: where scratch folders are made, unless there are namespaces.
        taken: the layers of isolation.
        namespaces: those of this process, if they are among the layers.
    """

    def __init__(
        self,
        control: socket.socket,
        parent: int | None,
        folder: str,
        taken: Sequence[str],
        namespaces: Namespaces | None,
    ) -> None:
        self._control, self._parent, self._folder = control, parent, folder
        self._layers, self._namespaces = taken, namespaces
        self._leashes: dict[int, int] = {}
        self._scratch: dict[int, str] = {}
        self._full: set[int] = set()
        self._poll = select.poll()
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for descriptor in (control.fileno(), self._woken, parent):
            if descriptor is not None:
                self._poll.register(descriptor, select.POLLIN)

    def work(self) -> None:
        """Serves requests until the launcher is gone; then ends every run."""
        while True:
            ready = {fd for fd, _ in self._poll.poll(_LOOK_AT_DISK if self._scratch else None)}
            if self._parent in ready:
                break
            if self._woken in ready:
                os.read(self._woken, 1 << 12)
            for pid, leash in self._leashes.items():
                if leash in ready:
                    self._poll.unregister(leash)
                    _kill(pid)
            if self._control.fileno() in ready and not self._accept():
                break
            for pid, scratch in self._scratch.items():
                if _too_large(scratch):
                    self._full.add(pid)
                    _kill(pid)
            self._reap()
        for pid in self._leashes:
            _kill(pid)
        while self._leashes:
            time.sleep(0.01)
            self._reap()

    def _accept(self) -> bool:
        """Starts the run that is asked for; False at the end of requests."""
        request, descriptors, _, _ = socket.recv_fds(self._control, REQUEST.size, 4)
        if not request:
            return False
        memory, seconds = REQUEST.unpack(request)
        leash = descriptors[1]
        scratch = ""
        try:
            if self._namespaces is None:
                scratch = tempfile.mkdtemp(dir=self._folder)
            pid = os.fork() if self._namespaces is None else self._namespaces.fork()
        except OSError:
            # The closed leash tells the launcher.
            os.close(leash)
            if scratch:
                os.rmdir(scratch)
        else:
            if not pid:
                self._become(descriptors, scratch, memory, seconds)
            self._leashes[pid] = leash
            self._poll.register(leash, select.POLLIN)
            if scratch:
                self._scratch[pid] = scratch
        for descriptor in descriptors:
            if descriptor != leash:
                os.close(descriptor)
        return True

    def _become(self, descriptors: Sequence[int], scratch: str, memory: int, seconds: int) -> None:
        """Turns this process, newly forked, into a run."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            layers.enter(self._layers, self._namespaces, scratch, memory, seconds)
            pipe, _, *outputs = descriptors
            for target, output in enumerate(outputs, start=1):
                os.dup2(output, target)
            os.dup2(pipe, child.PIPE)
            os.closerange(child.PIPE + 1, _OPEN_FILES)
            child.main()
        finally:
            os._exit(1)

    def _reap(self) -> None:
        while self._leashes:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            leash = self._leashes.pop(pid)
            if scratch := self._scratch.pop(pid, ""):
                with contextlib.suppress(OSError):
                    remove(scratch)
            code = DISK_FULL if pid in self._full else os.waitstatus_to_exitcode(status)
            self._full.discard(pid)
            with contextlib.suppress(KeyError):
                self._poll.unregister(leash)
            with contextlib.suppress(OSError):
                os.write(leash, STATUS.pack(code))
            os.close(leash)


def main() -> None:
    """Finds the layers that work, says so, and serves; options are JSON in the first argument."""
    options = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    os.dup2(1, 0)
    parent = None
    with contextlib.suppress(OSError, AttributeError):
        parent = os.pidfd_open(options["parent"])
    if os.getppid() != options["parent"]:
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _preload()
    taken = layers.usable(options["layers"])
    namespaces = None
    if "namespaces" in taken:
        namespaces = layers.new_namespaces()
        if not namespaces.settle():
            # Only its death matters now: the zygote's follows.
            control.close()
            os.wait()
            return
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
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
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


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
                    if files > layers.SCRATCH_FILES:
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
    return size > layers.SCRATCH_BYTES


def remove(folder: str) -> None:
    """Removes a folder however deep it is, by lifting what is nested to its top.

    Raises:
        OSError: there is no such folder, or it is another user's.
    """
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
