"""Every command that README, documentation and recipes' pages show is one that there is.

All are parsed to their flags. Those that only list something run in the default tests; recipes run
up to their plan behind the marker ``slow``. What can't run here has a line in `ELSEWHERE`.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from reasonkit import cli
from reasonkit.commands import RECIPES

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.md", *sorted(TOP.glob("reasonkit/docs/*.md"))]
PAGES += sorted(TOP.glob("recipes/**/*.md"))

ELSEWHERE = {
    r"^(pip|pipx|uvx|pytest)\b": "installs, or is the tests themselves",
    r"^(python|torchrun|accelerate|vllm)\b": "takes minutes to hours, or a GPU a process",
    r"[Qq]wen|gsm8k|owner/name|OWNER/": "needs a model or data of the hub",
    r"localhost|--endpoint": "needs a server",
    r"--engine vllm": "needs vLLM, which has an environment of its own",
    r"smollm2": "needs the extra smollm2",
    r"my-model\.gguf": "needs the extra gguf; tests/models/test_gguf.py reads such files",
    r"--open|--serve|^reasonkit serve": "opens a browser, or goes on until it is stopped",
    r"--resume|--only train|--traces sampled": "goes on with what a longer run has begun",
    r"--yes": "sends to the hub; tests/test_sharing.py sends to a folder",
    r"reasonkit export": "needs the extra gguf",
    r"--verifier": "needs a trained verifier: minutes; tests/recipes/test_verifier.py makes one",
}
"""What a line says → why it is parsed here and no more."""

LISTINGS = ("models", "tasks", "rewards", "strategies", "recipes", "runs", "docs")
"""Commands that take under a second."""


def lines() -> Iterator[tuple[str, str]]:
    """The page and the text of each command of a fence of bash, or behind a ``$`` of another."""
    for page in PAGES:
        for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                shown = line if kind == "bash" else line[2:] if line.startswith("$ ") else ""
                plain = re.sub(r"(^|\s)#\s.*", "", shown)
                for command in re.split(" && | [|] ", plain):
                    if command.strip():
                        yield page.name, command.strip()


COMMANDS = sorted({command for _, command in lines()})
OURS = [command for command in COMMANDS if command.startswith("reasonkit")]
HERE = [c for c in OURS if not any(re.search(pattern, c) for pattern in ELSEWHERE)]
QUICK = [c for c in HERE if c.split()[1] in LISTINGS and not re.search("check|profile", c)]


def words(command: str) -> list[str]:
    """Its arguments, less where its output goes."""
    return shlex.split(command.partition(" > ")[0])


def parse(group, argv: list[str]) -> None:
    """Reads arguments as the command line does, and goes no further."""
    name, command, rest = group.resolve_command(typer.Context(group), argv)
    if hasattr(command, "resolve_command") and rest:
        parse(command, rest)
    else:
        command.make_context(name, rest)


@pytest.mark.parametrize("command", OURS)
def test_its_flags_are_ones_that_there_are(command: str) -> None:
    argv = words(command)[1:]
    if argv and argv[0] not in ("--help", "--version", "--install-completion"):
        parse(typer.main.get_command(cli.app), argv)


def test_what_other_programs_are_asked_for_is_there() -> None:
    extras = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    seen = 0
    for command in set(COMMANDS) - set(OURS):
        argv = words(command)
        for extra in re.findall(r"(?:reasonkit|\.)\[(\w+)\]", command):
            seen += 1
            assert extra in extras, command
        if argv[:2] == ["python", "-m"]:
            seen += 1
            assert importlib.util.find_spec(argv[2]), command
        elif argv[0] == "python":
            seen += 1
            assert (TOP / argv[1]).exists(), command
        elif "-m" in argv and "reasonkit" in argv:
            seen += 1
            parse(typer.main.get_command(cli.app), argv[argv.index("reasonkit") + 1 :])
    assert seen > 5


def test_each_reason_not_to_run_a_command_holds_of_one() -> None:
    needed = [pattern for pattern in ELSEWHERE if any(re.search(pattern, c) for c in COMMANDS)]
    assert needed == [*ELSEWHERE]
    assert len(QUICK) > 5
    assert len(HERE) > len(QUICK) + 20


@pytest.mark.parametrize("command", QUICK)
@pytest.mark.usefixtures("in_an_empty_folder")
def test_it_lists_what_there_is(command: str, reasonkit: Callable) -> None:
    told = reasonkit(*words(command)[1:])
    assert told.code == 0, told.err


def fill(folder: Path, run: Path) -> None:
    """A folder with the files that the pages speak of."""
    problems = [{"problem": f"What is {i} + {i + 1}?", "gold": str(2 * i + 1)} for i in range(400)]
    rows = [json.dumps(row) for row in problems]
    (folder / "my-problems.jsonl").write_text("\n".join(rows))
    texts = [{"q": row["problem"], "gt": row["gold"]} for row in problems[:20]]
    solved = [{**row, "out": {"text": f"It is {row['gt']}.", "score": 1.0}} for row in texts]
    (folder / "solutions.jsonl").write_text("\n".join(map(json.dumps, solved)))
    (folder / "my_rewards.py").write_text(
        "def brief(completions, **_):\n"
        "    return [-min(1.0, max(0, len(m[-1]['content']) - 400) / 400) for m in completions]\n"
        "brief.needs_answer, brief.claim = False, 'shaping'\n"
        "contains = formatted = short = brief\n"
    )
    (folder / "my-settings.yaml").write_text("steps: 40\n")
    shutil.copytree(TOP / "reasonkit/models/weights/abacus", folder / "my-model")
    shutil.copytree(run, folder / "runs/mine")
    shutil.copytree(run, folder / "runs/other")
    shutil.copytree(run, folder / "runs/my-grpo-run")


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in HERE if c not in QUICK])
def test_it_runs_up_to_its_plan(
    command: str, tmp_path: Path, made: Callable, launch: Callable
) -> None:
    fill(tmp_path, made("grpo", "--steps", 2, "--test-size", 20, "--no-baselines"))
    argv = words(command)[1:]
    if "traces.jsonl" in argv:
        traced = launch("tasks", "traces", "letter-count", cwd=tmp_path).ended()
        (tmp_path / "traces.jsonl").write_text(traced.out)
    if argv[0] in RECIPES and "--dry-run" not in argv:
        argv.append("--dry-run")
        if "--run-dir" in argv:
            shutil.rmtree(tmp_path / "runs/mine")
    ended = launch(*argv, cwd=tmp_path).ended()
    # What a reward is checked for may be found.
    assert ended.code == 0 or "faults were found" in ended.err, ended.err
