"""Landlock: a process gives up all files except a few folders, and TCP, for good.

Only names remain visible (``os.stat`` of a known path): Landlock has no right for that.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_RIGHTS_OF_ABI = ((1, 13), (2, 14), (3, 15), (5, 16))
"""(ABI version, number of filesystem rights it knows)"""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_TCP_BIND_AND_CONNECT = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def apply(read: Sequence[str], write: Sequence[str], scratch: str) -> None:
    """Leaves the process with these files only; ``no_new_privs`` must be set already.

    Args:
        read: folders and files that may be read.
        write: files that may be read and written.
        scratch: the folder in which everything but running programs is allowed.

    Raises:
        OSError: the kernel has no Landlock.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: object) -> int:
        result = int(libc.syscall(ctypes.c_long(number), *arguments))
        if result < 0:
            raise OSError(ctypes.get_errno(), "landlock")
        return result

    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))
    everything = (1 << max(count for abi, count in _RIGHTS_OF_ABI if abi <= version)) - 1
    handled = struct.pack(
        "QQQ",
        everything,
        _TCP_BIND_AND_CONNECT if version >= 4 else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    # An older kernel knows a shorter structure and refuses a longer one that isn't zero.
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = call(_CREATE_RULESET, handled, ctypes.c_size_t(size), ctypes.c_uint(0))
    try:
        allowed = [(path, _READ_FILE | _READ_DIR) for path in read]
        allowed += [(path, _READ_FILE | _WRITE_FILE | _TRUNCATE) for path in write]
        allowed += [(scratch, everything & ~_EXECUTE)]
        for path, rights in allowed:
            target = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                if not os.path.isdir(path):
                    rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
                rule = struct.pack("=Qi", rights & everything, target)
                call(_ADD_RULE, rules, _PATH_BENEATH, rule, ctypes.c_uint(0))
            finally:
                os.close(target)
        call(_RESTRICT_SELF, rules, ctypes.c_uint(0))
    finally:
        os.close(rules)
