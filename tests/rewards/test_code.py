"""A program pays if it passes every hidden test, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.errors import DataError, RefusedError
from reasonkit.judging import extract
from reasonkit.rewards import REWARDS, allow_weaker, parse
from reasonkit.sandbox import judge
from reasonkit.sandbox.launcher import Launcher
from reasonkit.tasks import load
from reasonkit.types import Completion, Example, Group

QUESTION = ({"role": "user", "content": "Write f(x) that doubles."},)
TESTS = ({"input": 1, "output": 2}, {"input": 3, "output": 6})
DOUBLE = Example("1", "t", QUESTION, "def f(x): return 2*x", TESTS, "f")


def score(example: Example, *texts: str) -> list[float | None]:
    group = Group(example, [Completion(text, (1,), "stop") for text in texts])
    return list(REWARDS["code"].score(group))


def test_a_program_pays_wherever_it_stands_in_the_answer() -> None:
    program = "def f(x):\n    return 2*x"
    assert (
        score(
            DOUBLE,
            program,
            f"<think>x+x</think><answer>{program}</answer>",
            f"<think>x+x</think>\n<answer>\n```python\n{program}\n```\n</answer>",
            f"First:\n```\ndef f(x): return x\n```\nbetter:\n```py\n{program}\n```\nDone.",
            f"x, 2*x\n{program}",
            f"```python3\n{program}",
            f"<answer>no idea</answer><answer>{program}</answer>",
            "from operator import add\ndef f(x): return add(x, x)",
        )
        == [1.0] * 8
    )


def test_what_fails_a_test_or_is_no_program_pays_nothing() -> None:
    assert (
        score(
            DOUBLE,
            "",
            "def f(x): return x+1",
            "def f(x): return 2*x if x < 3 else 0",
            "def f(x): return 2.0*x",
            "def g(x): return 2*x",
            "f = lambda x: 2*x)",
            "<think>def f(x): return 2*x",
            "<think>so</think><answer></answer>",
            "<answer>def f(x): return 2*x</answer><answer>def f(x): return x</answer>",
            "The answer is 2*x.",
            "import os\nos._exit(0)",
            "def f(x):\n    while True: pass",
        )
        == [0.0] * 12
    )


def test_an_example_without_tests_gets_no_verdict() -> None:
    plain = Example("1", "t", QUESTION, "4")
    assert score(plain, "4", "def f(x): return 2*x") == [None, None]


def test_malformed_tests_are_an_error_and_no_verdict() -> None:
    with pytest.raises(DataError):
        score(Example("1", "t", QUESTION, "", ({"input": 1},), "f"), "def f(x): return x")


def test_what_the_question_shows_is_there_for_the_program() -> None:
    setup = "from typing import List\ndef twice(x): return 2*x"
    example = Example("1", "t", QUESTION, "", TESTS, "f", setup)
    assert score(
        example,
        "def f(x: List) -> int: return twice(x)",
        "from __future__ import annotations\ndef f(x: Unknown): return 2*x",
        "def f(x): return 2*x",
        "from __future__ import annotations\ndef f(x): return twice(x)",
    ) == [1.0, 1.0, 1.0, 0.0]


def test_every_reference_program_of_tiny_code_passes_and_a_constant_does_not() -> None:
    for example in load("tiny-code", train=12, test=12).test:
        assert score(example, example.answer, "def f(x): return 0") == [1.0, 0.0]


def test_weak_isolation_is_refused_by_name_and_taken_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weak = Launcher(("rlimits",))
    monkeypatch.setattr(judge, "LAUNCHER", weak)
    with pytest.raises(RefusedError, match="code:weaker runs it"):
        parse(["code=1"])
    (weaker,) = parse(["code:weaker=1"])
    assert weaker.reward.name == "code"
    assert allow_weaker(parse(["code:weaker=1", "answer=1"]))
    completion = Completion("def f(x): return 2*x", (1,), "stop")
    assert weaker.reward.score(Group(DOUBLE, [completion])) == [1.0]
    weak.close()


PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "```",
        "```python\n",
        "def f(x): return x",
        "\n",
    ]
)


@given(st.text() | st.lists(PIECES, max_size=8).map("".join))
def test_looking_for_a_program_never_raises_and_never_finds_it_in_an_open_thought(
    text: str,
) -> None:
    found = extract(DOUBLE, Completion(text, (), "stop")).extracted
    assert found is None or found.strip() == found != ""
    thinking = Completion(f"{text}<think>def f(x): return x", (), "stop")
    assert extract(DOUBLE, thinking).extracted is None
