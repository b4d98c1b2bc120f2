"""The page of a run: self-contained, escaped, and drawn from whatever is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from reasonkit import runs
from reasonkit.evaluation import Evaluation, Verdict
from reasonkit.report import page

EVIL = "<script>alert('{{ 7 * 7 }}')</script>"


def verdict(i: int, correct: bool, text: str) -> Verdict:
    return Verdict(str(i), f"question {i}", "4", "4", correct, 9, "stop", True, True, text)


def a_run(path: Path) -> runs.Run:
    return runs.create("grpo", "abacus", EVIL, {"steps": 3, "seed": 0}, path, ["reasonkit"])


def step(i: int) -> dict[str, Any]:
    names = (
        "reward", "reward/answer", "completion_tokens", "thinks", "rechecks", "right",
        "zero_spread", "entropy", "kl", "clipped", "grad_norm", "truncated",
    )  # fmt: skip
    return {
        "step": i,
        **dict.fromkeys(names, 0.1 * i),
        "right_when_rechecking": None if i == 1 else 0.5,
        "advantages": {"0": 3, "0 to 1": i},
        "tokens_sampled": 100,
        "tokens_trained": 200,
        "rollout_seconds": 1.0,
        "reward_seconds": 0.5,
        "validation_seconds": 0.5,
        "seconds": 4.0,
    }


def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    text = page.write(a_run(tmp_path / "run")).read_text()
    assert "abacus" in text
    assert "<svg" not in text


def test_a_chart_says_its_values_and_leaves_out_what_never_moved(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    for i in (1, 2, 3):
        accuracy = {"validation": i / 4, "validation_low": i / 5, "validation_high": i / 3}
        run.append_metrics({**step(i), **accuracy, "kl": 0.0})
    for name, right in (("before", False), ("before-explain", True)):
        verdicts = (verdict(0, True, "4"), verdict(1, right, "4"))
        Evaluation(verdicts).save(run.evaluations / f"{name}.json")
    text = page.render(run)
    assert "Never moved: KL to the reference, nats a token (0)." in text
    assert "<title>measured, step 3: 0.75</title>" in text
    assert re.search(r"untrained, test, 50%.*its best prompt, 100%", text, re.DOTALL)


def test_what_a_model_wrote_is_never_markup(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    for name, right in (("before", False), ("after", True)):
        Evaluation((verdict(0, right, EVIL),)).save(run.evaluations / f"{name}.json")
    run.update(signs=[{"step": 1, "name": "x", "message": "m", "example": EVIL}])
    text = page.render(run)
    assert "<script" not in text
    assert text.count("{{ 7 * 7 }}") >= 3
    assert "&lt;script&gt;" in text


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    for i in (1, 2, 3):
        run.append_metrics(step(i))
    text = page.render(run)
    assert text.count("<svg") == 13
    links = set(re.findall(r"(?:src|href)=\"([^\"#][^\"]*)", text))
    assert not links
    assert not re.search(r"@import|url\((?!#)", text)


def test_changed_verdicts_come_first(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    was = [False] * 5 + [True] * 15
    now = [True] * 5 + [False] * 3 + [True] * 12
    for name, verdicts in (("before", was), ("after", now)):
        made = tuple(verdict(i, right, name) for i, right in enumerate(verdicts))
        Evaluation(made).save(run.evaluations / f"{name}.json")
    shown = page.pairs(run)
    assert len(shown) == page.PAIRS == len({pair.text for pair in shown})
    changes = [tuple(side.kind for side in pair.sides) for pair in shown]
    assert changes[:6] == [("wrong", "right")] * 4 + [("right", "wrong")] * 2


def test_a_student_stands_beside_its_teacher_with_its_traces_and_curves(tmp_path: Path) -> None:
    run = runs.create("distill", "abacus-mini", "arithmetic", {"epochs": 2}, tmp_path / "run", [])
    filters = [{"name": "duplicates", "what": EVIL, "lost": 3, "left": 4, "questions": 2}]
    run.update(filters=filters)
    for i in (0, 1, 2):
        spent = dict.fromkeys(("rollout_seconds", "reward_seconds", "validation_seconds"), 0.5)
        learned = {"loss": 0.1, "token_accuracy": 0.9, "grad_norm": 1.0} if i else {}
        looks = {"validation": 0.5, "validation_low": 0.4, "validation_high": 0.6}
        tokens = {"tokens_sampled": 0, "tokens_trained": 9, "seconds": 4.0}
        run.append_metrics({"step": 3 * i, "epoch": i, **learned, **looks, **spent, **tokens})
    entry = Evaluation((verdict(0, True, "4"),)).to_summary()
    pair = {"difference": 0.25, "low": 0.125, "high": 0.375, "p": 0.01, "n": 1}
    run.write_json(
        "summary.json",
        {
            "command": "distill", "model": "abacus-mini", "task": "arithmetic", "seconds": 1.0,
            "tokens_sampled": 0, "tokens_trained": 9, "peak_memory_bytes": 0,
            "before": entry, "after": entry, "teacher": entry, "teacher_name": EVIL,
            "baselines": {}, "paired": pair, "paired_with_best_wording": pair,
            "paired_with_teacher": pair, "remarks": [EVIL], "epoch_kept": 2,
            "gap_closed": {"share": 0.625, "low": 0.5, "high": 0.75, "n": 1},
        },
    )  # fmt: skip
    text = page.render(run)
    assert "step 6 of 6" in text
    assert text.count("<svg") == 3
    for expected in ("62.5%", "after − teacher: +25.0 points", "epoch 2", "duplicates"):
        assert expected in text
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 3


def test_traces_that_no_student_has_learned_from_are_told_once(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    filters = [{"name": "duplicates", "what": "alike", "lost": 3, "left": 4, "questions": 2}]
    run.update(filters=filters)
    counts = {"seconds": 1, "tokens_sampled": 1, "tokens_trained": 0, "peak_memory_bytes": 1}
    named = {"command": "distill", "model": "m", "task": "t", "filters": filters}
    run.write_json("summary.json", named | counts)
    shown = page.render(run)
    assert shown.count("duplicates") == shown.count("<h2>Traces</h2>") == 1
