"""A process that hangs is named, and ended with the others.

Each is heard of every few seconds, from a thread beside its work: so one is missed that is stopped,
whose machine is frozen or gone, or that is stuck where no Python code can run; long rollouts and
rewards are none of these. Rank 0 listens to all, and all listen to it. Counted are one's own beats
that nothing came back for, so that all may be stopped and go on together. Leaves out a process that
waits forever and lives, and one that has died: whoever waits for that is told at once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any

from reasonkit import console, processes
from reasonkit.errors import RefusedError, RunError

BEAT = 5.0
"""Seconds between two signs of life."""

MISSED = 12
"""So many that never came are a process that hangs."""

LAST = 30.0
"""Seconds that a process has for ending by itself, once another hangs."""

Places = list[tuple[str, int, int]]
"""Each process's host, process id and port."""


@contextmanager
def noticed(store: Any) -> Iterator[None]:
    """Watches the processes that work together.

    Args:
        store: of `reasonkit.processes.joined`; None where there is one process.

    Raises:
        RefusedError: one doesn't reach another.
    """
    if store is None:
        yield
        return
    try:
        peers, places = _meet()
    except OSError as error:
        raise RefusedError(f"processes 0 and {processes.rank()} don't meet: {error}") from error
    ended = threading.Event()
    threading.Thread(target=_listen, args=(peers, places, store, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _meet() -> tuple[dict[int, socket.socket], Places]:
    """Connections to those that are listened to, by rank."""
    peers = {}
    with socket.create_server(("", 0)) as server:
        server.settimeout(processes.MEETING.total_seconds())
        here = (socket.gethostname(), os.getpid(), server.getsockname()[1])
        places = processes.gathered(here)
        if not processes.is_main():
            peers[0] = socket.create_connection((os.environ["MASTER_ADDR"], places[0][2]))
            peers[0].send(processes.rank().to_bytes(4, "big"))
        while processes.is_main() and len(peers) < processes.size() - 1:
            peer, _ = server.accept()
            peers[int.from_bytes(peer.recv(4), "big")] = peer
    for peer in peers.values():
        peer.setblocking(False)
    return peers, places


def _listen(
    peers: dict[int, socket.socket], places: Places, store: Any, ended: threading.Event
) -> None:
    missed = dict.fromkeys(peers, 0)
    while not ended.wait(BEAT):
        for rank, peer in list(peers.items()):
            missed[rank] += 1
            try:
                peer.send(b".")
                heard = peer.recv(4096)
            except BlockingIOError:
                if missed[rank] < MISSED:
                    continue
                for other in peers.values():
                    with suppress(OSError):
                        other.send(str(rank).encode())
                _end(rank, places, store, found=True)
                return
            except OSError:
                heard = b""
            if named := heard.strip(b"."):
                _end(int(named), places, store, found=False)
                return
            missed[rank] = 0
            if not heard:
                del peers[rank]
    for peer in peers.values():
        peer.close()


def _end(hung: int, places: Places, store: Any, found: bool) -> None:
    """Ends the process that hangs; its peers hear of that and end, or else are ended.

    Args:
        found: whether this process did. Rank 0 is found by all, and named by one of each machine.
    """
    last = threading.Timer(LAST, os._exit, (RunError.exit_code,))
    last.daemon = True
    last.start()
    host, pid, _ = places[hung]
    if found and (hung or processes.rank() == 1 or processes.local_rank() == 0):
        with redirect_stderr(sys.__stderr__):
            console.show_error(
                f"process {hung} of {len(places)} (pid {pid} on {host}) hangs: nothing was heard "
                f"of it for {BEAT * MISSED:g} s; go on with --resume"
            )
    # The store may be a part of the one that hangs.
    if hung or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        processes.is_first(store)
    if host == socket.gethostname():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
