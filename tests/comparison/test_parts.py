"""The table of parts, and what is run of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reasonkit.comparison.parts import (
    BASE,
    COMMANDS,
    PARTS,
    STUDENT,
    jobs,
    key_of,
    left_out,
    resolved,
)
from reasonkit.config import CompareConfig, from_mapping
from reasonkit.errors import RefusedError, UnknownNameError

USUAL = resolved(CompareConfig())


def names(config: CompareConfig, programs: bool = False) -> list[str]:
    return [job.name for job in jobs(resolved(config), programs)]


def test_only_brings_the_base_and_what_a_part_needs() -> None:
    assert names(CompareConfig(only=["vote-grpo"])) == ["base", "grpo", "vote-grpo"]
    assert names(CompareConfig(only=["vote"])) == ["base", "verifier", "vote"]
    assert names(CompareConfig(only=["student-grpo"])) == ["student-base", "student-grpo"]


def test_without_a_teacher_nothing_is_distilled() -> None:
    made = names(CompareConfig(model="Qwen/Qwen2.5-0.5B"))
    assert "grpo" in made and "vote-grpo" in made
    assert not [name for name in made if "distill" in name or "student" in name]
    with pytest.raises(RefusedError, match="--teacher"):
        names(CompareConfig(model="Qwen/Qwen2.5-0.5B", only=["distill"]))


def test_programs_are_compared_without_votes_and_with_the_bases_baselines() -> None:
    made = jobs(USUAL, programs=True)
    assert {job.part.command for job in made} == {"grpo", "distill", "sft-rl"}
    assert next(job for job in made if job.name == "grpo").settings["baselines"] is True


def test_quick_leaves_parts_out_and_asks_fewer_questions() -> None:
    quick = resolved(CompareConfig(quick=True))
    assert {"verifier", "vote-step-by-step"} <= left_out(quick, programs=False).keys()
    assert {job.settings["test_size"] for job in jobs(quick)} == {200}
    steps = {job.name: job.settings.get("steps") for job in jobs(quick)}
    assert steps["grpo"] == 30


def test_every_part_is_run_with_every_seed_on_the_same_questions() -> None:
    made = jobs(replace(USUAL, seeds=2, seed=5, only=["vote-grpo"]))
    assert [(job.name, job.settings["seed"]) for job in made] == [
        (f"{part}-seed-{seed}", seed) for part in ("base", "grpo", "vote-grpo") for seed in (5, 6)
    ]
    assert made[-1].needs == {"grpo": "grpo-seed-6"}
    assert len({job.settings["test_size"] for job in made}) == 1


def test_a_setting_reaches_its_part_alone() -> None:
    made = {job.name: job for job in jobs(replace(USUAL, set=["grpo.steps=7"]))}
    assert made["grpo"].settings["steps"] == 7
    assert made["student-grpo"].settings.get("steps") is None


@pytest.mark.parametrize(
    ("setting", "error", "named"),
    [
        ("grop.steps=7", UnknownNameError, "grpo"),
        ("grpo.stpes=7", UnknownNameError, "steps"),
        ("grpo.steps", RefusedError, "SETTING=VALUE"),
        ("grpo.steps=many", RefusedError, "steps"),
    ],
)
def test_a_setting_that_there_is_not_is_refused(setting: str, error: type, named: str) -> None:
    with pytest.raises(error, match=named):
        jobs(replace(USUAL, set=[setting]))


def test_a_key_hangs_on_settings_on_what_comes_first_and_on_the_content_of_files(
    tmp_path: Path,
) -> None:
    job = next(job for job in jobs(USUAL) if job.name == "vote-grpo")
    data = tmp_path / "data.jsonl"
    data.write_text("one")
    settings = {**job.settings, "task": str(data)}
    first = key_of(job, settings, {"grpo": "a"})
    assert key_of(job, settings, {"grpo": "a"}) == first
    others = {
        key_of(job, {**settings, "n": 2}, {"grpo": "a"}),
        key_of(job, settings, {"grpo": "b"}),
    }
    data.write_text("two")
    others.add(key_of(job, settings, {"grpo": "a"}))
    assert len(others) == 3 and first not in others


def test_every_part_has_settings_that_its_command_knows() -> None:
    for part in PARTS.values():
        from_mapping(COMMANDS[part.command], part.settings, part.name)


def test_what_a_part_needs_comes_before_it() -> None:
    names = list(PARTS)
    for part in PARTS.values():
        assert part.model in (BASE, STUDENT, *names)
        assert all(names.index(other) < names.index(part.name) for other in part.needs)


def test_no_two_rows_of_a_model_have_one_name() -> None:
    shown = [(p.model == STUDENT, s.label) for p in PARTS.values() for s in p.shown]
    assert len(shown) == len(set(shown))
