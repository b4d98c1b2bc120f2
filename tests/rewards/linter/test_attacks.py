"""The attacks know no more than they say, and apply where they should."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonkit.rewards.linter import puzzles
from reasonkit.rewards.linter.attacks import ATTACKS, BLIND_SPOTS
from reasonkit.rewards.linter.candidates import candidates, choose
from reasonkit.rewards.linter.solutions import solutions, wrong_answer
from reasonkit.types import Example


def asked(question: str, answer: str) -> Example:
    return Example("1", "t", ({"role": "user", "content": question},), answer)


SUM = asked("What is 3+4*6?", "27")
CHOICE = asked("Which?\n(A) one\n(B) two\n(C) three\n(D) four", "C")
PUZZLE = asked("Use 2, 3 and 1 to make 7.", "2*3+1")


def by_name(example: Example) -> dict[str, list]:
    return {attack.name: list(attack.texts(example)) for attack in (*ATTACKS, *BLIND_SPOTS)}


def test_every_attack_has_a_name_of_its_own() -> None:
    names = [attack.name for attack in (*ATTACKS, *BLIND_SPOTS)]
    assert len(set(names)) == len(names)


def test_attacks_apply_where_the_question_has_what_they_need() -> None:
    on_sum, on_choice, on_puzzle = map(by_name, (SUM, CHOICE, PUZZLE))
    assert on_sum["a formula of the question"][0] == "<answer>3+4*6</answer>"
    assert not on_sum["every option"]
    assert on_choice["every option"][0] == "A\nC\nB\nD"
    assert not on_choice["a formula of the question"]
    assert not on_sum["other operators than allowed"]
    assert any("2**3" in text for text in on_puzzle["other operators than allowed"])
    assert not any(on_sum[name] for name in on_sum if "program" in name)


def test_solutions_come_in_pairs_that_differ_only_in_the_answer() -> None:
    made = list(solutions(SUM))
    for (style, text, right), wrong in zip(made[::2], made[1::2], strict=True):
        assert right
        assert wrong == (style, text.replace("27", "28"), False)


@pytest.mark.parametrize(
    ("reference", "wrong"),
    [
        ("27", "28"),
        ("-1", "0"),
        ("\\frac{3}{4}", "7/4"),
        ("C", "A"),
        ("(A)", "B"),
        ("Yes", "no"),
        ("Paris", "unknown"),
        ("\\sqrt{2}", "42"),
    ],
)
def test_a_wrong_answer_is_of_the_kind_of_the_reference(reference: str, wrong: str) -> None:
    assert wrong_answer(asked("?", reference)) == wrong


@given(st.text(max_size=60), st.text(min_size=1, max_size=20))
@settings(max_examples=25)
def test_whatever_a_question_says_every_attack_can_be_made(question: str, answer: str) -> None:
    example = asked(question, answer)
    made = candidates(example, first=True)
    assert len(made) > 100
    assert wrong_answer(example) != answer


def test_questions_that_an_attack_would_solve_by_luck_are_left_out() -> None:
    lucky = [asked("What is 5-0*3+0?", "5"), asked("Which?\nA. x\nB. y\nC. z", "C")]
    assert choose([*lucky, SUM], 3) == [SUM]
    assert choose(lucky, 3) == lucky


def test_questions_are_spread_over_the_data() -> None:
    many = [asked(f"How many are {n} and one?", str(n + 1)) for n in range(10, 110)]
    assert choose(many, 4) == many[::25]


@pytest.mark.parametrize(
    ("question", "answer", "numbers"),
    [
        ("Use [2, 3, 1] to make 7", "2*3+1", (2, 3, 1)),
        ("Use 4 and 2 to make 2", "4 / 2", (4, 2)),
        ("Use [2, 3] to make 8", "2**3", None),
        ("Use [2, 3, 1] to make 7", "7", None),
        ("What is 2*3+1?", "2*3+1", None),
        ("Use [2, 3, 1] to make 8", "2*3+1", None),
        ("Use [1, 0] to make 5", "1/0", None),
        ("Use [1, 0] to make 5", "1+(", None),
    ],
)
def test_a_puzzle_is_told_by_its_reference(
    question: str, answer: str, numbers: tuple[int, ...] | None
) -> None:
    found = puzzles.puzzle(asked(question, answer))
    assert (found.numbers if found else None) == numbers


@given(st.lists(st.integers(1, 12), min_size=2, max_size=3), st.integers(1, 40))
def test_other_operators_reach_the_target_and_the_wrong_answer_misses_it(
    numbers: list[int], target: int
) -> None:
    puzzle = puzzles.Puzzle(tuple(numbers), target)
    for text in puzzles.with_other_operators(puzzle):
        assert eval(text) == target
        assert any(sign in text for sign in ("**", "//", "%", "<<", "|", "^"))
    assert Fraction(eval(puzzles.wrong(puzzle))) != target
