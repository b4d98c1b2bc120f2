"""Checks the rewards of ``faulty.py`` by their names."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from reasonkit.rewards.linter import Report
from reasonkit.tasks import load
from reasonkit.types import Example

FILE = Path(__file__).parent / "faulty.py"
CHOICE = """Which of these is a mammal?
A. salmon
B. eagle
C. whale
D. cobra"""


def asked(question: str, answer: str) -> Example:
    return Example("1", "t", ({"role": "user", "content": question},), answer)


TASKS: dict[str, list[Example]] = {
    "arithmetic": load("arithmetic", train=50, validation=0, test=0).train,
    "tiny-code": load("tiny-code", train=50, validation=0, test=0).train,
    "countdown": [asked("Using the numbers [2, 3, 1], make an equation that equals 7", "2*3+1")],
    "choice": [asked(CHOICE, "C")],
}


LINT = """
import pickle, sys
from reasonkit.answers import comparison
from reasonkit.rewards.linter import lint

# One attack is a formula that takes whatever time it is given.
comparison._checker.time_limit = 1.0
with open(sys.argv[1], "rb") as asked:
    specs, examples, options = pickle.load(asked)
with open(sys.argv[1], "wb") as found:
    pickle.dump(lint(specs, examples, **options), found)
"""


@pytest.fixture(scope="session")
def lint(launch: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """`reasonkit.rewards.linter.lint` in a fork, so that what calls the rewards is one too."""

    def lint(specs: Sequence[str], examples: Sequence[Example], **options: float) -> Report:
        path = tmp_path_factory.mktemp("lint") / "report"
        path.write_bytes(pickle.dumps((specs, examples, options)))
        ended = launch("-c", LINT, path).ended()
        assert ended.code == 0, ended.err
        return pickle.loads(path.read_bytes())

    return lint


@pytest.fixture(scope="session")
def check(lint: Callable[..., Report]) -> Callable[..., Report]:
    """Checks rewards, ``FUNCTION`` or ``FUNCTION=WEIGHT`` of the file or built-in ones."""
    source = FILE.read_text()

    @cache
    def call(*names: str, task: str = "arithmetic", count: int = 1, seconds: float = 20) -> Report:
        own = [name.partition("=")[0] for name in names]
        specs = [
            f"{FILE}:{name}" if f"def {function}(" in source else name
            for name, function in zip(names, own, strict=True)
        ]
        return lint(specs, TASKS[task], count=count, time_limit=seconds)

    return call
