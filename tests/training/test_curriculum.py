"""A curriculum prefers what is sometimes solved."""

from __future__ import annotations

from collections import Counter

from reasonkit.training.curriculum import Curriculum
from reasonkit.types import Example

EXAMPLES = [
    Example(f"{i}", "t", ({"role": "user", "content": "x" * (i + 1)},), "0") for i in range(64)
]


def test_it_starts_out_indifferent() -> None:
    curriculum = Curriculum(EXAMPLES, seed=0)
    assert len({curriculum.weight(example) for example in EXAMPLES}) == 1
    drawn = Counter(e.id for step in range(200) for e in curriculum.draw(step, 8))
    assert min(drawn.values()) > 5


def test_a_step_has_no_prompt_twice_while_there_are_enough() -> None:
    curriculum = Curriculum(EXAMPLES, seed=0)
    assert len({e.id for e in curriculum.draw(3, 64)}) == 64
    assert len(curriculum.draw(3, 100)) == 100


def test_what_is_sometimes_solved_is_drawn_more_often() -> None:
    curriculum = Curriculum(EXAMPLES, seed=0)
    for _ in range(10):
        # The short ones are always solved, the long ones never, the middle ones at times.
        curriculum.observe({str(i): 1.0 for i in range(24)})
        curriculum.observe({str(i): 0.5 for i in range(24, 40)})
        curriculum.observe({str(i): 0.0 for i in range(40, 64)})
    drawn = Counter(int(e.id) // 8 for step in range(100) for e in curriculum.draw(step, 8))
    middle = drawn[3] + drawn[4]
    assert middle > 0.7 * drawn.total()
    assert all(drawn[bucket] for bucket in range(8))


def test_prompts_of_like_length_share_what_was_observed() -> None:
    curriculum = Curriculum(EXAMPLES, seed=0)
    for _ in range(20):
        curriculum.observe({"0": 1.0})
    assert curriculum.weight(EXAMPLES[1]) < 0.5 * curriculum.weight(EXAMPLES[60])


def test_its_state_is_what_was_observed_in_order() -> None:
    one, other = Curriculum(EXAMPLES, seed=1), Curriculum(EXAMPLES, seed=1)
    for rates in ({"3": 1.0, "9": 0.25}, {"3": 0.5}):
        one.observe(rates)
        other.observe(rates)
    assert one.draw(7, 8) == other.draw(7, 8)
    assert one.draw(7, 8) != one.draw(8, 8)
