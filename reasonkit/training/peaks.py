"""Memory as it is: what there is for this process, what it holds, and the most of each phase.

On a GPU that is its memory, as torch hands it out; elsewhere the process's resident set. Linux's
limits on a group of processes count (cgroups, version 1 and 2), as in a container. Leaves out swap.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from reasonkit.processes import held

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
INTERVAL = 0.01
"""Seconds between two looks at a resident set, for which there is no counter of its peak."""

MMAP_THRESHOLD, LARGE = -3, 2**22
"""``M_MMAP_THRESHOLD`` of malloc.h, and bytes. A tensor so large has new pages each time: from
2**20 on they were a fifth of the time of an update of 135M parameters."""

LOOSE = 4
"""What was freed is given back where it is more than this part of what is held: in small models it
is less, and giving it back at each turn took a tenth of their time."""


def available(device: str) -> int:
    """Bytes that this process may hold in all: what it holds and what is free.

    Pages of files, as of weights that are mapped, are free ones: the system drops them at need.
    """
    if device == "cuda":
        return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    free = [psutil.virtual_memory().available, *_free_in_groups()]
    own = psutil.Process().memory_info()
    return own.rss - int(getattr(own, "shared", 0)) + min(free)


def _free_in_groups() -> Iterator[int]:
    """What is left of the limit of each group of processes that this one is in."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = GROUPS / controllers
        names = ("memory.max", "memory.current", "")
        if controllers:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
        within = root / inside.lstrip("/")
        # A container often sees its own group as the root.
        for group in {within, *within.parents, root}:
            if group == root or root in group.parents:
                yield from _free_in(group, *names)


def _free_in(group: Path, limit: str, usage: str, prefix: str) -> Iterator[int]:
    try:
        most = (group / limit).read_text().strip()
        used = int((group / usage).read_text())
        counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return
    if most != "max":
        files = (int(counts.get(f"{prefix}{age}_file", 0)) for age in ("active", "inactive"))
        yield max(0, int(most) - used + sum(files))


class _Heap(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    # Of its ten counts, the ninth is what is free; the last could be given back at once.
    _fields_ = [
        ("others", ctypes.c_size_t * 8),
        ("free", ctypes.c_size_t),
        ("top", ctypes.c_size_t),
    ]


def _libc(name: str) -> Callable[..., Any] | None:
    """A function of glibc; None where there is none."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def freed() -> int:
    """Bytes that were freed and are still held, where glibc tells; else 0.

    It keeps freed memory under one that is in use, which updates and rollouts, whose tensors are of
    other sizes, would each add to.
    """
    if (told := _libc("mallinfo2")) is None:
        return 0
    told.restype = _Heap  # type: ignore[attr-defined]
    return int(told().free)


def give_back() -> None:
    """Returns to the system what was freed."""
    if (trim := _libc("malloc_trim")) is not None:
        trim(0)


def keep_apart() -> None:
    """Has tensors of `LARGE` bytes and more in memory of their own, which goes as they go.

    Smaller ones stay in the heap, whose holes `reasonkit.training.memory` counts.
    """
    if (set_option := _libc("mallopt")) is not None:
        set_option(MMAP_THRESHOLD, LARGE)


class Peaks:
    """The most that was held in each phase, as bytes by its name; phases may be nested.

    Attributes:
        start: what was held before any.
        most: the most of all.
        bytes: of the phases.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.start = self.most = held(device)
        self.bytes: dict[str, int] = {}
        self._phase: str | None = None

    @contextmanager
    def watched(self, phase: str) -> Iterator[None]:
        """Looks at memory all the while; outside of `during` it is this phase."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(INTERVAL):
                self._look()

        thread = threading.Thread(target=look, daemon=True)
        if self.device != "cuda":
            thread.start()
        try:
            with self.during(phase):
                yield
        finally:
            done.set()

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Counts what is held as that phase's."""
        self._turn(before := self._phase, phase)
        try:
            yield
        finally:
            self._turn(phase, before)

    def _turn(self, left: str | None, entered: str | None) -> None:
        self._look()
        self._phase = None
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        elif LOOSE * freed() > held(self.device):
            give_back()
        self._phase = entered
        self._look()

    def _look(self) -> None:
        if (phase := self._phase) is not None:
            now = torch.cuda.max_memory_allocated() if self.device == "cuda" else held(self.device)
            self.most = max(now, self.most)
            self.bytes[phase] = max(now, self.bytes.get(phase, 0))
