"""What is known of the Hugging Face hub before a library asks it and retries for minutes."""

from __future__ import annotations

import functools
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
PATIENCE = 3.0
"""How many seconds the hub has to answer."""


def is_id(name: str) -> bool:
    """Whether a name has the form ``owner/name``."""
    return _ID.fullmatch(name) is not None


def local_only(source: str) -> bool:
    """Whether files or the cache have to do: a library that is offline would retry for minutes."""
    return not Path(source).exists() and not reachable()


@functools.cache
def reachable() -> bool:
    """Whether the hub, or the mirror that the user has set, answers.

    Behind a proxy it is taken to, and asking is left to the library.
    """
    # Listing the tasks is no reason to import it.
    from urllib.request import getproxies

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if getproxies():
        return True
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
