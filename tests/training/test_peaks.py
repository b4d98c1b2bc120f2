"""Memory as it is: limits of groups of processes, and the peak of each phase."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
import torch

from reasonkit.training import peaks
from reasonkit.training.peaks import Peaks, available, give_back, held

MEGABYTE = 2**20
PROCESS = Path("/proc/self/cgroup")


SECOND = ("memory.max", "memory.current", "")
FIRST = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")


def own() -> int:
    told = psutil.Process().memory_info()
    return int(told.rss - told.shared)


def test_what_is_there_is_what_is_held_and_what_is_free() -> None:
    assert own() < available("cpu") <= psutil.virtual_memory().total + held("cpu")


@pytest.mark.parametrize(
    ("line", "folder", "names"),
    [
        ("0::/box", "box", SECOND),
        ("0::/box/inner", "box", SECOND),
        ("4:memory:/box", "memory/box", FIRST),
    ],
)
def test_the_limit_of_a_group_of_processes_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    folder: str,
    names: tuple[str, str, str],
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    limit, usage, prefix = names
    (tmp_path / folder / limit).write_text("900\n")
    (tmp_path / folder / usage).write_text("700\n")
    (tmp_path / folder / "memory.stat").write_text(
        f"{prefix}active_file 40\n{prefix}inactive_file 10\n"
    )
    (tmp_path / "own").write_text(f"7:cpu:/\n{line}\n")
    monkeypatch.setattr(peaks, "GROUPS", tmp_path)
    monkeypatch.setattr(peaks, "OWN_GROUPS", tmp_path / "own")
    assert available("cpu") - own() == pytest.approx(250, abs=20 * MEGABYTE)
    (tmp_path / "weights").write_bytes(bytes(100 * MEGABYTE))
    before, there = held("cpu"), available("cpu")
    weights = torch.from_file(str(tmp_path / "weights"), size=100 * MEGABYTE, dtype=torch.uint8)
    assert weights.sum() == 0 and held("cpu") > before + 90 * MEGABYTE
    assert available("cpu") < there + 20 * MEGABYTE, "a mapped file is not counted twice"
    (tmp_path / folder / limit).write_text("max\n" if names == SECOND else f"{2**62}\n")
    assert available("cpu") > own() + 20 * MEGABYTE


def test_each_phase_has_its_own_peak() -> None:
    give_back()
    seen = Peaks("cpu")
    with seen.watched("update"):
        with seen.during("rollout"):
            small = torch.ones(20 * MEGABYTE // 4)
            time.sleep(5 * peaks.INTERVAL)
            del small
        large = torch.ones(100 * MEGABYTE // 4)
        time.sleep(5 * peaks.INTERVAL)
        del large
    grown = {phase: most - seen.start for phase, most in seen.bytes.items()}
    assert 15 * MEGABYTE < grown["rollout"] < 60 * MEGABYTE
    assert 90 * MEGABYTE < grown["update"] < 150 * MEGABYTE
    assert seen.most == seen.bytes["update"]
