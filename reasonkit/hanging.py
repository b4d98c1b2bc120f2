"""A process that hangs is named, and ended with the others; so are all that wait for each other.

Each is heard of every few seconds, from a thread beside its work: so one is missed that is stopped,
whose machine is frozen or gone, or that is stuck where no Python code can run; long rollouts and
rewards are none of these. Rank 0 listens to all, and all listen to it. Counted are one's own beats
that nothing came back for, so that all may be stopped and go on together.

What is heard is a line: where the process waits for others without doing anything; empty where it
works, or waits for something else. Where all do so for long, what they wait for never comes: a
collective operation is stuck, or they have come to different ones.

Leaves out a process that has died: whoever waits for that is told at once. Leaves out what is stuck
on GPUs: who waits for one keeps a core busy, as who works with it does.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from reasonkit import console, processes
from reasonkit.errors import RefusedError, RunError

BEAT = 5.0
"""Seconds between two signs of life."""

MISSED = 12
"""So many that never came are a process that hangs."""

STUCK = 180
"""So many in a row, in each of which all wait, are a collective operation that is stuck."""

IDLE = 0.01
"""The share of its time that a thread on a CPU works at most while it waits."""

WAITING = ("torch.distributed.", "torch.autograd.", "deepspeed.")
"""Modules that wait for other processes, in a collective operation or a backward pass."""

WRITING = "torch.distributed.checkpoint."
"""Of those, what waits for a disk."""

LAST = 30.0
"""Seconds that a process has for ending by itself, once another hangs."""

VERDICT = "!"
"""Begins a line that ends all: the rank that hangs, or none where all wait for each other."""

Places = list[tuple[str, int, int]]
"""Each process's host, process id and port."""


@dataclass(slots=True)
class _Peer:
    """Another process: its beats that never came, and where it waits."""

    socket: socket.socket
    missed: int = 0
    waits: str = ""
    unread: bytes = b""

    def exchange(self, line: str) -> list[str] | None:
        """The lines that came since the last time, once it is told this one; None if it is gone.

        Raises:
            BlockingIOError: nothing came.
        """
        self.missed += 1
        try:
            self.tell(line)
            heard = self.socket.recv(4096)
        except BlockingIOError:
            raise
        except OSError:
            return None
        *lines, self.unread = (self.unread + heard).split(b"\n")
        self.missed = 0
        return [line.decode() for line in lines] if heard else None

    def tell(self, line: str) -> None:
        self.socket.send(f"{line}\n".encode())


class _Work:
    """What this process's main thread does, looked at from another."""

    def __init__(self) -> None:
        self.done, self.place = 0.0, ""

    def waits(self) -> str:
        """The line of code that it has waited at since it was looked at last; empty if it works."""
        if sys.platform != "linux":
            return ""
        main = threading.main_thread().ident or 0
        frame = sys._current_frames()[main]
        last = self.done, self.place
        self.place = ""
        if not _module(frame).startswith(WAITING) or _module(frame).startswith(WRITING):
            return ""
        while frame.f_back and not _module(frame).startswith("reasonkit."):
            frame = frame.f_back
        self.place = f"{_module(frame)}:{frame.f_lineno}"
        self.done = time.clock_gettime(time.pthread_getcpuclockid(main))
        idle = self.done - last[0] <= IDLE * BEAT
        return self.place if last[1] == self.place and idle else ""


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


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


def _meet() -> tuple[dict[int, _Peer], Places]:
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
    return {rank: _Peer(peer) for rank, peer in peers.items()}, places


def _listen(peers: dict[int, _Peer], places: Places, store: Any, ended: threading.Event) -> None:
    work, stuck = _Work(), 0
    while not ended.wait(BEAT):
        waits = work.waits()
        for rank, peer in list(peers.items()):
            try:
                heard = peer.exchange(waits)
            except BlockingIOError:
                if peer.missed < MISSED:
                    continue
                host, pid, _ = places[rank]
                # Rank 0 is found by all, and named by one of each machine.
                if rank or processes.rank() == 1 or processes.local_rank() == 0:
                    _say(
                        f"process {rank} of {len(places)} (pid {pid} on {host}) hangs: nothing "
                        f"was heard of it for {BEAT * MISSED:g} s; go on with --resume"
                    )
                _tell(peers, f"{VERDICT}{rank}")
                _end(rank, places, store)
                return
            if heard is None:
                del peers[rank]
                continue
            for line in heard:
                if line.startswith(VERDICT):
                    named = line.removeprefix(VERDICT)
                    _end(int(named) if named else None, places, store)
                    return
                peer.waits = line
        every = [waits, *(peer.waits for _, peer in sorted(peers.items()))]
        stuck = stuck + 1 if all(every) and len(every) == len(places) else 0
        if processes.is_main() and stuck >= STUCK:
            _say(
                f"all {len(places)} processes wait for each other, for {BEAT * STUCK:g} s: "
                f"{_told(every)}; go on with --resume"
            )
            _tell(peers, VERDICT)
            _end(None, places, store)
            return
    for peer in peers.values():
        peer.socket.close()


def _tell(peers: dict[int, _Peer], line: str) -> None:
    for peer in peers.values():
        with suppress(OSError):
            peer.tell(line)


def _told(every: list[str]) -> str:
    """Where each of them waits, by rank."""
    ranks: dict[str, list[str]] = {}
    for rank, place in enumerate(every):
        ranks.setdefault(place, []).append(str(rank))
    return "; ".join(f"{', '.join(at)} at {place}" for place, at in ranks.items())


def _say(line: str) -> None:
    with redirect_stderr(sys.__stderr__):
        console.show_error(line)


def _end(hung: int | None, places: Places, store: Any) -> None:
    """Ends the process that hangs; its peers hear of that and end, or else are ended.

    Args:
        hung: None where all wait: the main process hears of it from the others, which end first.
    """
    last = threading.Timer(LAST, os._exit, (RunError.exit_code,))
    last.daemon = True
    last.start()
    # The store may be a part of the one that hangs.
    if hung != 0 or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        processes.is_first(store)
    if hung is None:
        if not processes.is_main():
            os._exit(RunError.exit_code)
        return
    host, pid, _ = places[hung]
    if host == socket.gethostname():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
