"""The rows of a comparison, from the files of its parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonkit.comparison.rows import UNMEASURED, accuracy, difference
from reasonkit.evaluation import Evaluation, Verdict


def rows(compared: Path) -> dict[str, dict]:
    summary = json.loads((compared / "summary.json").read_text())
    return {row["name"]: row for row in summary["rows"]}


def test_rows_are_compared_on_the_same_questions(compared: Path) -> None:
    found = rows(compared)
    assert list(found) == ["abacus, asked directly", "majority of 8", "adaptive, at most 8", "grpo"]
    assert found["grpo"]["to_base"]["difference"] == pytest.approx(0.5)
    assert found["majority of 8"]["to_best"]["difference"] == pytest.approx(-0.25)
    assert [row["name"] for row in found.values() if row["best"]] == ["grpo"]


def test_training_is_paid_once_and_inference_on_every_query(compared: Path) -> None:
    found = rows(compared)
    assert found["grpo"]["training"]["flops"] == 1e6 * (2 * 1000 + 6 * 2000)
    assert found["majority of 8"]["training"]["flops"] == 0
    assert found["majority of 8"]["question_flops"] == 2 * 1e6 * 240
    assert found["majority of 8"]["completion_tokens"] == 30
    assert found["grpo"]["cheaper_than"] == "majority of 8"
    assert found["grpo"]["cheaper_from"] == 37
    assert 14e9 + 37 * 2e6 * 50 <= 37 * 2e6 * 240
    assert 14e9 + 36 * 2e6 * 50 > 36 * 2e6 * 240


def test_probes_stand_beside_the_models_that_were_asked(compared: Path) -> None:
    found = rows(compared)
    assert found["grpo"]["requests"]["mean_tokens"] == 60
    assert found["majority of 8"]["requests"] is None


def evaluation(rights: str) -> Evaluation:
    verdicts = [
        Verdict(str(i), "?", "1", "1", right == "1", 1, "stop", True, True, "1")
        for i, right in enumerate(rights)
    ]
    return Evaluation(tuple(verdicts))


def test_over_several_seeds_a_question_counts_with_its_mean(tmp_path: Path) -> None:
    rights = {"before": "0001", "after": "0111", "again": "0011"}
    for name, each in rights.items():
        evaluation(each).save(tmp_path / name)
    made = accuracy([Evaluation.load(tmp_path / name) for name in ("after", "again")])
    assert (made.accuracy, made.n) == (0.625, 4)
    assert made.low < 0.625 < made.high
    gap = difference({"verdicts": ["after", "again"]}, {"verdicts": ["before", "before"]}, tmp_path)
    assert gap["difference"] == pytest.approx(0.375)
    assert gap["low"] < 0.375 < gap["high"] and gap["p"] is None


def test_what_a_trained_model_was_asked_is_not_shown_beside_its_base() -> None:
    assert not any(shown.probed for shown in UNMEASURED)
