"""Several processes that work on one run: which one this is, what all have, and who speaks.

A launcher (``torchrun``, ``accelerate launch``) starts one command several times and says in the
environment, in torch.distributed's words, which is which. Rank 0 is the main process: it alone
writes files and speaks. A process on its own is the main one of one, and loads no torch here.

Leaves out MPI's ways of saying the rank, machines that share no folder, and models that are cut
into parts: each process holds the whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from typing import Any, TypeVar

from reasonkit.errors import RefusedError, RunError

T = TypeVar("T")

MEETING = timedelta(minutes=5)
"""How long a process waits for the others to be there."""

PATIENCE = timedelta(days=1)
"""How long a process waits for the others. That one has died is noticed at once."""


def rank() -> int:
    """This process's number among all."""
    return int(os.environ.get("RANK", 0))


def local_rank() -> int:
    """This process's number among those of its machine."""
    return int(os.environ.get("LOCAL_RANK", 0))


def size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", 1))


def local_size() -> int:
    """How many of them this machine has."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this is the one that writes and speaks."""
    return rank() == 0


def share(items: Sequence[T]) -> Sequence[T]:
    """This process's part of what all have; the parts, by rank, are the whole in its order."""
    start, end = (len(items) * number // size() for number in (rank(), rank() + 1))
    return items[start:end]


def held(device: str) -> int:
    """Bytes that this process holds on a device of this type."""
    if device == "cuda":
        import torch

        return torch.cuda.memory_allocated()
    import psutil

    return psutil.Process().memory_info().rss


def gathered(value: T) -> list[T]:
    """The values of all processes, by rank; each of them gets all."""
    if size() == 1:
        return [value]
    from torch import distributed

    values: list[Any] = [None] * size()
    distributed.all_gather_object(values, value)
    return values


def from_main(make: Callable[[], T]) -> T:
    """What the main process makes, in all of them; the others wait for it."""
    made: list[Any] = gathered(make() if is_main() else None)
    return made[0]  # type: ignore[no-any-return]


@contextmanager
def joined() -> Iterator[None]:
    """Connects the processes of a launcher. The main one speaks; of errors, the first to fail.

    Raises:
        RefusedError: the launcher is told to cut the model into parts.
        RunError: another process has died without a word.
        SystemExit: instead of an error where another process has failed before.
    """
    if size() == 1:
        yield
        return
    store = _connect()
    with open(os.devnull, "w") as nothing:
        heard = (sys.stdout, sys.stderr) if is_main() else (nothing, nothing)
        try:
            _require_whole()
            with redirect_stdout(heard[0]), redirect_stderr(heard[1]):
                yield
        except Exception as error:
            if not _is_first(store):
                raise SystemExit(getattr(error, "exit_code", 1)) from None
            if _is_lost(error):
                raise RunError("another process was killed; go on with --resume") from error
            raise


def _connect() -> Any:
    """Makes a process group of all; what is returned holds what they tell each other."""
    import torch
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    there = torch.cuda.device_count()
    if local_rank() < there:
        torch.cuda.set_device(local_rank())
    store, _, _ = next(rendezvous("env://", timeout=MEETING))
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if there else "gloo",
        store=PrefixStore("group", store),
        rank=rank(),
        world_size=size(),
        timeout=PATIENCE,
    )
    return store


def _require_whole() -> None:
    for way in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{way}", "false").lower() == "true":
            raise RefusedError(
                f"each process holds the whole model: launch them without {way} (--multi_gpu)"
            )


def _is_lost(error: Exception) -> bool:
    """Whether another process can't be reached any more; gloo has no error of its own for that."""
    from torch import distributed

    return isinstance(error, distributed.DistError) or "/gloo/" in str(error)


def _is_first(store: Any) -> bool:
    from torch import distributed

    try:
        return bool(store.add("failed", 1) == 1)
    except distributed.DistError:
        return False
