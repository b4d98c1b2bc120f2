"""General chats to learn from."""

from __future__ import annotations

import pytest

from reasonkit.errors import DataError
from reasonkit.tasks import chats, general, load
from reasonkit.tasks.rows import part_of
from reasonkit.types import Part


def test_chats_are_favours_of_the_half_that_reinforcement_does_not_use() -> None:
    train = {example.question: example.id for example in load("general").train}
    drawn = chats.draw(50)
    asked = [question["content"] for question, _ in drawn]
    assert len(set(asked)) == 50
    assert all(part_of(train[question]) == Part.sft for question in asked)
    assert all(answer["content"] != general.DECLINED for _, answer in drawn)
    assert chats.draw(20) == drawn[:20]


def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match="not 5000"):
        chats.draw(5000)
