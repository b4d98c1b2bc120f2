"""The command line beyond its recipes."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from reasonkit.config import (
    CompareConfig,
    DistillConfig,
    GrpoConfig,
    SftRlConfig,
    VerifierConfig,
    VoteConfig,
    from_mapping,
    to_mapping,
)
from reasonkit.errors import RefusedError, UnknownNameError

CONFIGS = {
    "compare": CompareConfig,
    "grpo": GrpoConfig,
    "distill": DistillConfig,
    "sft-rl": SftRlConfig,
    "vote": VoteConfig,
    "verifier": VerifierConfig,
}
"""The settings of each folder's recipes."""


def test_a_number_with_an_exponent_and_no_point_is_one() -> None:
    values = yaml.safe_load("learning_rate: 1e-3")
    assert values == {"learning_rate": "1e-3"}
    assert from_mapping(GrpoConfig, values, "file.yaml").learning_rate == 1e-3
    with pytest.raises(RefusedError, match="expected float"):
        from_mapping(GrpoConfig, {"learning_rate": "fast"}, "file.yaml")


def test_version_is_that_of_the_package(reasonkit: Callable) -> None:
    assert reasonkit("--version").out.strip() == version("reasonkit")


def test_the_changelog_travels_with_the_package_and_tells_of_its_version() -> None:
    changelog = (files("reasonkit") / "docs/changelog.md").read_text()
    assert f"## {version('reasonkit')} " in changelog


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("models", "abacus-mini"),
        ("tasks", "word-arithmetic"),
        ("rewards", "format"),
        ("strategies", "majority"),
    ],
)
def test_registries_are_printed_on_stdout(reasonkit: Callable, command: str, expected: str) -> None:
    ended = reasonkit(command)
    assert ended.code == 0
    assert expected in ended.out


def test_an_unknown_command_offers_the_near_ones(reasonkit: Callable) -> None:
    ended = reasonkit("grop")
    assert ended.code == 2
    assert ended.err == "error: unknown command 'grop': did you mean grpo?\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["grpo", "--steps", "many"], "'--steps': 'many' is no whole number, nor one after a plus"),
        (["vote", "--n"], "option '--n' requires an argument"),
        (["chat"], "missing argument"),
        (["runs", "--foo"], "no such option: --foo"),
        (["tasks", "lost"], "no such command 'lost'"),
        (["grpo", "extra"], "unexpected extra argument"),
    ],
)
def test_a_command_line_that_is_wrong_is_refused_in_one_line(
    reasonkit: Callable, arguments: list[str], told: str
) -> None:
    ended = reasonkit(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert told in ended.err


def test_recipes_are_listed_shown_and_copied(reasonkit: Callable, tmp_path: Path) -> None:
    assert "grpo/abacus-arithmetic" in reasonkit("recipes", "ls").out
    shown = reasonkit("recipes", "show", "grpo/abacus-arithmetic").out
    assert reasonkit("recipes", "cp", "grpo/abacus-arithmetic", tmp_path).code == 0
    assert (tmp_path / "abacus-arithmetic.yaml").read_text() == shown
    again = reasonkit("recipes", "cp", "grpo/abacus-arithmetic", tmp_path)
    assert again.code == 2
    assert "exists" in again.err


def test_an_unknown_recipe_offers_the_near_ones(reasonkit: Callable) -> None:
    ended = reasonkit("recipes", "show", "grpo/abacus-arithmetics")
    assert ended.code == 2
    assert "grpo/abacus-arithmetic" in ended.err


def test_every_shipped_recipe_holds_known_settings_that_differ_from_the_defaults() -> None:
    files = list((Path(__file__).parent.parent / "recipes").glob("*/*.yaml"))
    assert files
    for path in files:
        values = yaml.safe_load(path.read_text()) or {}
        config = CONFIGS[path.parent.name]
        read = to_mapping(from_mapping(config, values, str(path)))
        defaults = to_mapping(config())
        assert [key for key in values if read[key] == defaults[key]] == [], path


def test_a_config_survives_a_round_trip_through_yaml() -> None:
    config = GrpoConfig(reward=["answer=1"], learning_rate=1e-5, group_size=4, lora=True)
    text = yaml.safe_dump(to_mapping(config))
    assert from_mapping(GrpoConfig, yaml.safe_load(text), "here") == config


@pytest.mark.parametrize(
    "values",
    [{"group_size": 1}, {"steps": "many"}, {"lora": 1}, {"temperature": 9.0}, {"seed": True}],
)
def test_values_of_the_wrong_type_or_out_of_bounds_are_refused(values: dict) -> None:
    with pytest.raises(RefusedError, match=next(iter(values))):
        from_mapping(GrpoConfig, values, "file.yaml")


def test_an_unknown_key_names_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="learning_rate"):
        from_mapping(GrpoConfig, {"learing_rate": 1.0}, "file.yaml")


def test_flags_win_over_the_file_and_the_file_over_defaults(
    reasonkit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "reasonkit.recipes.grpo.run", lambda config, invocation: seen.append(config)
    )
    (tmp_path / "settings.yaml").write_text("group-size: 4\nsteps: 7\n")
    assert reasonkit("grpo", "--config", tmp_path / "settings.yaml", "--steps", 9).code == 0
    (config,) = seen
    assert (config.group_size, config.steps, config.seed) == (4, 9, 0)


LONG = "n" * 300
TOO_LONG = (
    ("grpo", "--task", LONG),
    ("grpo", "--task", f"{LONG}.jsonl"),
    ("grpo", "--model", LONG),
    ("grpo", "--run-dir", LONG),
    ("grpo", "--resume", "--run-dir", LONG),
    ("grpo", "--config", LONG),
    ("grpo", "--reward", f"{LONG}.py:f"),
    ("distill", "--traces", LONG),
    ("distill", "--teacher", LONG),
    ("vote", "--completions", LONG),
    ("runs", LONG),
    ("report", LONG),
)
NO_TEXT = (
    ("grpo", "--task", "caf\udce9"),
    ("grpo", "--run-dir", "caf\udce9"),
    ("grpo", "--system-prompt", "caf\udce9"),
    ("vote", "caf\udce9?"),
    ("runs", "caf\udce9"),
    ("report", "caf\udce9"),
)


@pytest.mark.parametrize(
    ("argv", "said"),
    [*((argv, "too long") for argv in TOO_LONG), *((argv, "is not UTF-8") for argv in NO_TEXT)],
)
def test_a_name_that_can_not_be_is_refused_in_one_line(
    argv: tuple[str, ...], said: str, reasonkit: Callable, in_an_empty_folder: None
) -> None:
    ended = reasonkit(*argv)
    assert ended.code == 2, ended.err
    assert said in ended.err and ascii(argv[-1])[1:5] in ended.err
    *before, error = ended.err.strip().splitlines()
    assert error.startswith("error: ")
    # What is going to be done, and what is going on.
    assert all(line.startswith((f"{argv[0]}: ", "… ")) for line in before)
    assert not ended.out
    assert not list(Path().iterdir())
