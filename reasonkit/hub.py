"""What is known of the Hugging Face hub before a library asks it and retries for minutes."""

from __future__ import annotations

import functools
import re
import socket

_ID = re.compile(r"[\w.-]+/[\w.-]+")
HOST, PORT, PATIENCE = "huggingface.co", 443, 3.0
"""Where the hub is, and how many seconds it has to answer."""


def is_id(name: str) -> bool:
    """Whether a name has the form ``owner/name``."""
    return _ID.fullmatch(name) is not None


@functools.cache
def reachable() -> bool:
    """Whether the hub answers."""
    try:
        socket.create_connection((HOST, PORT), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
