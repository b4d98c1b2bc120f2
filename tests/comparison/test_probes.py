"""What is asked beyond the task."""

from __future__ import annotations

import re

from reasonkit.comparison.probes import longer_expressions, requests
from reasonkit.tasks.splits import split_of


def test_longer_expressions_have_more_operands_than_the_task_and_the_right_answers() -> None:
    found = longer_expressions(30)
    assert longer_expressions(60)[:30] == found
    for example in found:
        expression = example.question.removeprefix("What is ").rstrip("?")
        assert 9 <= len(re.findall(r"\d+", expression)) <= 11
        assert eval(expression) == int(example.answer)


def test_requests_are_distinct_and_of_the_test_split() -> None:
    found = requests(50)
    assert len({e.question for e in found}) == 50
    assert {split_of(e.question) for e in found} == {"test"}
    assert all(e.answer for e in found)


def test_no_more_requests_are_asked_than_there_are() -> None:
    assert 100 < len(requests(10_000)) < 200
