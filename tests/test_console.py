"""Text is shown as it is, stdout holds results alone, and a reader that goes away is no error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonkit import console, runs
from reasonkit.live import Training
from reasonkit.report import terminal

NAME = "a [/b] [red]c :smile: [link=x]"


def command(*argv: object, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "reasonkit", *map(str, argv)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def test_brackets_in_names_are_shown_by_every_command_that_prints_names(
    reasonkit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "_width", 250)
    monkeypatch.setattr(console.err, "_width", 250)
    folder = tmp_path / NAME
    runs.create("grpo", NAME, NAME, {}, folder / "c [red]d", ["reasonkit", NAME])
    listed = reasonkit("runs", folder)
    assert listed.code == 0
    assert listed.out.count(NAME) == 2
    assert "c [red]d" in listed.out
    for argv in (
        ("report", folder / NAME / "none"),
        ("recipes", "show", NAME),
        ("rewards", "check", NAME, "--task", "arithmetic"),
        ("grpo", "--task", NAME),
        ("vote", "--model", NAME),
        ("compare", "--config", NAME),
    ):
        refused = reasonkit(*argv)
        assert refused.code == 2, argv
        assert "a [/b] [red]c :smile" in refused.err, argv


def test_brackets_in_what_is_compared_and_measured_are_shown(
    compared: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "_width", 250)
    summary = json.loads((compared / "summary.json").read_text())
    summary |= {"model": NAME, "findings": [NAME], "bought": {NAME: NAME}}
    summary["parts"][0]["name"] = summary["parts"][0]["what"] = NAME
    terminal.show(runs.Run(compared), summary, as_json=False)
    assert NAME in capsys.readouterr().out
    console.err.print(console.table(NAME, (NAME, NAME), [(NAME, NAME)]))
    assert capsys.readouterr().err.count("[/b]") >= 3


def test_brackets_in_rewards_and_titles_are_shown_live(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.err, "_width", 250)
    live = Training(NAME, 4)
    record = {
        "step": 1, "seconds": 2.0, "reward": 0.5, f"reward/{NAME}": 0.5, "grad_norm": 1.0,
        "rollout_seconds": 1.0, "reward_seconds": 0.1, "validation_seconds": 0.0,
        "tokens_sampled": 10, "tokens_trained": 10,
    }  # fmt: skip
    live._records.append(record)
    console.err.print(live.view())
    shown = capsys.readouterr().err
    assert NAME in shown
    assert "reward a [ b] [red]c :smile: [link=x]" in shown


CHATTY = """
import os, subprocess
print("as it is read")
def chatty(completions, **named):
    print("completion:", "Sure [/INST]", flush=True)
    os.write(1, b"past Python\\n")
    subprocess.run(["echo", "from a process"])
    return [0.0 for _ in completions]
chatty.needs_answer = False
"""


@pytest.mark.parametrize(
    "argv",
    [
        ("rewards", "check", "format=1", "{}=0.1", "--task", "arithmetic", "--questions", "1"),
        (
            "grpo", "--model", "abacus", "--task", "arithmetic", "--reward", "answer=1",
            "--reward", "{}=0.1", "--steps", "1", "--prompts-per-step", "2",
            "--group-size", "2", "--max-completion-tokens", "8", "--no-baselines",
            "--validation-size", "2", "--test-size", "2", "--run-dir", "run",
        ),
    ],
)  # fmt: skip
def test_what_a_reward_prints_does_not_reach_stdout(
    argv: tuple[str, ...], launch: Callable, tmp_path: Path
) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    words = [word.format("chatty.py:chatty") for word in argv]
    ended = launch(*words, "--json", cwd=tmp_path).ended()
    json.loads(ended.out)
    if argv[0] == "grpo":
        # A check calls rewards in a process of its own, whose output is dropped.
        assert "Sure [/INST]" in ended.err
        assert "past Python" in ended.err and "from a process" in ended.err


def test_what_goes_on_is_told_where_nothing_else_is(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "SILENCE", 0.0)
    told, deadline = "", time.monotonic() + 60
    with console.doing("outside"), console.progress(3, "inside") as reached:
        reached(2)
        while "inside: 2 of 3" not in told:
            assert time.monotonic() < deadline
            told += capsys.readouterr().err
        assert "outside" not in told
    with console.doing("again"):
        console.announce("stopping")
        while "stopping\n" not in told:
            assert time.monotonic() < deadline
            told += capsys.readouterr().err
        console.write("result")
    assert capsys.readouterr().out == "result\n"


def test_results_are_written_to_stdout_and_all_else_to_stderr(
    capsys: pytest.CaptureFixture,
) -> None:
    with console.results_alone():
        print("chatter")
        console.write("result")
        console.say("said")
    print("after")
    console.write("more")
    written = capsys.readouterr()
    assert written.out == "result\nsaid\nafter\nmore\n"
    assert written.err == "chatter\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "ascii:strict"])
def test_a_stdout_of_any_encoding_can_be_written(encoding: str, compared: Path) -> None:
    for argv in (("runs", compared.parent), ("rewards",)):
        ended = command(*argv, PYTHONIOENCODING=encoding)
        _, err = ended.communicate()
        assert ended.returncode == 0, err.decode()


@pytest.mark.parametrize("argv", [("models",), ("--version",), ("recipes", "ls")])
def test_a_reader_that_goes_away_is_no_error(argv: tuple[str, ...]) -> None:
    ended = command(*argv)
    assert ended.stdout is not None and ended.stderr is not None
    ended.stdout.close()
    err = ended.stderr.read()
    assert ended.wait() == 0, err.decode()
    assert not err
