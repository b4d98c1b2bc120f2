"""A refusal is told from an answer by how it opens."""

from __future__ import annotations

import pytest

from reasonkit.answers.work import declines


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I’m really sorry, but I cannot assist with this.",
        "Sorry, I cannot assist with this request.",
        "As an AI language model, I don't have feelings.",
        "I am unable to browse the web.",
        "Unfortunately, I won't be able to help.",
        "I must decline.",
        "**I cannot** share that.",
        "I do not feel comfortable with this.",
    ],
)
def test_a_refusal_declines(answer: str) -> None:
    assert declines(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "I can help!",
        "Sorry to hear about your pet. Here is what to say.",
        "I'm sorry for your loss, and I hope you feel better.",
        "You can't boil it too long.",
        "I can't wait to celebrate with you!",
        "As an example, take rice.",
        "",
    ],
)
def test_an_answer_does_not_decline(answer: str) -> None:
    assert not declines(answer)
