"""A seccomp filter that leaves a program the system calls of computing and reading files.

Closed are: other processes (making, running, signalling, inspecting them), networks, mounts and
namespaces, memory that no limit counts, and everything newer than the filter. It is a list of what
is denied, not of what is allowed: which harmless calls a C library makes changes with its version.
Opening files is left to Landlock and to the mount namespace.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct

from .kernel import call

# fmt: off
DENIED: dict[str, tuple[int, int | None]] = {
    # name: (x86_64, aarch64); None where the architecture has no such call.
    # Other processes.
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "move_pages": (279, 239), "migrate_pages": (256, 238),
    # Networks.
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    # Namespaces and mounts.
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "mount_setattr": (442, 442),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    # Other ways into the kernel.
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "personality": (135, 92), "modify_ldt": (154, None), "seccomp": (317, 277),
    # Memory that no limit counts, and what outlives a process.
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194),
    "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semctl": (66, 191),
    "msgget": (68, 186), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # Files past their names.
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    # The machine.
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "iopl": (172, None), "ioperm": (173, None), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162),
    "syslog": (103, 116), "vhangup": (153, 58),
}
_LIMITED = {
    "kill": (62, 129), "tgkill": (234, 131), "clone": (56, 220), "prctl": (157, 167),
    "prlimit64": (302, 261), "socketpair": (53, 199),
}
# fmt: on
_CLONE3 = 435
_NEWEST = 462
"""The last system call that was looked at (mseal); later ones answer "not implemented"."""

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _EQUAL, _GREATER, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16
_CLONE_THREAD = 0x10000
_SOCK_STREAM = 1
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def apply() -> None:
    """Closes those calls for this process, for good; ``no_new_privs`` must be set already.

    Raises:
        OSError: the kernel or the architecture has no such filter.
    """
    code = program(os.getpid())
    filters = ctypes.byref(_Program(len(code) // 8, code))
    call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filters, 0, 0)


@functools.cache
def program(pid: int) -> bytes:
    """The filter as classic BPF, for a process that may signal ``pid``, itself, and no other.

    Raises:
        OSError: the architecture has no table of system calls here.
    """
    if platform.machine() not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, "seccomp")
    column, arch = _ARCHITECTURES[platform.machine()]
    refuse, missing = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    steps = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER),
        # The x32 numbers of x86_64 are large, so they end here as well.
        (_GREATER, 0, 1, _NEWEST),
        (_RETURN, 0, 0, missing),
        # Its flags lie in memory, where no filter can look; C libraries fall back to clone.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, missing),
    ]
    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, refuse)]
    # By call: the argument whose low half is looked at, and checks that jump over a refusal.
    checks = {
        "clone": (0, [(_ANY_BIT, 1, 0, _CLONE_THREAD)]),
        "kill": (0, [(_EQUAL, 1, 0, pid)]),
        "tgkill": (0, [(_EQUAL, 1, 0, pid)]),
        "prlimit64": (0, [(_EQUAL, 1, 0, 0)]),
        "prctl": (0, [(_EQUAL, 2, 0, _PR_SET_NAME), (_EQUAL, 1, 0, _PR_GET_NAME)]),
        # A datagram socket could send to any address without a connect.
        "socketpair": (1, [(_AND, 0, 0, 0xF), (_EQUAL, 1, 0, _SOCK_STREAM)]),
    }
    for name, (argument, jumps) in checks.items():
        body = [(_LOAD, 0, 0, _ARGUMENT + 8 * argument), *jumps]
        body += [(_RETURN, 0, 0, refuse), (_RETURN, 0, 0, _ALLOW)]
        steps += [(_EQUAL, 0, len(body), _LIMITED[name][column]), *body]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in steps)
