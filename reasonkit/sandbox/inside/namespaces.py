"""Namespaces: a root of its own, no network, no sight of any other process.

Taken in two steps, for speed. The zygote takes the lasting ones once: a root folder that holds
nothing but Python and the system's libraries, read-only, and an empty network. Every run adds the
ones that it must not share: processes, users, mounts, System V objects, and a scratch folder in
memory, of bounded size, that vanishes with it.

There is no ``/proc`` in the new root: none is safer than a private one.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys

from .kernel import call

SCRATCH = "/tmp"
SCRATCH_BYTES = 64 << 20
SCRATCH_FILES = 4096
"""What a scratch folder may hold."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

_NEW_USER, _NEW_PID, _NEW_NET = 0x10000000, 0x20000000, 0x40000000
_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000
_READ_ONLY, _NO_SUID, _NO_DEV, _BIND, _RECURSIVE, _PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
_DETACH = 2
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_PR_SET_DUMPABLE = 4
_NOBODY = 65534
_USER = 1000


def readable() -> list[str]:
    """The folders that a Python program needs: its standard library and the system's libraries."""
    stdlib = os.path.dirname(os.path.realpath(os.__file__))
    own = [stdlib, os.path.join(sys.base_prefix, "lib"), os.path.join(sys.base_prefix, "lib64")]
    system = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo"]
    found = [path for path in dict.fromkeys([*own, *system]) if os.path.isdir(path)]
    return [path for path in found if not any(path.startswith(f"{other}/") for other in found)]


class Namespaces:
    """The namespaces of a zygote that has settled into its own.

    Raises:
        OSError: the kernel refuses one of them. The process is then in no state to go on.
    """

    def __init__(self) -> None:
        self._processes = -1
        lasting = _NEW_MOUNTS | _NEW_NET | _NEW_IPC | _NEW_HOST_NAME
        # The folder is kept for the maps of users: the new root has none.
        self._proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        try:
            call("unshare", lasting)
        except OSError:
            # The usual case: only root may do without.
            user, group = os.geteuid(), os.getegid()
            call("unshare", lasting | _NEW_USER)
            self._map_user(0, user, group)
            _change_root()
        else:
            _change_root()
            # Root of the machine would be exempt from the limit on processes, and owns files.
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
            # The change of user has made /proc/self root's until this says otherwise.
            call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)
            call("unshare", _NEW_USER)
            self._map_user(0, _NOBODY, _NOBODY)

    def settle(self) -> bool:
        """Forks: the parent gets False and should wait, the child, True, is the zygote.

        The zygote is the first process of a process namespace, so that its end, whatever the
        reason, is the end of every run.
        """
        call("unshare", _NEW_PID)
        if os.fork():
            return False
        self._processes = os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        return True

    def fork(self) -> int:
        """``os.fork`` where the child is the first process of a namespace of its own."""
        call("unshare", _NEW_PID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                call("setns", self._processes, _NEW_PID)
        return pid

    def enter(self) -> None:
        """Takes a run's own namespaces and mounts its scratch folder."""
        call("unshare", _NEW_USER | _NEW_MOUNTS | _NEW_IPC)
        self._map_user(_USER, 0, 0)
        bounds = f"size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES},mode=700"
        _mount("tmpfs", SCRATCH, "tmpfs", _NO_SUID | _NO_DEV, bounds)

    def _map_user(self, inside: int, user: int, group: int) -> None:
        maps = {
            "setgroups": "deny",
            "uid_map": f"{inside} {user} 1",
            "gid_map": f"{inside} {group} 1",
        }
        for name, text in maps.items():
            target = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._proc)
            try:
                os.write(target, text.encode())
            finally:
                os.close(target)


def _change_root() -> None:
    _mount("", "/", "", _RECURSIVE | _PRIVATE)
    # Any folder will do that holds nothing of what is read.
    root = "/proc"
    _mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEV, "size=1m,mode=755")
    for path in readable():
        if os.path.islink(path):
            # /lib, a link to usr/lib on most systems.
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.symlink(os.path.realpath(path), root + path)
            path = os.path.realpath(path)
        if os.path.isdir(path):
            os.makedirs(root + path, exist_ok=True)
            _mount(path, root + path, "", _BIND | _RECURSIVE)
            _protect(root + path, _READ_ONLY | _NO_SUID | _NO_DEV, _AT_RECURSIVE)
    os.makedirs(root + "/dev")
    os.makedirs(root + SCRATCH, exist_ok=True)
    for path in DEVICES:
        os.close(os.open(root + path, os.O_CREAT | os.O_WRONLY))
        _mount(path, root + path, "", _BIND)
    os.chdir(root)
    call("pivot_root", b".", b".")
    call("umount2", b".", _DETACH)
    os.chdir("/")
    _protect("/", _READ_ONLY, 0)


def _protect(path: str, adding: int, flags: int) -> None:
    attributes = struct.pack("QQQQ", adding, 0, 0, 0)
    arguments = (_AT_FDCWD, path.encode(), flags, attributes, len(attributes))
    call("syscall", _MOUNT_SETATTR, *arguments)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    call("mount", source.encode(), target.encode(), kind.encode(), flags, data.encode())
