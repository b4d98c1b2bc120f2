"""A generated task's settings make its questions what they say, or one line says why not."""

from __future__ import annotations

import random
import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.tasks import TASKS, arithmetic, describe, letter_count, load, word_arithmetic
from reasonkit.tasks.generated import GENERATORS, draw
from reasonkit.tasks.settings import canonical, read, written


@st.composite
def of(data: st.DrawFn, kind: type) -> object:
    """Any settings that are allowed."""
    values = {}
    for field in fields(kind):
        allowed = field.metadata["allowed"]
        ends = st.integers(0, len(allowed) - 1)
        first, last = sorted((data(ends), data(ends)))
        values[field.name] = allowed[first : last + 1]
    return kind(**values)


@given(st.sampled_from(list(GENERATORS)).flatmap(lambda n: st.tuples(st.just(n), any_of(n))))
def test_settings_are_read_as_they_are_written(drawn: tuple) -> None:
    name, how = drawn
    _, _, text = canonical(name, how).partition(":")
    assert read(name, text, type(how)) == how


def any_of(name: str) -> st.SearchStrategy:
    return of(GENERATORS[name].settings)


@given(st.integers(), of(arithmetic.Settings))
def test_an_expression_is_made_of_what_is_set(seed: int, how: arithmetic.Settings) -> None:
    operands = 2 if how.operators == "*" else min(how.operands[0], 3)
    expression, value = arithmetic.draw(random.Random(seed), operands, how)
    numbers = [token for token in expression if isinstance(token, int)]
    assert len(numbers) == operands
    assert all(len(str(number)) in how.digits for number in numbers)
    assert set(expression) - set(numbers) <= {*how.operators, "(", ")"}
    assert eval(arithmetic.render(expression)) == value <= how.largest


@given(st.integers(), of(letter_count.Settings))
def test_a_letter_is_counted_in_the_word_that_is_asked_about(
    seed: int, how: letter_count.Settings
) -> None:
    question, count, counted = letter_count.draw(random.Random(seed), how)
    letter, word = re.fullmatch(r"How many (.) are there in the word (.*)\?", question).groups()
    assert word.count(letter) == count > 0
    assert re.findall(rf"{letter} (\d+)", counted)[-1] == str(count)
    assert len(word.replace("-", "")) in how.length
    assert int("-" in word) in how.hyphens


@pytest.mark.parametrize("steps", [1, 2])
def test_a_word_problem_takes_as_many_steps_as_are_set(steps: int) -> None:
    how = word_arithmetic.Settings(steps=range(steps, steps + 1))
    for seed in range(30):
        assert len(word_arithmetic.draw(random.Random(seed), how).lines) == steps


def test_the_usual_settings_are_the_task_as_it_is() -> None:
    usual = "arithmetic:digits=1,operands=2-8"
    ids = [example.id for example in load("arithmetic", train=50, validation=1, test=50).test]
    assert [example.id for example in load(usual, train=50, validation=1, test=50).test] == ids
    assert describe(usual).rewards == TASKS["arithmetic"].rewards


def test_a_question_belongs_to_one_split_whatever_is_set() -> None:
    asked = ("arithmetic", "arithmetic:operands=2-3", "arithmetic:operands=2,digits=1-2")
    splits = [load(task, train=300, validation=1, test=60) for task in asked]
    train = {example.question for one in splits for example in one.train}
    assert not train & {example.question for one in splits for example in one.test}


def test_of_narrow_settings_there_are_as_many_questions_as_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = draw("arithmetic:operands=2,operators=+", "test", 600)
    assert 5 < len(found) < 25
    said = capsys.readouterr().err.split()
    assert " ".join(said).endswith(f"test split has {len(found)} questions, not 600")


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("arithmetic:digit=2", "unknown setting of arithmetic 'digit': did you mean digits?"),
        ("arithmetic:digits=5", "arithmetic: digits=5: expected a number or a range from 1-4"),
        ("arithmetic:digits=3-2", "arithmetic: digits=3-2: expected a number or a range from 1-4"),
        ("arithmetic:digits=-2", "arithmetic: digits=-2: expected a number or a range from 1-4"),
        ("arithmetic:digits=²", "arithmetic: digits=²: expected a number or a range from 1-4"),
        ("arithmetic:digits", "arithmetic: digits: expected a number or a range from 1-4"),
        ("arithmetic:operators=/", "arithmetic: operators=/: expected some of +-*"),
        ("arithmetic:operators=", "arithmetic: operators=: expected some of +-*"),
        ("general:digits=2", "task 'general' has no settings: leave out 'digits=2'"),
        ("gsm8k:digits=2", "task 'gsm8k' has no settings: leave out 'digits=2'"),
    ],
)
def test_what_can_not_be_set_is_refused_in_a_line(task: str, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        describe(task)
    assert str(refused.value) == said


def test_an_unknown_task_with_settings_offers_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean arithmetic"):
        describe("arithmetik:digits=2")


def test_what_hardly_exists_is_refused() -> None:
    with pytest.raises(RefusedError, match="set fewer operands"):
        draw("arithmetic:operands=8,digits=2,operators=*", "train", 4)


def test_a_range_of_one_number_is_written_as_that_number() -> None:
    assert [written(range(2, 3)), written(range(2, 5)), written("+-")] == ["2", "2-4", "+-"]
