"""Rows that ask for a program become examples whose tests tell right from wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from reasonkit.errors import DataError
from reasonkit.rewards import correctness
from reasonkit.tasks import describe, load, usual_rewards
from reasonkit.types import Completion, Example, Group

HUMANEVAL = {
    "task_id": "HumanEval/38",
    "prompt": (
        "from typing import List\n\n\ndef turn(s: str):\n    return s[1:] + s[:1]\n\n\n"
        'def back(s: str) -> List[str]:\n    """Undoes turn."""\n'
    ),
    "canonical_solution": "    return s[-1:] + s[:-1]\n",
    "test": "METADATA = {}\n\ndef check(candidate):\n    assert candidate(turn('abc')) == 'abc'\n",
    "entry_point": "back",
}
MBPP = {
    "task_id": 11,
    "text": "Write a function to find the larger of two numbers.",
    "code": "def larger(a, b):\n  return max(a, b)",
    "test_list": ["assert larger(1, 2) == 2", "assert larger(3, 2) == 3"],
    "test_setup_code": "",
    "challenge_test_list": [],
}
APPS_STDIN = {
    "question": "Read two numbers and print their sum.",
    "solutions": '["print(sum(map(int, input().split())))", "print(0)"]',
    "input_output": '{"inputs": ["1 2\\n", "3 4\\n"], "outputs": ["3\\n", "7\\n"]}',
}
APPS_CALL = {
    "question": "Add two numbers.",
    "solutions": '["class Solution:\\n    def add(self, a, b):\\n        return a + b"]',
    "input_output": '{"fn_name": "add", "inputs": [[1, 2], [3, 4]], "outputs": [[3], [7]]}',
}
ROWS = {"humaneval": HUMANEVAL, "mbpp": MBPP, "stdin": APPS_STDIN, "call": APPS_CALL}
WRONG = {
    "humaneval": ["def back(s): return s", "def turn(s): return 'abc'\ndef back(s): return 'x'"],
    "mbpp": ["def larger(a, b): return b", "def bigger(a, b): return max(a, b)"],
    "stdin": ["print(3)", "a, b = input().split()\nprint(a + b)"],
    "call": ["def add(a, b): return 3", "def add(a, b): return [a + b]"],
}


def example(tmp_path: Path, row: dict[str, Any], **columns: str) -> Example:
    """The only example of a file with a row."""
    path = tmp_path / "test.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (made,) = load(str(tmp_path), columns=columns).test
    return made


def passes(made: Example, *programs: str) -> list[float | None]:
    return correctness.code(Group(made, [Completion(text, (1,), "stop") for text in programs]))


@pytest.mark.parametrize("layout", ROWS)
def test_the_rows_own_solution_passes_and_wrong_ones_fail(tmp_path: Path, layout: str) -> None:
    made = example(tmp_path, ROWS[layout])
    assert passes(made, made.answer, *WRONG[layout]) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("humaneval", "def back(s: str)"),
        ("mbpp", "assert larger(1, 2) == 2"),
        ("stdin", "print their sum."),
        ("call", "The function is called add."),
    ],
)
def test_the_question_tells_what_the_program_is_called_and_no_more_of_the_tests(
    tmp_path: Path, layout: str, said: str
) -> None:
    question = example(tmp_path, ROWS[layout]).question
    assert said in question
    for hidden in ("larger(3", "3 4", "candidate", "canonical"):
        assert hidden not in question


def test_what_the_prompt_of_humaneval_shows_is_there_for_a_program_that_relies_on_it(
    tmp_path: Path,
) -> None:
    made = example(tmp_path, HUMANEVAL)
    assert passes(made, "def back(s: str) -> List[str]:\n    return turn(turn(s))") == [1.0]


def test_setups_of_the_tests_run_before_them(tmp_path: Path) -> None:
    row = {
        **MBPP,
        "test_list": ["assert larger(1, math.inf) == math.inf"],
        "test_imports": ["import math"],
    }
    made = example(tmp_path, row)
    assert passes(made, made.answer) == [1.0]


def test_a_column_of_tests_can_be_named(tmp_path: Path) -> None:
    row = {
        "prompt": "Double the number on standard input.",
        "public_test_cases": json.dumps([{"input": "2", "output": "4", "testtype": "stdin"}]),
    }
    made = example(tmp_path, row, tests="public_test_cases")
    assert made.answer == ""
    assert passes(made, "print(2 * int(input()))", "print(2)") == [1.0, 0.0]
    row = {"problem": "Write half(x).", "checks": "assert half(4) == 2", "name": "half"}
    made = example(tmp_path, row, tests="checks", entry_point="name")
    assert passes(made, "def half(x): return x // 2", "def half(x): return x") == [1.0, 0.0]


def test_a_row_with_a_column_called_test_alone_asks_for_an_answer(tmp_path: Path) -> None:
    made = example(tmp_path, {"question": "1+1?", "answer": "2", "test": "unit 3"})
    assert (made.tests, made.answer) == ((), "2")


def test_tests_survive_a_csv_file(tmp_path: Path) -> None:
    with (tmp_path / "test.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(APPS_STDIN))
        writer.writeheader()
        writer.writerow(APPS_STDIN)
    (made,) = load(str(tmp_path)).test
    assert passes(made, made.answer) == [1.0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**MBPP, "test_list": []}, "asserts"),
        ({**MBPP, "test_list": ["assert ("]}, "no Python"),
        ({**MBPP, "test_list": ["larger(1, 2)"]}, "assert nothing"),
        ({**MBPP, "test_list": None}, "asserts"),
        ({**MBPP, "test_list": [1, 2]}, "input and an output"),
        ({**HUMANEVAL, "test": "def check(candidate):\n    pass"}, "assert nothing"),
        ({**HUMANEVAL, "entry_point": 3}, "entry_point"),
        ({**APPS_STDIN, "input_output": "{}"}, "asserts"),
        ({**APPS_STDIN, "input_output": '{"inputs": ["1"], "outputs": []}'}, "1 inputs and 0"),
        ({**APPS_STDIN, "input_output": '{"inputs": [], "outputs": []}'}, "at least one"),
        ({**APPS_STDIN, "input_output": '{"inputs": [1], "outputs": ["1"]}'}, "strings"),
        ({**APPS_STDIN, "question": " "}, "no text"),
    ],
)
def test_malformed_tests_are_refused_by_file_and_line(
    tmp_path: Path, row: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError) as refused:
        example(tmp_path, row)
    assert said in str(refused.value)
    assert "test.jsonl:1" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_data_with_tests_is_checked_by_running_them_unless_told_otherwise(tmp_path: Path) -> None:
    example(tmp_path, MBPP)
    task = describe(str(tmp_path))
    assert usual_rewards(task, load(str(tmp_path))) == (("code", 1.0), ("format", 0.2))
    example(tmp_path, {"question": "1+1?", "answer": "2"})
    assert usual_rewards(task, load(str(tmp_path))) == task.rewards
