"""Imports point down the floors, and the command line starts without torch."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "reasonkit"
FLOORS = (
    ("__main__",),
    ("cli", "api"),
    ("doctor", "manual", "clusters"),
    ("commands",),
    ("using",),
    ("ready_made", "result"),
    ("completing", "examples"),
    ("recipes", "chatting", "serving", "sharing"),
    ("comparison",),
    (
        "answering",
        "voting",
        "plan",
        "traces",
        "running",
        "resuming",
        "measuring",
        "learning",
        "profiling",
        "explaining",
    ),
    ("training", "listing"),
    ("evaluation", "report"),
    ("verifying",),
    ("generation",),
    ("models", "tasks", "rewards"),
    ("judging", "live", "servers"),
    ("answers", "sandbox"),
    ("runs", "offline", "launching", "hanging"),
    ("console",),
    ("provenance",),
    ("files", "functions"),
    ("prompts",),
    ("config", "types"),
    ("interruption", "processes", "statistics"),
    ("objectives", "errors"),
)
ENDINGS = ("yaml", "json", "jsonl", "html")
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [f"reasonkit.{alias.name}" for alias in node.names]
                if node.module == "reasonkit"
                else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("reasonkit.")}
    return rooms


def test_imports_point_down_the_floors() -> None:
    seen = 0
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room == "__init__":
            continue
        for other in imported_rooms(path) - {room}:
            seen += 1
            assert FLOOR_OF[other] >= FLOOR_OF[room], f"{path.name} ({room}) imports {other}"
    assert seen > 20


def test_recipes_never_import_recipes() -> None:
    for path in (PACKAGE / "recipes").glob("*.py"):
        assert "recipes" not in imported_rooms(path)


def test_only_training_imports_trl_and_peft() -> None:
    """But for TRL's client, which gives vLLM's servers their weights over NCCL."""
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "training" or path == PACKAGE / "generation/vllm/served.py":
            continue
        tree = ast.parse(path.read_text())
        tops = {
            (node.module or "").split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }
        assert not tops & {"trl", "peft"}, path


def test_only_the_room_of_engines_names_a_class_of_engine() -> None:
    """Protocols it may name, and what is put around an engine."""
    kinds = ("", "Token", "Server", "Paid", "Budget", "Beam", "Selecting", "Watching")
    open_to_all = {f"{kind}Engine" for kind in kinds}
    made = set()
    for path in (PACKAGE / "generation").rglob("*.py"):
        classes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)]
        made |= {c.name for c in classes if c.name.endswith("Engine")} - open_to_all
    names = ("Local", "Vllm", "Served", "Endpoint", "Replay")
    assert made == {f"{name}Engine" for name in names}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] != "generation":
            named = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
            assert not named & made, path


def references() -> Iterator[tuple[Path, str]]:
    """Dotted names of the package in backticks, in docstrings and other text of the code."""
    rooms = {path.stem for path in PACKAGE.iterdir()}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for name in re.findall(r"`~?([A-Za-z_]\w*(?:\.\w+)+)`", node.value):
                    room, _, rest = name.removeprefix("reasonkit.").partition(".")
                    if name.startswith("reasonkit.") or (room in rooms and rest not in ENDINGS):
                        yield path, f"reasonkit.{name.removeprefix('reasonkit.')}"


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute or field of what one holds."""
    module, names = name, list[str]()
    while True:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            names.insert(0, last)
    for attribute in names:
        if not hasattr(found, attribute):
            return attribute in getattr(found, "__annotations__", {})
        found = getattr(found, attribute)
    return True


def test_what_docstrings_refer_to_is_there() -> None:
    named = list(references())
    assert len(named) > 20
    assert [(path.name, name) for path, name in named if not is_there(name)] == []
    assert not is_there("reasonkit.traces.staging")


def test_what_the_guide_to_contributors_names_is_there() -> None:
    top = PACKAGE.parent
    guide = (top / ".github/CONTRIBUTING.md").read_text()
    named = set(re.findall(r"\b(?:reasonkit|tests|recipes)/[\w/.-]*\w", guide))
    assert len(named) > 15
    placeholders = ("NAME", "MODEL")
    assert [
        name
        for name in sorted(named)
        if not (top / name).exists() and not any(word in name for word in placeholders)
    ] == []


def test_a_listing_imports_only_what_it_lists() -> None:
    code = (
        "import sys; from reasonkit import cli\n"
        "for name in ('models', 'tasks', 'rewards', 'runs'):\n"
        "    sys.argv = ['reasonkit', name]\n"
        "    try: cli.main()\n"
        "    except SystemExit as left: assert not left.code, name\n"
        "others = ('reasonkit.config.grpo', 'reasonkit.sandbox', 'urllib.request')\n"
        "assert not [name for name in others if name in sys.modules]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_help_and_registries_load_no_torch() -> None:
    lines = (
        "grpo --help",
        "distill --help",
        "sft-rl --help",
        "vote --help",
        "verifier --help",
        "compare --help",
        "models",
        "tasks",
        "rewards",
        "strategies",
        "recipes ls",
    )
    code = (
        "import sys; from reasonkit import cli\n"
        f"for line in {(*lines, 'runs .')}:\n"
        "    sys.argv = ['reasonkit', *line.split()]\n"
        "    try: cli.main()\n"
        "    except SystemExit as left: assert not left.code, line\n"
        "import os; os.environ['_REASONKIT_COMPLETE'] = 'complete_bash'\n"
        "for flag in ('model', 'task', 'reward', 'config', 'run-dir'):\n"
        "    sys.argv = ['reasonkit']\n"
        "    os.environ |= {'COMP_WORDS': f'reasonkit grpo --{flag} ', 'COMP_CWORD': '3'}\n"
        "    try: cli.main()\n"
        "    except SystemExit as left: assert not left.code, flag\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_python_code_imports_the_package_and_its_functions_without_torch() -> None:
    code = (
        "import sys, reasonkit\n"
        "others = [name for name in sys.modules if name.startswith('reasonkit.')]\n"
        "assert not others, others\n"
        "assert [getattr(reasonkit, name) for name in reasonkit.__all__]\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True)
