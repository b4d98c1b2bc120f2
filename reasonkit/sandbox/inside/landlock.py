"""Landlock: a process gives up all files except a few folders, and TCP, for good.

Only names remain visible (``os.stat`` of a known path): Landlock has no right for that.
"""

from __future__ import annotations

import os
import struct

from .kernel import call
from .namespaces import DEVICES, readable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_RIGHTS_OF_ABI = ((1, 13), (2, 14), (3, 15), (5, 16))
"""(ABI version, number of filesystem rights it knows)"""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_TCP_BIND_AND_CONNECT = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3


def apply(scratch: str) -> None:
    """Leaves the process what it has to read and a scratch folder, which holds nothing to run.

    ``no_new_privs`` must be set already.

    Raises:
        OSError: the kernel has no Landlock.
    """
    version = call("syscall", _CREATE_RULESET, None, 0, _VERSION_FLAG)
    everything = (1 << max(count for abi, count in _RIGHTS_OF_ABI if abi <= version)) - 1
    handled = [everything]
    # An older kernel knows a shorter structure.
    handled += [_TCP_BIND_AND_CONNECT] if version >= 4 else []
    handled += [_ABSTRACT_SOCKETS_AND_SIGNALS] if version >= 6 else []
    packed = struct.pack(f"{len(handled)}Q", *handled)
    rules = call("syscall", _CREATE_RULESET, packed, len(packed), 0)
    devices = [path for path in DEVICES if os.path.exists(path)]
    rights = dict.fromkeys(readable(), _READ_FILE | _READ_DIR)
    rights |= dict.fromkeys(devices, _READ_FILE | _WRITE_FILE | _TRUNCATE)
    rights[scratch] = everything & ~_EXECUTE
    try:
        for path, allowed in rights.items():
            target = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", allowed & everything, target)
                call("syscall", _ADD_RULE, rules, _PATH_BENEATH, rule, 0)
            finally:
                os.close(target)
        call("syscall", _RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
