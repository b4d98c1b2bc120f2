"""`--dry-run` of every command that makes a run: the plan is printed, and nothing is made."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

PLANS = {
    "grpo": ((), ("pass@G", "ε does nothing", "at this length", "keys and values", "available")),
    "distill": (
        ("--teacher", "abacus", "--keep", "answer=0", "--questions", 130),
        ("abacus-mini", "130 questions × 2", "would be kept"),
    ),
    "sft-rl": ((), ("cold-start", "rl", "rejection", "final-rl")),
    "vote": (("--n", 4), (r"at most [\d,]+, baselines",)),
    "verifier": ((), ("held out",)),
    "compare": (
        ("--budget", "1e12"),
        ("base", "sft-rl", "student-distill", "--steps", "--questions"),
    ),
}


@pytest.mark.parametrize("command", PLANS)
def test_a_dry_run_prints_the_plan_and_makes_nothing(
    reasonkit: Callable, in_an_empty_folder: None, command: str
) -> None:
    flags, told = PLANS[command]
    ended = reasonkit(command, "--dry-run", "--device", "cpu", *flags)
    assert ended.code == 0, ended.err
    assert [pattern for pattern in told if not re.search(pattern, ended.err)] == []
    assert not list(Path().iterdir())
