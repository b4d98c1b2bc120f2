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
from .namespaces import DEVICES, SCRATCH, Namespaces

ORDER = ("namespaces", "landlock", "seccomp", "rlimits")

SCRATCH_BYTES = 64 << 20
SCRATCH_FILES = 4096
"""What a scratch folder may hold."""

_FILE_BYTES = {True: SCRATCH_BYTES, False: 16 << 20}
"""By whether the scratch folder is bounded as a whole. Where it is not, files that were deleted but
are still open can't be seen; this times the number of open files bounds them."""
_OPEN_FILES = 64
_PROCESSES = 128
_STACK_BYTES = 64 << 20

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES_VERSION = 0x20080522


def readable() -> list[str]:
    """The folders that a Python program needs: its standard library and the system's libraries."""
    stdlib = os.path.dirname(os.path.realpath(os.__file__))
    own = [stdlib, os.path.join(sys.base_prefix, "lib"), os.path.join(sys.base_prefix, "lib64")]
    system = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo"]
    found = [path for path in dict.fromkeys([*own, *system]) if os.path.isdir(path)]
    return [path for path in found if not any(path.startswith(f"{other}/") for other in found)]


def usable(wanted: Sequence[str]) -> list[str]:
    """Those of the wanted layers that work here, each tried in a process of its own."""
    if sys.platform != "linux":
        return ["rlimits"]
    return [layer for layer in ORDER if layer in wanted and _works(layer)]


def new_namespaces() -> Namespaces:
    """Moves this process into namespaces; see :class:`Namespaces`."""
    return Namespaces(readable(), SCRATCH_BYTES, SCRATCH_FILES)


def enter(
    layers: Sequence[str], namespaces: Namespaces | None, scratch: str, memory: int, seconds: int
) -> None:
    """Takes the layers, moves to the scratch folder and empties the environment, in a new session.

    Args:
        layers: some of :data:`ORDER`.
        namespaces: those of the zygote, where ``layers`` names them.
        scratch: the scratch folder, where they don't.
        memory: bytes of address space.
        seconds: of processor time.

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
        landlock.apply(readable(), [path for path in DEVICES if os.path.exists(path)], scratch)
    if "seccomp" in layers:
        seccomp.apply()


def limit(kind: int, most: int) -> None:
    """Lowers a limit of this process to so much, for good."""
    hard = resource.getrlimit(kind)[1]
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (value, value))


def _works(layer: str) -> bool:
    child = os.fork()
    if not child:
        _leave_with(_try_namespaces if layer == "namespaces" else lambda: _enter([layer], None))
    return os.waitpid(child, 0)[1] == 0


def _try_namespaces() -> None:
    namespaces = new_namespaces()
    if not namespaces.settle():
        _expect_success(os.wait()[1])
        return
    # Everything that a run does has to work, twice: the first could use up what the next needs.
    for _ in range(2):
        if child := namespaces.fork():
            _expect_success(os.waitpid(child, 0)[1])
        else:
            _leave_with(lambda: _enter([], namespaces))
    os._exit(0)


def _enter(layers: Sequence[str], namespaces: Namespaces | None) -> None:
    enter(layers, namespaces, "/", memory=1 << 40, seconds=1 << 20)


def _expect_success(status: int) -> None:
    if status != 0:
        raise OSError("a trial failed")


def _leave_with(action: Callable[[], None]) -> None:
    """Ends the process: status 0 where the action works, 1 where it raises."""
    status = 1
    with contextlib.suppress(BaseException):
        action()
        status = 0
    os._exit(status)
