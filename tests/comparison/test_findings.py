"""What the numbers are said to mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonkit.comparison.findings import higher, no_higher, no_worse


def gap(low: float, high: float) -> dict[str, float]:
    return {"difference": (low + high) / 2, "low": low, "high": high}


@pytest.mark.parametrize(
    ("low", "high", "above", "not_above"),
    [
        (0.01, 0.2, "confirmed", "contradicted"),
        (-0.2, -0.01, "contradicted", "confirmed"),
        (-0.01, 0.2, "undecided", "undecided"),
    ],
)
def test_an_interval_that_holds_zero_decides_nothing(
    low: float, high: float, above: str, not_above: str
) -> None:
    assert higher({}, {}, gap(low, high)) == above
    assert no_higher({}, {}, gap(low, high)) == not_above


def test_as_good_and_cheaper_is_better_and_as_good_and_dearer_is_not() -> None:
    alike = gap(-0.01, 0.01)
    assert no_worse(alike, cheaper=True) == "confirmed"
    assert no_worse(alike, cheaper=False) == "contradicted"
    assert no_worse(gap(-0.2, 0.0), cheaper=True) == "undecided"


def test_rules_that_the_parts_cannot_test_are_left_out(compared: Path) -> None:
    summary = json.loads((compared / "summary.json").read_text())
    outcomes = {rule["claim"].split(",")[0]: rule["outcome"] for rule in summary["rules"]}
    assert not [claim for claim in outcomes if "istill" in claim or "student" in claim]
    assert outcomes["Reasoning models are expensive per query."] == "confirmed"
    said = " ".join(summary["findings"])
    assert "grpo is the most accurate way with abacus: 75.0%" in said
    assert "grpo from 37 queries" in said
