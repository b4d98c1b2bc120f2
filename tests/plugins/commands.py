"""Commands, called in this process or launched as one of their own, and the runs they leave."""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def reasonkit(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Calls the command line as the console script does."""
    from reasonkit import cli

    def call(*argv: object) -> Outcome:
        monkeypatch.setattr("sys.argv", ["reasonkit", *map(str, argv)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        written = capsys.readouterr()
        return Outcome(left.value.code or 0, written.out, written.err)

    return call


class Launched:
    """A command in a process of its own."""

    def __init__(self, server: socket.socket, folder: Path, **request: object) -> None:
        self._streams = (folder / "out", folder / "err")
        self._told, theirs = socket.socketpair()
        with theirs, self._streams[0].open("wb") as out, self._streams[1].open("wb") as err:
            socket.send_fds(server, [b"!"], [out.fileno(), err.fileno(), theirs.fileno()])
        self._told.sendall(json.dumps(request).encode() + b"\n")
        self.pid = self._number()

    def _number(self) -> int:
        return int.from_bytes(self._told.recv(8), sys.byteorder, signed=True)

    def said(self) -> str:
        """What has been written to stdout so far."""
        return self._streams[0].read_text()

    def until(self, happened: Callable[[], object]) -> Launched:
        """Waits for something as long as the command runs."""
        while not happened() and not select.select([self._told], [], [], 0.001)[0]:
            pass
        return self

    def signalled(self, number: int) -> Outcome:
        """Sends a signal and waits for the end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return self.ended()

    def ended(self) -> Outcome:
        """Waits for the end; the code of one that a signal has ended is negative."""
        with self._told:
            return Outcome(self._number(), *(path.read_text() for path in self._streams))


def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of one session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def start_server(path: Path) -> None:
    """Starts what commands are forks of; it ends once nobody is connected any more."""
    path.unlink(missing_ok=True)
    program = Path(__file__).with_name("fork_server.py")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        subprocess.Popen(
            [sys.executable, "-P", program, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture(scope="session")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Launched]]:
    """Starts ``python -m reasonkit ARGV``, as a fork of a process that has loaded torch.

    ARGV may be ``-c CODE ARGUMENT…`` too, as python's own.
    """
    folder = shared(tmp_path_factory)
    with socket.socket(socket.AF_UNIX) as ours:
        with FileLock(folder / "forks.lock"):
            try:
                ours.connect(str(folder / "forks"))
            except OSError:
                start_server(folder / "forks")
                ours.connect(str(folder / "forks"))

        def start(*argv: object, cwd: Path | None = None, **env: str) -> Launched:
            return Launched(
                ours,
                tmp_path_factory.mktemp("launched"),
                argv=[*map(str, argv)],
                cwd=str(cwd or Path.cwd()),
                env={**os.environ, **env},
            )

        yield start


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder that is filled once, by the test that first asks, and then only read.

    Workers of one session share it.
    """
    base = shared(tmp_path_factory)

    def once(key: object, fill: Callable[[Path], None]) -> Path:
        folder = base / "once" / hashlib.sha256(repr(key).encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not (folder / "filled").exists():
                fill(folder)
                (folder / "filled").touch()
        return folder

    return once


@pytest.fixture(scope="session")
def made(launch: Callable, once: Callable) -> Callable[..., Path]:
    """The run that a command leaves, as of `once`; what the command said is in the file beside."""

    def made(*argv: object) -> Path:
        def fill(folder: Path) -> None:
            ended = launch(*argv, "--run-dir", "run", cwd=folder).ended()
            assert ended.code == 0, ended.err
            (folder / "said").write_text(ended.out + ended.err)

        return Path(once(argv, fill)) / "run"

    return made


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stopped(tmp_path: Path) -> Callable[..., Path]:
    """Copies a finished run as it was before its end, and before these of its files were there."""

    def stopped(run: Path, *gone: str, name: str = "stopped") -> Path:
        copy = Path(shutil.copytree(run, tmp_path / name))
        for pattern in ("summary.json", "report.html", *gone):
            for path in copy.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        record = json.loads((copy / "run.json").read_text())
        (copy / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
        return copy

    return stopped
