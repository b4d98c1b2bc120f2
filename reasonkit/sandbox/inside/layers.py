"""The layers of isolation and how a process takes them, each found out by really trying.

``namespaces``, ``landlock`` and ``seccomp`` are one module each; ``rlimits`` is always there. They
are taken in that order and can't be given back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable, Sequence

from . import landlock, seccomp
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

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
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
    trials = {
        "namespaces": _try_namespaces,
        "landlock": _try_landlock,
        "seccomp": _try_seccomp,
        "rlimits": lambda: None,
    }
    return [layer for layer in ORDER if layer in wanted and _works(trials[layer])]


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
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if namespaces is not None:
        namespaces.enter()
        scratch = SCRATCH
    os.chdir(scratch)
    os.environ.clear()
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    _limit(memory, seconds, namespaces is not None)
    if libc is not None:
        _drop_privileges(libc)
    if "landlock" in layers:
        landlock.apply(readable(), [path for path in DEVICES if os.path.exists(path)], scratch)
    if "seccomp" in layers:
        seccomp.apply()


def _limit(memory: int, seconds: int, bounded: bool) -> None:
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: _FILE_BYTES[bounded],
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_NPROC: _PROCESSES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for limit, value in limits.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    # Deep recursion through C code needs more than the usual 8 MiB.
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if hard == resource.RLIM_INFINITY or hard >= _STACK_BYTES:
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK_BYTES, _STACK_BYTES))


def _drop_privileges(libc: ctypes.CDLL) -> None:
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    header = struct.pack("Ii", _CAPABILITIES_VERSION, 0)
    if libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


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
            _leave_with(namespaces.enter)
    os._exit(0)


def _try_landlock() -> None:
    _drop_privileges(ctypes.CDLL(None, use_errno=True))
    landlock.apply(readable(), DEVICES, SCRATCH)


def _try_seccomp() -> None:
    _drop_privileges(ctypes.CDLL(None, use_errno=True))
    seccomp.apply()


def _works(trial: Callable[[], None]) -> bool:
    child = os.fork()
    if not child:
        _leave_with(trial)
    return os.waitpid(child, 0)[1] == 0


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
