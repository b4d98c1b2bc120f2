"""One command in several processes on this machine, started by torchrun's own agent.

Each is the command again, with its rank in the environment. Signals go to all of them, and this
process waits until they have ended. Where there are other machines, of which ``PET_NNODES``,
``PET_NODE_RANK``, ``PET_MASTER_ADDR`` and ``PET_MASTER_PORT`` tell as they tell torchrun, each does
the same. Leaves out starting anything there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType
from typing import Any

import psutil  # type: ignore[import-untyped]

from reasonkit import console, processes
from reasonkit.errors import RefusedError, RunError
from reasonkit.interruption import handled

MEET = ("PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_NODE_RANK")
"""What torchrun's environment tells of where machines meet."""

SECONDS = 1.0
"""Between two looks at the processes: the others of one that fails end by themselves meanwhile."""


def share(count: int) -> None:
    """Does the work of this process in so many others, where it is to be shared and isn't yet.

    Raises:
        RefusedError: a launcher has started another number of them.
        RunError: one was killed, and none was left to say so.
        SystemExit: in place of the command, with the exit code of the processes.
    """
    there = processes.size()
    if there > 1 and count not in (1, there, processes.local_size()):
        raise RefusedError(f"--processes {count}: a launcher has started {there}: leave it out")
    if there == 1 and count * (nodes := _nodes()) > 1:
        sys.exit(_start(count, nodes))


def _nodes() -> int:
    """Machines that are to meet, as torchrun's environment tells.

    Raises:
        RefusedError: their number isn't fixed, or nothing tells where they meet.
    """
    told = os.environ.get("PET_NNODES", "1")
    if not told.isdigit() or int(told) < 1:
        raise RefusedError(f"PET_NNODES={told}: expected a fixed number of machines")
    missing = [name for name in MEET if name not in os.environ]
    if int(told) > 1 and missing:
        raise RefusedError(f"PET_NNODES={told} machines meet by {', '.join(missing)}: set them too")
    return int(told)


def _start(count: int, nodes: int) -> int:
    with console.doing("loading torch"):
        import torch
        from torch.distributed import DistError
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, launch_agent

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
    meeting: dict[str, Any] = {
        "rdzv_backend": "c10d",
        "rdzv_endpoint": "127.0.0.1:0",
        "local_addr": "127.0.0.1",
    }
    if nodes > 1:
        host, port, rank = (os.environ[name] for name in MEET)
        meeting = {
            "rdzv_backend": "static",
            "rdzv_endpoint": f"{host}:{port}",
            "rdzv_configs": {"rank": int(rank)},
            "rdzv_timeout": int(processes.MEETING.total_seconds()),
        }
    config = LaunchConfig(
        **meeting,
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=count,
        run_id="reasonkit",
        max_restarts=0,
        monitor_interval=SECONDS,
        signals_to_handle="SIGHUP",
    )
    again = ["-P", "-m", "reasonkit", *sys.argv[1:]]

    def hand_on(number: int, frame: FrameType | None) -> None:
        for child in psutil.Process().children():
            child.send_signal(number)

    try:
        with handled(hand_on):
            launch_agent(config, sys.executable, again)
    except DistError as error:
        raise RunError(
            f"the {nodes} machines haven't met at {config.rdzv_endpoint}: are all of them there?"
        ) from error
    except ChildFailedError as error:
        codes = {rank: int(failure.exitcode) for rank, failure in sorted(error.failures.items())}
        killed = [rank for rank, code in codes.items() if code < 0]
        if killed and RunError.exit_code not in codes.values():
            name = signal.Signals(-codes[killed[0]]).name
            raise RunError(
                f"process {killed[0]} of {count} was ended by {name}; go on with --resume"
            ) from None
        return RunError.exit_code if killed else max(codes.values())
    return 0
