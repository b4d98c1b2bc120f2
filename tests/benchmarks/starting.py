"""Times how long the commands that list things take to start, beside ``trl --help``.

All of them by turns, from the environment of this Python. Prints seconds (median and range) and the
ratio of medians, and writes them as JSON::

    python tests/benchmarks/starting.py --rounds 20 --output starting.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

PEER = "trl --help"
OURS = [f"reasonkit {asked}" for asked in ("--help", "models", "tasks", "rewards", "runs")]


def seconds(command: str) -> float:
    """Of one call."""
    name, *rest = command.split()
    started = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).parent / name, *rest], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def main(rounds: int, output: Path | None) -> None:
    """Measures and prints everything; the first round, from cold files, doesn't count."""
    commands = [PEER, *OURS]
    turns = [{command: seconds(command) for command in commands} for _ in range(rounds + 1)]
    taken = {command: [turn[command] for turn in turns[1:]] for command in commands}
    peer = statistics.median(taken[PEER])
    record = {}
    for command, values in taken.items():
        middle = statistics.median(values)
        record[command] = {"seconds": sorted(values), "ratio": middle / peer}
        print(
            f"{command:20} {middle:.3f} s ({min(values):.3f} to {max(values):.3f})"
            f"  {middle / peer:.2f} times {PEER}"
        )
    if output is not None:
        output.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path)
    main(**vars(parser.parse_args()))
