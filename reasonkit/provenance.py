"""Where a result came from: data, versions, commit, hardware and the process that made it."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

PACKAGES = (
    *("reasonkit", "torch", "transformers", "trl", "peft", "accelerate", "datasets"),
    *("tokenizers", "math-verify"),
)
"""The packages whose version can change a result."""


def fingerprint(*data: object) -> str:
    """A hash of data as it was read, of dataclasses by the fields that they are compared by."""
    return hashlib.sha256(json.dumps(data, default=_plain).encode()).hexdigest()


def _plain(value: Any) -> object:
    if not dataclasses.is_dataclass(value):
        return str(value)
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.compare}


def versions() -> dict[str, str]:
    """Python's version, and those of the installed `PACKAGES`."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def git_commit() -> str | None:
    """The commit that this package runs from, ``-dirty`` if changed since; None if installed."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # A package installed below somebody else's repository isn't tracked by it.
        tracked = [*git, "ls-files", "--error-unmatch", here.name]
        subprocess.run(tracked, capture_output=True, check=True, timeout=5)
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        said = subprocess.run(describe, capture_output=True, check=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


def hardware() -> dict[str, Any]:
    """Platform, CPUs, memory in bytes; GPUs by name where torch is already loaded."""
    torch = sys.modules.get("torch")
    gpus = []
    if torch is not None and torch.cuda.is_available():
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpus,
    }


def process() -> dict[str, Any]:
    """What tells this process from every other one, on any machine."""
    return {
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "host": socket.gethostname(),
    }
