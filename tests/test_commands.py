"""Flags as people type them: ours, misspelt ones, other programs', and what help shows of them."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from reasonkit import launching
from reasonkit.cli import app
from reasonkit.commands import RECIPES
from reasonkit.errors import RefusedError
from reasonkit.examples import EXAMPLES

ANSWERED = {
    ("grpo", "--num-generations", "8"): "--group-size",
    ("grpo", "--beta=0.1"): "--kl-coefficient",
    ("grpo", "--lr", "1e-4"): "--learning-rate",
    ("grpo", "--max-steps", "3"): "--steps",
    ("grpo", "--output-dir", "here"): "--run-dir",
    ("grpo", "--max_completion_length", "9"): "--max-completion-tokens",
    ("grpo", "--per-device-train-batch-size", "4"): "--micro-batch",
    ("grpo", "actor_rollout_ref.rollout.n=8"): "--group-size",
    ("grpo", "data.train_batch_size=128"): "--prompts-per-step",
    ("distill", "--num-train-epochs", "3"): "--epochs",
    ("vote", "--num-generations", "8"): "--n",
}


@pytest.fixture(scope="module")
def group() -> Any:
    return typer.main.get_command(app)


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command and group, by how it is typed."""
    context = typer.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        yield f"{path}{name}", found
        if hasattr(found, "list_commands"):
            yield from commands(found, f"{path}{name} ")


@pytest.mark.parametrize(("argv", "ours"), ANSWERED.items())
def test_another_programs_flag_is_answered_with_ours(
    argv: tuple[str, ...], ours: str, reasonkit: Callable, in_an_empty_folder: None
) -> None:
    ended = reasonkit(*argv)
    assert ended.code == 2
    assert re.match(rf"error: \S+: reasonkit calls it {ours} \(\w", ended.err), ended.err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(("typed", "near"), [("--stepz", "--steps"), ("--group_size", "--group-")])
def test_a_misspelt_flag_offers_the_near_ones(typed: str, near: str, reasonkit: Callable) -> None:
    ended = reasonkit("grpo", typed, 4)
    assert ended.code == 2
    assert f"unknown flag {typed}: did you mean {near}" in ended.err


def test_a_recipe_inside_is_settings_by_its_name(
    reasonkit: Callable, monkeypatch: pytest.MonkeyPatch, in_an_empty_folder: None
) -> None:
    seen = []
    recipe = importlib.import_module("reasonkit.recipes.grpo")
    monkeypatch.setattr(recipe, "run", lambda config, invocation: seen.append(config))
    for name in ("abacus-arithmetic-group-4", "grpo/abacus-arithmetic-group-4"):
        assert reasonkit("grpo", "--config", name).code == 0
    assert [config.group_size for config in seen] == [4, 4]
    ended = reasonkit("vote", "--config", "abacus-arithmetic-cascad")
    assert ended.code == 2
    assert "did you mean abacus-arithmetic-cascade" in ended.err


def test_every_command_has_three_examples_that_can_be_typed(group: Any) -> None:
    known = dict(commands(group))
    assert set(known) == set(EXAMPLES)
    for lines in EXAMPLES.values():
        for line in lines:
            name, *argv = shlex.split(re.split(" [<>] ", line)[0])
            assert name == "reasonkit"
            # Parses without running, and raises where a flag or a value is none.
            at = group
            while hasattr(at, "commands") and argv and not argv[0].startswith("-"):
                at = at.get_command(typer.Context(at), argv.pop(0))
            at.make_context(at.name, argv, help_option_names=["-h", "--help"])


def test_help_begins_with_the_ten_that_matter_and_ends_with_examples(
    group: Any, reasonkit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for name in RECIPES:
        said = reasonkit(name, "-h").out
        first = re.findall(r"│ (--[\w-]+)", said.partition("This run")[0])
        settings = dict(commands(group))[name].callback
        assert len(first) == 11 and first[-1] == "--help", settings
        assert all(line in said.partition("Examples")[2] for line in EXAMPLES[name])


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"PET_NNODES": "1:2"}, "expected a fixed number of machines"),
        ({"PET_NNODES": "2", "PET_NODE_RANK": "0"}, "meet by PET_MASTER_ADDR, PET_MASTER_PORT"),
    ],
)
def test_machines_that_cannot_meet_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], line: str
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RefusedError, match=line):
        launching.share(1)
