"""What the numbers are said to mean."""

from __future__ import annotations

import json
from pathlib import Path

from reasonkit.comparison.findings import _higher, _no_worse
from reasonkit.comparison.rows import Difference


def test_an_interval_that_holds_zero_decides_nothing() -> None:
    assert _higher(Difference(0.1, 0.01, 0.2, 0.03)) == "confirmed"
    assert _higher(Difference(-0.1, -0.2, -0.01, 0.03)) == "contradicted"
    assert _higher(Difference(0.1, -0.01, 0.2, 0.1)) == "undecided"


def test_as_good_and_cheaper_is_better_and_as_good_and_dearer_is_not() -> None:
    alike = Difference(0.0, -0.01, 0.01, 1.0)
    assert _no_worse(alike, cheaper=True) == "confirmed"
    assert _no_worse(alike, cheaper=False) == "contradicted"
    assert _no_worse(Difference(-0.1, -0.2, 0.0, 0.1), cheaper=True) == "undecided"


def test_rules_that_the_parts_cannot_test_are_left_out(compared: Path) -> None:
    summary = json.loads((compared / "summary.json").read_text())
    outcomes = {rule["claim"].split(",")[0]: rule["outcome"] for rule in summary["rules"]}
    assert not [claim for claim in outcomes if "istill" in claim or "student" in claim]
    assert outcomes["Reasoning models are expensive per query."] == "confirmed"
    said = " ".join(summary["findings"])
    assert "grpo is the most accurate way with abacus: 75.0%" in said
    assert "grpo from 37 queries" in said
