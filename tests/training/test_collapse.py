"""The rule by which a policy is said to have collapsed."""

from __future__ import annotations

from typing import Any

import pytest

from reasonkit.training.rollback import Standing, standing


def records(*accuracies: float) -> list[dict[str, Any]]:
    """Validations with an interval of ±0.1, ten steps apart, and steps between them."""
    made: list[dict[str, Any]] = []
    for i, accuracy in enumerate(accuracies):
        made.append({"step": 10 * i, "validation": accuracy, "validation_low": accuracy - 0.1})
        made.append({"step": 10 * i + 5.0, "reward": 1.0})
    return made


@pytest.mark.parametrize(
    ("accuracies", "best_step", "collapsed"),
    [
        ([], None, False),
        ([0.5], 0, False),
        ([0.5, 0.9, 0.7], 10, False),
        ([0.5, 0.9, 0.7, 0.7], 10, True),
        ([0.5, 0.9, 0.7, 0.85, 0.7], 10, False),
        ([0.5, 0.9, 0.81, 0.82, 0.83], 10, False),
        ([0.5, 0.9, 0.7, 0.9, 0.7], 30, False),
        ([0.9, 0.7, 0.7, 0.95], 30, False),
    ],
)
def test_two_validations_below_the_bests_interval_are_a_collapse(
    accuracies: list[float], best_step: int | None, collapsed: bool
) -> None:
    found = standing(records(*accuracies))
    assert (found.best_step, found.collapsed) == (best_step, collapsed)


def test_of_equal_validations_the_latest_is_best() -> None:
    assert standing(records(0.5, 0.9, 0.9, 0.85)) == Standing(20, 0.9, 0.8, 0)


def test_where_general_prompts_are_taken_in_the_score_decides() -> None:
    accuracy_falls = [
        {
            "step": step,
            "validation": 0.9 - 0.2 * step,
            "validation_low": 0.8 - 0.2 * step,
            "validation_score": 0.5 + 0.1 * step,
            "validation_score_low": 0.4 + 0.1 * step,
        }
        for step in range(3)
    ]
    found = standing(accuracy_falls)
    assert (found.best_step, found.collapsed) == (2, False)
