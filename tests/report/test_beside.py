"""Finished runs side by side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonkit.errors import RefusedError
from reasonkit.report.beside import side_by_side

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

SMALL = (
    "--steps", 4, "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 24,
    "--test-size", 8, "--validation-size", 4, "--validate-every", 2, "--save-every", 2,
    "--no-baselines", "--device", "cpu",
)  # fmt: skip
"""As in `tests/test_survival.py`, so that the run is made once."""


@pytest.fixture
def run(made: Callable) -> Path:
    return Path(made("grpo", *SMALL))


def rewritten(run: Path, to: Path, right: list[bool]) -> Path:
    """A copy of a run whose first answers were right or not, and the rest not asked."""
    shutil.copytree(run, to)
    path = to / "evaluations/after.json"
    told = json.loads(path.read_text())
    told["verdicts"] = [
        {**verdict, "correct": was} for verdict, was in zip(told["verdicts"], right, strict=False)
    ]
    path.write_text(json.dumps(told))
    return to


def test_runs_are_paired_on_the_questions_that_all_have_answered(
    run: Path, tmp_path: Path, reasonkit: Callable
) -> None:
    worse = rewritten(run, tmp_path / "worse", [False] * 6)
    better = rewritten(run, tmp_path / "better", [True] * 8)
    made = side_by_side([worse, better])
    assert "the same 6 test questions" in made.title
    assert made.rows[0][2:] == ["0.0% (0.0–39.0)", made.rows[0][3], "–", "–"]
    assert made.rows[1][4].startswith("+100.0")
    assert made.rows[1][5] == "0.031"
    ended = reasonkit("runs", worse, better)
    assert ended.code == 0, ended.err
    assert "+100.0" in ended.out
    compared = reasonkit("compare", worse, better)
    assert compared.code == 2
    assert f"reasonkit runs {worse} {better}" in " ".join(compared.err.split())


def test_runs_that_have_nothing_in_common_are_refused(run: Path, tmp_path: Path) -> None:
    other = rewritten(run, tmp_path / "other", [])
    with pytest.raises(RefusedError, match="no test question is common"):
        side_by_side([run, other])
    (other / "evaluations/after.json").unlink()
    with pytest.raises(RefusedError, match="has not been measured"):
        side_by_side([run, other])
