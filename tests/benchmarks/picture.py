"""Draws the README's moving picture: a run in a terminal of its own, as an SVG that moves.

    pip install termtosvg-ng && python tests/benchmarks/picture.py reasonkit/docs/grpo.svg

Nothing is staged but the prompt: it is recorded whole, and shown in `SECONDS`. ``--cast FILE``
draws an earlier recording, which each run leaves beside the picture's place in ``build/``.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

COLUMNS, LINES = 86, 32
SECONDS, HELD = 24.0, 9.0
"""That the run is shown in, and its end."""

FRAME = 0.3
"""Seconds of a picture, at least."""

Event = list[float | str]


def record(command: list[str]) -> list[Event]:
    """What a command writes to a terminal, each piece with its second."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    started, events, kept = time.monotonic(), list[Event](), b""
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # So Linux says that nobody writes any more.
            break
        if not read:
            break
        kept += read
        text = kept.decode(errors="ignore")
        kept = kept[len(text.encode()) :]
        events.append([time.monotonic() - started, "o", text])
    os.waitpid(child, 0)
    return events


def shown(events: list[Event], typed: str) -> list[Event]:
    """The events in as many seconds as they are shown, behind what was typed."""
    keys: list[Event] = [[0.07 * i, "o", key] for i, key in enumerate(["$ ", *typed, "\r\n"])]
    begin, last = float(keys[-1][0]) + 0.3, float(events[-1][0])
    return keys + [[begin + float(at) / last * SECONDS, *rest] for at, *rest in events]


def main() -> None:
    """Records or reads, and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--cast", type=Path, help="an earlier recording, in place of a new one")
    parser.add_argument("--command", default="reasonkit grpo")
    asked = parser.parse_args()
    if asked.cast:
        lines = asked.cast.read_text(encoding="utf-8").splitlines()[1:]
        events: list[Event] = [json.loads(line) for line in lines]
    else:
        events = record(asked.command.split())
    head = json.dumps({"version": 2, "width": COLUMNS, "height": LINES})
    with tempfile.TemporaryDirectory() as folder:
        for name, kept in (("whole", events), ("shown", shown(events, asked.command))):
            text = "\n".join([head, *map(json.dumps, kept)]) + "\n"
            Path(folder, name).write_text(text, encoding="utf-8")
        if not asked.cast:
            Path("build").mkdir(exist_ok=True)
            Path("build", f"{asked.picture.stem}.cast").write_bytes(
                Path(folder, "whole").read_bytes()
            )
        frame, held = (str(round(1000 * seconds)) for seconds in (FRAME, HELD))
        draw = ["render", str(Path(folder, "shown")), str(asked.picture), "-t", "window_frame"]
        # Its other palettes have no bright colours, in which bold text is.
        look = ["--theme", "gjm8", "-m", frame, "-D", held]
        subprocess.run([sys.executable, "-m", "termtosvg", *draw, *look], check=True)


if __name__ == "__main__":
    main()
