"""The layers of isolation and how a process takes them, each found out by really trying.

``namespaces``, ``landlock`` and ``seccomp`` are one module each; ``rlimits`` is always there. They
are taken in that order and can't be given back.
"""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import sys
from collections.abc import Callable, Sequence

from . import landlock, seccomp
from .kernel import call, die_with_parent
from .namespaces import SCRATCH, SCRATCH_BYTES, Namespaces

ORDER = ("namespaces", "landlock", "seccomp", "rlimits")

_FILE_BYTES = {True: SCRATCH_BYTES, False: 16 << 20}
"""By whether the scratch folder is bounded as a whole. Where it is not, files that were deleted but
are still open can't be seen; this times the number of open files bounds them."""
_OPEN_FILES = 64
_PROCESSES = 128
_STACK_BYTES = 64 << 20

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES_VERSION = 0x20080522


def usable(wanted: Sequence[str]) -> list[str]:
    """Those of the wanted layers that work here, each tried in a process of its own."""
    if sys.platform != "linux":
        return ["rlimits"]
    return [layer for layer in ORDER if layer in wanted and _works(layer)]


def enter(
    layers: Sequence[str], namespaces: Namespaces | None, scratch: str, memory: int, seconds: int
) -> None:
    """Takes the layers, moves to the scratch folder and empties the environment, in a new session.

    The scratch folder is for where there are no namespaces, with one of their own. Memory is in
    bytes of address space, seconds are of processor time.

    Raises:
        OSError: a layer can't be taken.
    """
    os.setsid()
    if sys.platform == "linux":
        die_with_parent()
    if namespaces is not None:
        namespaces.enter()
        scratch = SCRATCH
    os.chdir(scratch)
    os.environ.clear()
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: _FILE_BYTES[namespaces is not None],
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_NPROC: _PROCESSES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        # Deep recursion through C code needs more than the usual 8 MiB.
        resource.RLIMIT_STACK: _STACK_BYTES,
    }
    for kind, most in limits.items():
        limit(kind, most)
    if sys.platform == "linux":
        call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call("capset", struct.pack("Ii", _CAPABILITIES_VERSION, 0), bytes(24))
    if "landlock" in layers:
        landlock.apply(scratch)
    if "seccomp" in layers:
        seccomp.apply()


def limit(kind: int, most: int) -> None:
    """Lowers a limit of this process to so much, for good."""
    hard = resource.getrlimit(kind)[1]
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (value, value))


def _works(layer: str) -> bool:
    return _succeeds(
        os.fork, _try_namespaces if layer == "namespaces" else lambda: _enter([layer], None)
    )


def _try_namespaces() -> None:
    namespaces = Namespaces()
    if namespaces.settle():
        # Everything that a run does has to work, twice: the first could use up what the next needs.
        works = all(_succeeds(namespaces.fork, lambda: _enter([], namespaces)) for _ in range(2))
        os._exit(not works)
    if os.wait()[1] != 0:
        raise OSError("a trial failed")


def _enter(layers: Sequence[str], namespaces: Namespaces | None) -> None:
    enter(layers, namespaces, "/", memory=1 << 40, seconds=1 << 20)


def _succeeds(fork: Callable[[], int], action: Callable[[], None]) -> bool:
    """Whether an action ends without an error, in a process of its own."""
    child = fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            action()
            status = 0
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0
