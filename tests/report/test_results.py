"""What a vote came to, in words: where more samples stop paying, and what selection leaves."""

from __future__ import annotations

import pytest

from reasonkit.report import results
from reasonkit.report.tables import Record


def row(n: int, accuracy: float, name: str = "majority", prompt: str = "as asked") -> Record:
    return {"name": name, "prompt": prompt, "n": n, "accuracy": accuracy}


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ((0.2, 0.4, 0.6, 0.605), "flat from n = 4 on (60.0%; 60.5% of 8)"),
        ((0.2, 0.4, 0.405, 0.45), "still rising at n = 8: the last step adds 4.5 points"),
        ((0.4, 0.4, 0.4), "flat from n = 1 on"),
    ],
)
def test_the_knee_is_behind_the_last_step_that_adds_a_point(
    accuracies: tuple[float, ...], said: str
) -> None:
    rows = [row(2**i, accuracy) for i, accuracy in enumerate(accuracies)]
    (line,) = results._knee("majority", [*rows, row(8, 0.9, "weighted")])
    assert said in line


def test_one_size_has_no_knee() -> None:
    assert results._knee("beam", [row(16, 0.5, "beam")]) == []


def test_a_strategy_is_held_against_the_ceiling_of_its_prompt_and_size() -> None:
    rows = [row(4, 0.4), row(4, 0.8, "pass@n"), row(4, 0.9, "pass@n", "step by step"), row(1, 0.2)]
    assert [r["realised"] for r in results.realised(rows)] == [0.5, 1, 1, None]
