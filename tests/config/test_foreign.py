"""Other programs' names are answered with ours, in flags and files, and never taken."""

from __future__ import annotations

import dataclasses

import pytest

from reasonkit import config
from reasonkit.config import GrpoConfig, from_mapping
from reasonkit.config.foreign import CALLED, answers
from reasonkit.errors import RefusedError

SETTINGS = [made for name, made in vars(config).items() if name.endswith("Config")]


def test_every_name_that_is_answered_with_is_ours() -> None:
    classes = [made for made in SETTINGS if isinstance(made, type)]
    ours = {f.name for made in (*classes, config.Invocation) for f in dataclasses.fields(made)}
    assert set(CALLED) <= ours


def test_all_names_of_a_file_are_answered_at_once() -> None:
    given = {
        "num_generations": 8,
        "steps": 3,
        "actor_rollout_ref": {"actor": {"optim": {"lr": 1e-6}}, "rollout": {"n": 8}},
        "output_dir": "out",
    }
    with pytest.raises(RefusedError) as refused:
        from_mapping(GrpoConfig, given, "trl.yaml")
    assert str(refused.value) == (
        "trl.yaml: num_generations: reasonkit calls it group_size; "
        "actor_rollout_ref.actor.optim.lr: reasonkit calls it learning_rate; "
        "actor_rollout_ref.rollout.n: reasonkit calls it group_size; "
        "output_dir: reasonkit calls it --run-dir, a flag"
    )


def test_a_name_is_answered_with_what_the_command_has() -> None:
    told = {
        tuple(known): next(answers({"num_generations": 8}, known))
        for known in (["group_size"], ["n"], ["samples"], ["set"], [])
    }
    calls = "num_generations: reasonkit calls it "
    assert [told[key].removeprefix(calls) for key in told] == [
        *("group_size", "n", "samples"),
        "group_size: --set reaches it",
        "group_size, which this command has not",
    ]
