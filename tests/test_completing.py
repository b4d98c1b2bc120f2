"""What the shell offers when Tab is pressed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def offered(reasonkit: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """What bash is told for a line; its last word may be empty."""

    def offered(line: str) -> list[str]:
        monkeypatch.setenv("_REASONKIT_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return str(reasonkit().out).split()

    return offered


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("reasonkit gr", ["grpo"]),
        ("reasonkit grpo --group", ["--group-size"]),
        ("reasonkit grpo --model abacus-m", ["abacus-mini"]),
        ("reasonkit distill --teacher abacus-r", ["abacus-reasoner"]),
        ("reasonkit grpo --task word", ["word-arithmetic"]),
        ("reasonkit grpo --reward form", ["format"]),
        ("reasonkit vote --config abacus-arithmetic-c", ["abacus-arithmetic-cascade"]),
        ("reasonkit recipes show vote/abacus-arithmetic-c", ["vote/abacus-arithmetic-cascade"]),
        ("reasonkit vote --strategy casc", ["cascade"]),
        ("reasonkit grpo --device cu", ["cuda"]),
    ],
)
def test_names_of_ours_are_offered(line: str, expected: list[str], offered: Callable) -> None:
    assert offered(line) == expected


def test_runs_and_files_of_the_folder_are_offered(
    offered: Callable, in_an_empty_folder: None
) -> None:
    for name, has_model in {"trained": True, "voted": False}.items():
        run = Path("runs") / name
        (run / "final" if has_model else run).mkdir(parents=True)
        told = dict.fromkeys(("command", "model", "task"), "x")
        (run / "run.json").write_text(json.dumps(told))
    Path("problems.csv").touch()
    Path("problems.txt").touch()
    assert offered("reasonkit report runs/") == ["runs/trained", "runs/voted"]
    assert "runs/trained" in offered("reasonkit vote --model runs/")
    assert "runs/voted" not in offered("reasonkit vote --model runs/v")
    assert offered("reasonkit grpo --task pro") == ["problems.csv"]
