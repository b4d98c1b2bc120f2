"""The live view and its plain lines, as rich records them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from reasonkit import console
from reasonkit.live import CLOSING, Training, coloured, sparkline
from reasonkit.types import Scored


def record(step: int, **more: Any) -> dict[str, Any]:
    return {
        "step": step,
        "reward": step / 10,
        "reward/answer": step / 20,
        "reward/format": 0.5,
        "completion_tokens": 40 + step,
        "thinks": 0.25,
        "truncated": 0.125,
        "zero_spread": 0.75,
        "clipped": 0.0,
        "entropy": 0.4321,
        "kl": 0.002,
        "grad_norm": 1.5,
        "tokens_sampled": 1000 * step,
        "tokens_trained": 2000 * step,
        "rollout_seconds": 2.0 * step,
        "reward_seconds": 0.5 * step,
        "validation_seconds": 0.5 * step,
        "seconds": 10.0 * step,
        **more,
    }


SEEN = [Scored("What is 2+2*6?", "<think>2+12</think><answer>14</answer>", 1.0, {"answer": 1.0})]
VALIDATION = {
    "validation": 0.6, "validation_low": 0.5, "validation_high": 0.7, "validation_tokens": 20.0,
    "validation_seconds": 0.0,
}  # fmt: skip


def drawn(width: int) -> str:
    view = Training("abacus on arithmetic", 20)
    view.update({"step": 0, "seconds": 0.0, **VALIDATION}, [])
    for step in range(1, 11):
        view.update(record(step), SEEN)
    target = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    target.print(view.view())
    return target.export_text()


def test_the_view_shows_all_that_is_promised() -> None:
    text = drawn(100)
    for expected in (
        "abacus on arithmetic", "step 10/20", "about 1:38 left", "60.0% (50.0–70.0)",
        "reward answer", "reward format", "tokens", "thinks", "25%", "equal rewards", "75%",
        "entropy", "0.432", "KL", "gradient norm", "500 tokens/s", "20% rollouts", "70% updates",
        "What is 2+2*6?", "<think>2+12</think><answer>14</answer>", "answer 1",
    ):  # fmt: skip
        assert expected in text, expected


def test_the_view_fits_a_terminal_of_80_columns() -> None:
    assert max(map(len, drawn(80).splitlines())) <= 80


def test_without_a_terminal_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    plain = type(console.err)(file=written, width=200)
    monkeypatch.setattr(console, "err", plain)
    with Training("t", 20) as view:
        view.update({"step": 0, "seconds": 1.0, **VALIDATION}, [])
        for step in range(1, 16):
            view.update(record(step, **(VALIDATION if step == 5 else {})), SEEN)
    lines = written.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["0/20", "5/20", "10/20"]
    assert "validation 60.0% (50.0–70.0)" in lines[1]


def test_the_time_left_counts_steps_validations_and_what_is_measured_at_the_end() -> None:
    view = Training("t", 20, every=5, ending=7.0)
    view.update({"step": 0, "seconds": 4.0, **VALIDATION, "validation_seconds": 4.0}, [])
    for step in range(1, 8):
        spent = {"validation_seconds": 4.0 + 6.0 * (step >= 5)}
        seconds = {"seconds": 10.0 * step + spent["validation_seconds"]}
        looked = {**VALIDATION, "validation_tokens": 40.0} if step == 5 else {}
        view.update(record(step, **{**looked, **seconds, **spent}), SEEN)
        assert (view.left() is None) == (step < 3)
    # 13 steps, validations at 10, 15 and 20, and twice the tokens at the end.
    assert view.left() == pytest.approx(130 + 3 * 6 + 2 * 7 + CLOSING, abs=1)


def test_a_measure_that_was_0_all_along_is_left_out_and_colour_says_what_is_good() -> None:
    view = Training("t", 20)
    for step in range(1, 9):
        view.update(record(step, zero_spread=0.1 * step), SEEN)
    target = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    target.print(view.view())
    lines = target.export_text(styles=True).split("\n")
    assert not [line for line in lines if "clipped" in line]
    for words, colour in (("reward answer", "\x1b[32m"), ("equal rewards", "\x1b[31m")):
        assert [line for line in lines if words in line and colour in line and "▲" in line]


def test_after_a_rollback_the_later_steps_are_forgotten() -> None:
    view = Training("t", 20)
    for step in (1, 2, 3, 2):
        view.update(record(step), SEEN)
    assert [r["step"] for r in view._records] == [1, 2]


def test_an_answer_is_coloured_by_its_reward() -> None:
    for right, colour in ((True, "green"), (False, "red")):
        text = coloured("<think>work</think><answer>14</answer>", right)
        styles = {text.plain[s.start : s.end]: str(s.style) for s in text.spans}
        assert styles["work"] == "cyan"
        assert colour in styles["14"]


def test_a_sparkline_runs_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5]) == "▁▁"
    assert len(sparkline(range(100))) == 24
