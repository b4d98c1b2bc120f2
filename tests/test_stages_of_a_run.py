"""A stage is made once, goes on where it stopped, and is made again when its inputs change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasonkit import runs
from reasonkit.config import GrpoConfig
from reasonkit.errors import RunError
from reasonkit.running import digest, do_stage

SETTINGS = GrpoConfig(steps=3)
SPENT = {"seconds": 1.0, "tokens_sampled": 1, "tokens_trained": 1, "peak_memory_bytes": 1}


def a_run(tmp_path: Path) -> runs.Run:
    return runs.create("sft-rl", "abacus", "arithmetic", {"seed": 0}, tmp_path / "run", [])


def do(
    run: runs.Run, counts: list[int], settings: GrpoConfig = SETTINGS, fails: bool = False
) -> dict[str, Any]:
    def work(stage: runs.Run) -> dict[str, Any]:
        counts.append(1)
        stage.append_metrics({"step": len(list(stage.metrics()))})
        if fails:
            raise RunError("stopped")
        return {"logged": len(list(stage.metrics())), **SPENT}

    return do_stage(run, "rl", "grpo", settings, digest(settings, {}, ""), work)


def test_a_finished_stage_is_taken_as_it_is(tmp_path: Path) -> None:
    run, counts = a_run(tmp_path), []
    first = do(run, counts)
    assert do(run, counts) == first
    assert len(counts) == 1
    made = runs.open_run(run.path / "stages" / "rl")
    assert (made.status, made.config["steps"]) == ("finished", 3)


def test_a_stage_that_stopped_goes_on_with_what_it_has(tmp_path: Path) -> None:
    run, counts = a_run(tmp_path), []
    with pytest.raises(RunError):
        do(run, counts, fails=True)
    assert runs.open_run(run.path / "stages" / "rl").status == "failed"
    assert do(run, counts)["logged"] == 2


def test_changed_settings_make_it_again_and_move_the_old_one_aside(tmp_path: Path) -> None:
    run, counts = a_run(tmp_path), []
    do(run, counts)
    for number in (1, 2):
        assert do(run, counts, replace(SETTINGS, steps=3 + number))["logged"] == 1
        aside = runs.open_run(run.path / "stages" / f"rl-replaced-{number}")
        assert aside.config["steps"] == 2 + number


def test_a_stage_that_was_killed_while_it_was_made_is_made_anew(tmp_path: Path) -> None:
    run, counts = a_run(tmp_path), []
    folder = run.path / "stages" / "rl"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("steps: 3\n")
    assert do(run, counts)["logged"] == 1


def test_a_path_counts_by_what_is_there() -> None:
    one, other = (replace(SETTINGS, model=path) for path in ("a/rl", "b/rl"))
    assert digest(one, {"a/rl": "7"}, "") == digest(other, {"b/rl": "7"}, "")
    assert digest(one, {"a/rl": "7"}, "") != digest(one, {"a/rl": "8"}, "")
