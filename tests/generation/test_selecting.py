"""A model chooses among its own answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from reasonkit.generation.engine import Sampling
from reasonkit.generation.selecting import LONGEST, SelectingEngine, chosen
from reasonkit.types import Completion, Example, Group

QUESTION = Example("q", "t", ({"role": "user", "content": "2+2*6?"},), "14")
TEXTS = ["<think>2+2=4, 4*6</think>It is 24.", "<think>so long", "It is 14."]


class Engine:
    """Gives what it was made with, and keeps what it was asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts
        self.asked: list[Example] = []

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        self.asked += examples
        for example in examples:
            texts = self.texts[:n]
            yield Group(example, [Completion(text, (7,) * 5, "stop", -0.1) for text in texts])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Answer 3 is right.", 2),
        ("<think>1 looks good, 2 too</think>3", 2),
        ("24 is wrong, so: 3", 2),
        ("Answer 1 says 24 and answer 2 nothing. The right one is number **3**.", 2),
        ("I take 2.", 1),
        ("0.3 of 3.5", 0),
        ("none of them", 0),
        ("99", 0),
        ("<think>3", 0),
    ],
)
def test_the_number_that_is_named_last_is_chosen(text: str, place: int) -> None:
    assert chosen(text, 3) == place


def test_answers_are_shown_by_number_without_thoughts_and_one_is_given_back() -> None:
    drawing, choosing = Engine(*TEXTS), Engine("Number 3.")
    engine = SelectingEngine(drawing, choosing, 3, Sampling(50))
    (group,) = engine.sample([QUESTION], 1, Sampling(50, temperature=0))
    assert group.example is QUESTION
    assert [c.text for c in group.completions] == ["It is 14."]
    assert group.completions[0].tokens == 5
    (shown,) = (example.question for example in choosing.asked)
    assert shown.startswith("2+2*6?\n\nAnswer 1:\nIt is 24.\n\nAnswer 2:\n(none)\n\nAnswer 3:")
    assert "4*6" not in shown


def test_of_a_long_answer_its_end_is_shown() -> None:
    choosing = Engine("1")
    engine = SelectingEngine(Engine("x" * 3 * LONGEST + "14"), choosing, 1, Sampling(50))
    list(engine.sample([QUESTION], 1, Sampling(50)))
    assert len(choosing.asked[0].question) < LONGEST + 200
    assert "x14" in choosing.asked[0].question
