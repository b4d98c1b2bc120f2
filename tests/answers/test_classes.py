"""Equal answers share a class, and the classes are a partition."""

from __future__ import annotations

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from reasonkit.answers import answers_match, extract_answer, group_equal
from reasonkit.answers.worker import TIME_LIMIT

WRITTEN = st.sampled_from(
    [
        "10",
        "10%",
        "0.1",
        "\\frac{1}{10}",
        "$10",
        "x+1",
        "1+x",
        "(1,2)",
        "[1,2]",
        "1, 2",
        "2 and 1",
        "\\sqrt{2}",
        "1.4142136",
        "1.4142135",
        "east",
        "East",
        "C",
        "(C)",
        "x=10",
        "???",
        "5/0",
        "4/0",
    ]
)
ANSWERS = st.lists(WRITTEN | st.text(min_size=1, max_size=6), max_size=8)
GENEROUS = settings(max_examples=40, deadline=None)


def test_answers_written_differently_share_a_class() -> None:
    answers = ["0.5", "x+1", "\\frac12", "1+x", "50%", "\\boxed{1/2}", "(A)", "a"]
    assert group_equal(answers) == [0, 1, 0, 1, 2, 0, 3, 3]


def test_a_number_joins_the_one_quantity_that_is_written_with_it() -> None:
    assert group_equal(["5 cm", "5", "50 mm"]) == [0, 1, 0]
    assert group_equal(["5 cm", "5", "5 centimeters"]) == [0, 0, 0]
    assert group_equal(["5 cm", "5 kg", "5"]) == [0, 1, 2]
    assert group_equal(["50%", "0.5", "50"]) == [0, 1, 0]


def test_rounded_decimals_are_not_chained_by_the_root_between_them() -> None:
    first, root, second = group_equal(["1.4142136", "\\sqrt{2}", "1.4142135"])
    assert first != second
    assert root in (first, second)


def test_answers_without_a_value_are_equal_to_the_same_text_only() -> None:
    assert group_equal(["5/0", "4/0", "5/0", "", "???", "???"]) == [0, 1, 0, 2, 3, 3]
    assert group_equal([]) == []


@given(ANSWERS)
@GENEROUS
def test_the_same_text_is_in_the_same_class(answers: list[str]) -> None:
    classes = group_equal(answers + answers)
    assert classes[: len(answers)] == classes[len(answers) :]


@given(ANSWERS, st.randoms())
@GENEROUS
def test_the_order_of_answers_does_not_change_their_classes(
    answers: list[str], random: random.Random
) -> None:
    order = list(range(len(answers)))
    random.shuffle(order)
    before, after = group_equal(answers), group_equal([answers[i] for i in order])
    for a, i in enumerate(order):
        for b, j in enumerate(order):
            assert (before[i] == before[j]) is (after[a] == after[b])


@given(st.lists(WRITTEN, min_size=2, max_size=2))
@GENEROUS
def test_members_of_a_class_match_where_no_rounding_is_involved(pair: list[str]) -> None:
    first, second = (extract_answer(f"<answer>{text}</answer>") or "" for text in pair)
    if not any(text.startswith(("1.414", "\\sqrt")) for text in pair):
        same = group_equal([first, second])[0] == group_equal([first, second])[1]
        assert answers_match(first, second) is answers_match(second, first)
        assert answers_match(first, second) or not same


def test_an_endless_formula_costs_no_more_than_the_limit_beside_many_answers() -> None:
    start = time.monotonic()
    classes = group_equal(["2^{2^{2^{49}}}", "x", *(f"x+{i}" for i in range(20))])
    assert len(set(classes)) == 22
    assert time.monotonic() - start < 25 * TIME_LIMIT
