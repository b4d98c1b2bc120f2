"""Rewards that read lengths, against their papers' formulas."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.rewards import length, parse
from reasonkit.types import Completion, Example, Group

PROMPT = ({"role": "user", "content": "2+7?"},)


def scores(name: str, *completions: Completion) -> list[float | None]:
    (weighted,) = parse([name])
    return list(weighted.reward.score(Group(Example("1", "t", PROMPT, "9"), completions)))


def said(text: str, tokens: int, finish: str = "stop") -> Completion:
    return Completion(text, (1,) * tokens, finish)  # type: ignore[arg-type]


def test_cosine_at_its_ends_and_in_the_middle() -> None:
    found = scores(
        "length:100", said("9", 0), said("9", 50), said("8", 0), said("8", 50), said("9", 100)
    )
    assert found == pytest.approx([1.0, 0.75, -1.0, -0.5, -1.0])
    assert scores("length:100", said("9", 25)) == pytest.approx(
        [0.5 + 0.25 * (1 + math.cos(math.pi / 4))]
    )


def test_what_was_cut_off_costs_as_much_as_a_short_wrong_answer() -> None:
    assert scores("length:100", said("9", 10, "length")) == [-1.0]


@given(st.integers(0, 99), st.integers(0, 99))
def test_right_beats_wrong_at_any_length_and_short_beats_long_only_when_right(
    one: int, other: int
) -> None:
    short, long = sorted((one, other))
    right = scores("length:100", said("9", short), said("9", long))
    wrong = scores("length:100", said("8", short), said("8", long))
    assert right[0] >= right[1] > 0 >= wrong[1] >= wrong[0]


def test_programs_are_right_by_their_tests() -> None:
    tests = ({"input": 1, "output": 2},)
    example = Example("1", "t", PROMPT, "", tests, "f")
    group = Group(example, [said(f"def f(x): return {body}", 0) for body in ("x+1", "x")])
    assert length.cosine(group, 100) == [1.0, -1.0]


def test_a_reference_without_a_value_gives_no_verdict() -> None:
    assert length.cosine(Group(Example("1", "t", PROMPT, ""), [said("9", 5)])) == [None]


def test_overlong_grows_linearly_over_the_last_fifth() -> None:
    lengths = (0, 80, 85, 90, 100, 150)
    found = scores("overlong:100", *(said("9", n) for n in lengths))
    assert found == pytest.approx([0.0, 0.0, -0.25, -0.5, -1.0, -1.0])
    assert scores("overlong:100", said("9", 3, "length")) == [-1.0]


def test_repetition_is_the_share_of_tokens_in_n_grams_seen_before() -> None:
    def repeated(*ids: int) -> float | None:
        return scores("repetition:2", Completion("", ids, "stop"))[0]

    assert repeated(1, 2, 3, 4) == 0.0
    assert repeated(1, 2, 1, 2) == -0.5
    assert repeated(1, 2, 3, 1, 2, 3) == -0.5
    assert repeated(1, 1, 1, 1) == -0.75
    assert repeated() == 0.0


def test_words_are_compared_where_token_ids_are_not_known() -> None:
    assert scores("repetition:2", Completion("so it is so it", (), "stop")) == [-0.4]


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 5))
def test_repetition_agrees_with_its_definition(ids: list[int], n: int) -> None:
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    again = {j for i, g in enumerate(grams) if g in grams[:i] for j in range(i, i + n)}
    found = length.repetition(
        Group(Example("1", "t", (), ""), [Completion("", tuple(ids), "stop")]), n
    )
    assert found == [pytest.approx(-len(again) / len(ids) if ids else 0.0)]
