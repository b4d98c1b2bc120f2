"""What is read from the answers of a chat-completions server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.answers.extraction import extract_answer
from reasonkit.generation.answer import completions, text_of
from reasonkit.generation.server import IMPROPER

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "usage", "completion_tokens", "logprobs", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
)


def answer(*texts: str, tokens: int | None = None, **fields: Any) -> dict[str, Any]:
    choices = [{"message": {"content": text}, "finish_reason": "stop", **fields} for text in texts]
    return {"choices": choices, "usage": {"completion_tokens": tokens}}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_thought_that_stands_apart_is_put_back(name: str) -> None:
    message = {"content": "\n\n<answer>14</answer>", name: "\n2+12\n"}
    assert text_of(message) == "<think>\n2+12\n</think>\n\n<answer>14</answer>"


@pytest.mark.parametrize("content", [None, ""])
def test_a_thought_without_an_answer_is_left_open(content: str | None) -> None:
    text = text_of({"content": content, "reasoning_content": "2+12=14"})
    assert text == "<think>2+12=14"
    assert extract_answer(text) is None


def test_a_thought_that_the_template_opened_is_opened_again() -> None:
    assert text_of({"content": "2+12</think>14"}) == "<think>2+12</think>14"
    assert text_of({"content": "<think>2+12</think>14"}) == "<think>2+12</think>14"
    assert text_of({"content": "14"}) == "14"


def test_a_text_may_come_in_parts_or_not_at_all() -> None:
    parts = [{"type": "text", "text": "1"}, {"type": "text", "text": "4"}]
    assert text_of({"content": parts}) == "14"
    assert text_of({"content": None}) == ""


def test_half_characters_are_replaced() -> None:
    text = text_of({"content": "4\ud83d", "reasoning": "\udc00"})
    assert text == "<think>?</think>4?"
    text.encode()


def test_tokens_are_counted_by_log_probabilities_first() -> None:
    logprobs = {"content": [{"logprob": -1.0}, {"logprob": -2.0}, {"logprob": -0.3}]}
    (completion,) = completions(answer("some text", tokens=99, logprobs=logprobs), 50)
    assert completion.tokens == 3
    assert completion.mean_logprob == pytest.approx(-1.1)


def test_tokens_are_the_usage_of_one_completion_or_words_where_it_is_missing() -> None:
    assert completions(answer("some text", tokens=17), 50)[0].tokens == 17
    assert completions(answer("some text"), 50)[0].tokens == 2
    assert completions(answer("some text", tokens=17), 50)[0].mean_logprob is None


@given(st.lists(st.text(max_size=30), min_size=1, max_size=9), st.integers(0, 5000))
def test_the_usage_of_several_completions_is_shared_out_and_none_is_lost(
    texts: list[str], total: int
) -> None:
    made = completions(answer(*texts, tokens=total), 5000)
    assert sum(completion.tokens for completion in made) == total
    assert all(completion.tokens >= 0 for completion in made)


@pytest.mark.parametrize(
    ("reason", "tokens", "finish"),
    [
        ("stop", 50, "stop"),
        ("length", 3, "length"),
        ("content_filter", 3, "length"),
        (None, 3, "stop"),
        (None, 50, "length"),
    ],
)
def test_finish_reasons_say_whether_the_model_ended_it(
    reason: str | None, tokens: int, finish: str
) -> None:
    said = answer("4", tokens=tokens, finish_reason=reason)
    assert completions(said, 50)[0].finish_reason == finish


@given(JSON)
def test_whatever_is_answered_is_read_or_improper(said: Any) -> None:
    try:
        made = completions(said, 50)
    except IMPROPER:
        return
    assert all(isinstance(completion.text, str) for completion in made)
    assert made
