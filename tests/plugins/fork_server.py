"""A process that has loaded what the commands load, and runs each command in a fork of itself.

Loading torch, transformers and TRL costs several times what a small run costs. A fork is what
``python -m reasonkit ARGV``, or ``python -c CODE ARGV``, would be: it has a pid, streams, a folder,
an environment, an exit code and a death of its own. Nothing but the questions that most commands
begin with is computed before a fork, and torch does nothing, so no thread is lost in it.

It listens on the socket that is its argument. A connection hands it, for each command, standard
output, standard error and a socket: on that one a line of JSON comes, and the pid and then the exit
code go.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any

NUMBER = struct.Struct("q")

LATE = (
    "accelerate", "matplotlib.backends.backend_svg", "peft", "scipy.stats", "sympy",
    "torch._dynamo", "transformers.models.auto.tokenization_auto",
    "transformers.models.qwen3.modeling_qwen3", "trl.trainer.grpo_trainer",
    "trl.trainer.sft_trainer",
)  # fmt: skip
"""What a command, or a library of its, imports only once it is at work."""


def load() -> None:
    """Imports the whole package, as far as what it needs is here, and what it imports late."""
    import reasonkit

    modules = [m.name for m in pkgutil.walk_packages(reasonkit.__path__, "reasonkit.")]
    for name in (*modules, *LATE):
        # What programs run in, in the sandbox, sets limits to its own process.
        if not name.endswith("__main__") and ".inside." not in name:
            with suppress(ImportError):
                importlib.import_module(name)
    for task in ("arithmetic", "general"):
        reasonkit.tasks.load(task)
    # What is there for good is neither searched for garbage nor copied for it in each fork.
    gc.freeze()


def run(
    command: Sequence[str], environment: Mapping[str, str] | None, passed: Sequence[int] = ()
) -> None:
    """Is ``python COMMAND`` from here to the end of this process.

    Args:
        passed: descriptors that stay open, beside the standard ones.
    """
    for low, high in pairwise((2, *sorted(passed), 4096)):
        os.closerange(low + 1, high)
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code: Any = 0
    try:
        if command[0] == "-c":
            sys.path.insert(0, "")
            sys.argv[:] = ["-c", *command[2:]]
            exec(command[1], {"__name__": "__main__"})
        else:
            sys.argv[1:] = command[command.index("reasonkit") + 1 :]
            runpy.run_module("reasonkit", run_name="__main__", alter_sys=True)
    except SystemExit as left:
        code = left.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


class Forking(subprocess.Popen):
    """Starts what is asked for; ``python -m reasonkit`` and ``python -c CODE`` as a fork.

    So does a command that starts another, for it is a fork too.
    """

    def __init__(self, args: Sequence[str], *others: Any, **options: Any) -> None:
        if args[0] == sys.executable and (args[1] == "-c" or "reasonkit" in args):
            # This is called between fork and exec, and never comes back.
            options["preexec_fn"] = partial(
                run, args[1:], options.get("env"), options.get("pass_fds", ())
            )
            options["restore_signals"] = False
        super().__init__(args, *others, **options)


def serve(listening: socket.socket) -> None:
    """Starts what it is asked to until nobody is connected any more.

    What those who leave have started and is still running is killed.
    """
    asking: dict[socket.socket, list[subprocess.Popen]] = {listening.accept()[0]: []}
    while asking:
        for one in select.select([listening, *asking], [], [])[0]:
            if one is listening:
                asking[listening.accept()[0]] = []
                continue
            asked, descriptors, *_ = socket.recv_fds(one, 1, 3)
            if asked:
                asking[one].append(start(*descriptors))
                continue
            for child in asking.pop(one):
                child.kill()
            one.close()
    os._exit(0)


def start(out: int, err: int, told: int) -> subprocess.Popen:
    """Starts what is asked for on a socket."""
    connection = socket.socket(fileno=told)
    request = json.loads(connection.makefile().readline())
    argv = request["argv"]
    child = subprocess.Popen(
        [sys.executable, *(argv if argv[0] == "-c" else ["-m", "reasonkit", *argv])],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        cwd=request["cwd"],
        env=request["env"],
    )
    os.close(out)
    os.close(err)
    connection.sendall(NUMBER.pack(child.pid))
    threading.Thread(target=tell, args=[child, connection], daemon=True).start()
    return child


def tell(child: subprocess.Popen, connection: socket.socket) -> None:
    """Waits for an end and says how it was."""
    with connection:
        connection.sendall(NUMBER.pack(child.wait()))


if __name__ == "__main__":
    from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load()
    subprocess.Popen = Forking  # type: ignore[misc]
    subprocess_handler.Popen = Forking  # type: ignore[misc]
    serve(socket.socket(fileno=int(sys.argv.pop())))
