"""The sentence that heads terminal, summary and page, and what is said to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reasonkit import runs
from reasonkit.report import verdict


def gap(difference: float, low: float, high: float) -> dict[str, float]:
    return {"difference": difference, "low": low, "high": high}


def share(accuracy: float) -> dict[str, float]:
    return {"accuracy": accuracy, "n": 60}


BETTER, OPEN, WORSE = gap(0.3, 0.2, 0.4), gap(0.02, -0.1, 0.1), gap(-0.3, -0.4, -0.2)


def trained(paired: dict[str, float], **more: Any) -> dict[str, Any]:
    known = {"command": "grpo", "model": "abacus", "task": "arithmetic"}
    return {**known, "before": share(0.1), "after": share(0.4), "paired": paired, **more}


@pytest.mark.parametrize(
    ("paired", "word"),
    [(BETTER, "Learned:"), (OPEN, "No difference that can be told:"), (WORSE, "Got worse:")],
)
def test_the_interval_settles_what_is_said(paired: dict[str, float], word: str) -> None:
    said = verdict.of(trained(paired))
    assert said.startswith(word)
    assert "10.0% → 40.0% of 60 questions" in said
    assert f"{paired['low'] * 100:+.1f} to {paired['high'] * 100:+.1f}" in said


def test_another_prompt_is_spoken_of_only_where_one_was_measured() -> None:
    assert "prompt" not in verdict.of(trained(BETTER, baselines={}, paired_with_best_wording=None))
    worded = {"lets-think": share(0.7), "explain": share(0.2)}
    for pair, words in (
        (WORSE, 'but below the best prompt, "Let\'s think step by step.": -30.0 points'),
        (BETTER, "also above the best prompt"),
        (OPEN, "not told apart from the best prompt"),
    ):
        said = verdict.of(trained(BETTER, baselines=worded, paired_with_best_wording=pair))
        assert words in said


def test_a_vote_is_held_to_the_strongest_greedy_answer() -> None:
    rivals = {"adaptive": WORSE, "greedy": OPEN, "step-by-step": BETTER}
    vote = {"strategies": [], "strategy": "majority", "n": 8, "paired_with": rivals}
    said = verdict.of(trained(BETTER, **vote))
    assert said.startswith("Majority of 8 is better than one sample: 10.0% → 40.0%")
    assert "not told apart from one greedy answer: +2.0 points" in said
    assert "greedy" not in verdict.of(trained(BETTER, **vote | {"paired_with": {}}))


def test_what_is_said_to_do_next_depends_on_what_came_of_it(tmp_path: Path) -> None:
    config = {"learning_rate": 3e-4}
    run = runs.create("grpo", "abacus", "arithmetic", config, tmp_path / "a run", ["reasonkit"])
    run.final.mkdir()
    wanted = {
        "better": (BETTER, "push"),
        "open": (OPEN, "--steps +100"),
        "worse": (WORSE, "0.0001"),
    }
    for paired, word in wanted.values():
        commands = [command for command, _ in verdict.following(run, trained(paired))]
        assert len(commands) == 3
        assert commands[0] == f"reasonkit chat '{run.path}'"
        assert any(word in command for command in commands), commands
