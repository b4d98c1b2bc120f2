"""A finished run can be made longer: to the same weights where its learning rate stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonkit import resuming
from reasonkit.config import GrpoConfig, Invocation, from_mapping
from reasonkit.errors import RefusedError
from reasonkit.runs import Run

LEARNING = (
    "grpo", "--lr-schedule", "constant", "--learning-rate", 3e-3, "--warmup-steps", 0,
    "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 60, "--test-size", 8,
    "--validation-size", 4, "--validate-every", 2, "--no-baselines", "--device", "cpu",
)  # fmt: skip


@pytest.fixture
def shorter(made: Callable, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made(*LEARNING, "--steps", 2), tmp_path / "shorter"))


def test_a_run_made_longer_is_one_that_was_so_long_from_the_start(
    shorter: Path, made: Callable, reasonkit: Callable
) -> None:
    longer, weights = made(*LEARNING, "--steps", 4), "final/model.safetensors"
    before = (shorter / weights).read_bytes()
    ended = reasonkit("grpo", "--run-dir", shorter, "--resume", "--steps", "+2")
    assert ended.code == 0, ended.err
    assert (shorter / weights).read_bytes() == (longer / weights).read_bytes() != before
    verdicts = [
        json.loads((run / "evaluations/after.json").read_text())["verdicts"]
        for run in (shorter, longer)
    ]
    assert verdicts[0] == verdicts[1]
    assert Run(shorter).config == Run(longer).config
    assert Run(shorter).record["extended"][0]["steps"] == 2


def test_what_a_longer_run_is_not_the_same_as_is_said_before(
    shorter: Path, capsys: pytest.CaptureFixture
) -> None:
    run = Run(shorter)
    run.write_config({**run.config, "lr_schedule": "linear"})

    def asked(steps: int) -> None:
        config = from_mapping(GrpoConfig, {**run.config, "steps": steps}, "here")
        resuming.require_extensible(config, Invocation(run_dir=shorter, resume=True))

    asked(2)
    assert not capsys.readouterr().err
    asked(4)
    assert "the learning rate had fallen to 0 at step 2" in capsys.readouterr().err
    with pytest.raises(RefusedError, match="it can only grow"):
        asked(1)
    shutil.rmtree(shorter / "checkpoints")
    with pytest.raises(RefusedError, match="no checkpoint of its step 2"):
        asked(4)
