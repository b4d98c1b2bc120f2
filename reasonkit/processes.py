"""Several processes that work on one run: which one this is, what all have, and who speaks.

A launcher (``torchrun``, ``accelerate launch``, ``reasonkit --processes``) starts one command
several times and says in the environment, in torch.distributed's words, which is which; ``srun``
has words of its own. Rank 0 is the main process: it alone writes files and speaks. A process on its
own is the main one of one, and loads no torch here.

Leaves out MPI's ways of saying the rank, and machines that share no folder.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from typing import Any, TypeVar

from reasonkit.errors import RefusedError, RunError

T = TypeVar("T")

KIBIBYTE = 1 if sys.platform == "darwin" else 1024
"""Bytes of a unit of ``ru_maxrss``."""

MEETING = timedelta(minutes=5)
"""How long a process waits for the others to be there."""

PATIENCE = timedelta(days=1)
"""How long a process waits for the others. That one has died is noticed at once, and that one hangs
by `reasonkit.hanging`."""


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


def handed_out(tensor: Any, device: Any) -> Any:
    """What the main process has, in all of them, on this device; the others know its shape."""
    import torch
    from torch import distributed

    given = tensor.detach()
    made = torch.empty(given.shape, dtype=given.dtype, device=device)
    if is_main():
        made.copy_(given)
    distributed.broadcast(made, 0)
    return made


@contextmanager
def joined() -> Iterator[Any]:
    """Connects the processes of a launcher. The main one speaks; of errors, the first to fail.

    What is given holds what they tell each other; None where there is one process.

    Raises:
        RefusedError: they can't meet, or the launcher is told to cut the model into parts.
        RunError: another process has died without a word.
        SystemExit: instead of an error where another process has failed before.
    """
    _understand_srun()
    if size() == 1:
        yield None
        return
    store = _connect()
    with open(os.devnull, "w") as nothing:
        heard = (sys.stdout, sys.stderr) if is_main() else (nothing, nothing)
        try:
            _require_unsharded()
            with redirect_stdout(heard[0]), redirect_stderr(heard[1]):
                yield store
        except Exception as error:
            # A launcher stops the others of one that has failed, in the midst of their last words.
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if not is_first(store):
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

    if "TORCHELASTIC_RUN_ID" in os.environ and sys.platform == "linux":
        # PR_SET_PDEATHSIG: nobody stops them any more once the launcher is killed.
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    there = torch.cuda.device_count()
    if local_rank() < there:
        torch.cuda.set_device(local_rank())
    try:
        store, _, _ = next(rendezvous("env://", timeout=MEETING))
    except distributed.DistError as error:
        where = ":".join(os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT"))
        if not is_main():
            raise RefusedError(
                f"process {rank()} doesn't find the others at {where}: is it reachable?"
            ) from error
        raise RefusedError(
            f"{where} can't be listened at, another program may: set MASTER_PORT to a free port, "
            f"or let torchrun choose one (--standalone)"
        ) from error
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if there else "gloo",
        store=PrefixStore("group", store),
        rank=rank(),
        world_size=size(),
        timeout=PATIENCE,
    )
    return store


def _understand_srun() -> None:
    """Says in torch.distributed's words what ``srun`` says, where no other launcher did."""
    told = os.environ
    # A batch script has a rank too, but no step.
    if "RANK" in told or not {"SLURM_PROCID", "SLURM_STEP_ID", "SLURM_NTASKS"} <= told.keys():
        return
    tasks = told.get("SLURM_STEP_TASKS_PER_NODE", told["SLURM_NTASKS"])
    nodes = told.get("SLURM_STEP_NODELIST", "127.0.0.1")
    # The first of node[07-12,20],other.
    first = re.sub(r"\[(\w+)[^]]*\].*", r"\1", nodes).partition(",")[0]
    words = {
        "RANK": told["SLURM_PROCID"],
        "WORLD_SIZE": told["SLURM_NTASKS"],
        "LOCAL_RANK": told.get("SLURM_LOCALID", "0"),
        "LOCAL_WORLD_SIZE": re.split(r"\D", tasks)[0],
        "MASTER_ADDR": first,
        "MASTER_PORT": str(20_000 + int(told.get("SLURM_JOB_ID", 0)) % 10_000),
    }
    for name, value in words.items():
        told.setdefault(name, value)


def _require_unsharded() -> None:
    for way in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{way}", "false").lower() == "true":
            raise RefusedError(
                f"{way} is not asked for of the launcher: leave it out there (--multi_gpu) and "
                "pass --shard"
            )


def _is_lost(error: Exception) -> bool:
    """Whether another process can't be reached any more; gloo has no error of its own for that."""
    from torch import distributed

    return isinstance(error, distributed.DistError) or "/gloo/" in str(error)


def is_first(store: Any) -> bool:
    """Whether no other has failed before; told to all."""
    from torch import distributed

    try:
        return bool(store.add("failed", 1) == 1)
    except distributed.DistError:
        return False
