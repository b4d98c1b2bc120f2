"""`reasonkit verifier` from the outside, and a vote that ranks by what it makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_a_verifier_is_made_and_ranks(reasonkit: Callable, tmp_path: Path) -> None:
    made = reasonkit(
        "verifier", "--questions", 40, "--samples", 4, "--device", "cpu", "--run-dir", "verifier"
    )
    assert made.code == 0, made.err
    assert "AUC" in made.out
    assert (tmp_path / "verifier/report.html").exists()
    ended = reasonkit(
        "vote", "--verifier", "verifier", "--strategy", "best-of-n", "--also", "beam", "--n", 4,
        "--also", "dvts", "--also", "rebase", "--also", "self-select",
        "--test-size", 6, "--no-longer", "--no-baselines", "--device", "cpu", "--run-dir", "vote",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    summary = json.loads((tmp_path / "vote/summary.json").read_text())
    rows = {r["name"]: r for r in summary["strategies"] if r["n"] == 4}
    searches = {"beam", "dvts", "rebase"}
    assert {"best-of-n", "top-k-vote", "self-select", *searches} <= set(rows)
    assert all(rows[name]["tokens"] > 0 for name in searches)
    # It reads four answers, and then writes one more.
    assert rows["self-select"]["tokens"] > rows["best-of-n"]["tokens"]
    again = reasonkit("verifier", "--run-dir", "verifier", "--resume")
    assert again.code == 0
    assert "finished" in again.err
