"""Programs vote by what they do, told apart without what the tests expect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reasonkit.tasks import load
from reasonkit.types import Completion, Example, Group
from reasonkit.voting.ballots import BLANK, cast
from reasonkit.voting.behaviour import behaviours, calls, shown

DOUBLES = Example(
    "e",
    "t",
    ({"role": "user", "content": "Write f(x) that doubles x."},),
    "",
    tests=({"input": 3, "output": 6}, {"input": 0, "output": 0}),
    entry_point="f",
)
MBPP = "Find the larger number.\n\nIt has to pass this test:\nassert larger((1, 2)) == 2\n"
DOCSTRING = 'def back(s):\n    """Reverses.\n    >>> back("ab")\n    \'ba\'\n    """\n'


def test_programs_that_do_the_same_are_votes_for_one_answer() -> None:
    texts = ("def f(x): return 2*x", "def f(x): return 0", "def f(x):\n    return x+x", "def f(x")
    ballots = cast(Group(DOUBLES, [Completion(text, (1,), "stop") for text in texts]))
    assert ballots.classes.tolist() == [0, 1, 0, BLANK]
    assert ballots.answers == texts[:2]
    assert ballots.right == (True, False)


def test_what_the_tests_expect_plays_no_part() -> None:
    programs = ["def f(x): return 2*x", "def f(x): return x*x", "def f(x): return 6 if x else 0"]
    lied = replace(DOUBLES, tests=({"input": 3, "output": 9}, {"input": 0, "output": 9}))
    assert behaviours(lied, programs) == behaviours(DOUBLES, programs)
    assert len(set(behaviours(DOUBLES, programs))) == 3


@pytest.mark.parametrize(
    "broken",
    ["def f(x): return y", "f = 3", "import os; os._exit(0)", "def f(x):\n while True: pass"],
)
def test_a_program_that_gives_nothing_is_no_vote(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reasonkit.voting.behaviour.TIMEOUT", 0.5)
    assert behaviours(DOUBLES, [broken, None, "def f(x): return 1 / x"])[:2] == [None, None]


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        (MBPP, "def larger(p): return max(p)", "def larger(p): return p[0]"),
        (DOCSTRING, "def back(s): return s[::-1]", "def back(s): return s"),
    ],
)
def test_a_program_that_fails_what_the_question_shows_is_no_vote(
    question: str, right: str, wrong: str
) -> None:
    example = replace(
        DOUBLES,
        messages=({"role": "user", "content": question},),
        tests="assert hidden",
        entry_point=None,
    )
    assert len(shown(question)) == 1
    voted, blank = behaviours(example, [right, wrong])
    assert voted and None not in voted
    assert blank is None


def test_examples_that_tell_nothing_of_a_value_are_no_tests() -> None:
    text = "Write inc.\n>>> print(inc(2))\n3\n>>> inc(1)\n>>> inc(4)\n5\n"
    assert shown(text) == ["assert (inc(4)) == (5)"]


def test_arguments_are_of_the_kinds_that_the_tests_have() -> None:
    given = [3, "abc", [1.5, 2.0], True, None, {"a": -4}]
    example = replace(DOUBLES, tests=({"input": given, "output": 0},))
    made = [arguments for _, arguments in calls(example)]
    for arguments in made:
        assert [type(part) for part in arguments] == [type(part) for part in given]
        assert set(arguments[1]) <= set("abc") and all(0 <= part <= 4 for part in arguments[2])
        assert 0 <= arguments[0] <= 8 and -10 <= arguments[5]["a"] <= 0
    assert len({str(arguments) for arguments in made}) > 20
    assert calls(example) == calls(example)


def test_a_program_that_reads_its_input_has_no_calls() -> None:
    assert calls(replace(DOUBLES, tests=({"input": "3", "output": "6"},), entry_point=None)) == []


def test_solutions_of_tiny_code_do_what_their_tests_say_on_other_inputs() -> None:
    examples = load("tiny-code", validation=1, test=6).test
    for example in examples:
        assert not {args[0] for _, args in calls(example)} <= {t["input"] for t in example.tests}
        (told,) = behaviours(example, [example.answer])
        assert told and None not in told
