"""What is read from the answers of a chat-completions server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.answers.reading import extract_answer
from reasonkit.servers.chat import IMPROPER, completions, text_of

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


@pytest.mark.parametrize("odd", [None, float("-inf"), float("nan"), float("inf")])
def test_an_answer_is_kept_without_a_log_probability_that_is_no_number(odd: float | None) -> None:
    logprobs = {"content": [{"logprob": -1.0}, {"logprob": odd}, {"logprob": -0.3}]}
    (completion,) = completions(answer("some text", tokens=99, logprobs=logprobs), 50)
    assert (completion.text, completion.tokens, completion.mean_logprob) == ("some text", 3, None)


@pytest.mark.parametrize(
    "odd", [[], 3, "x", {"content": None}, {"content": [3]}, {"content": [{}]}, {"tokens": ["4"]}]
)
def test_an_answer_is_kept_without_log_probabilities_of_another_shape(odd: object) -> None:
    (completion,) = completions(answer("some text", tokens=99, logprobs=odd), 50)
    assert (completion.text, completion.tokens, completion.mean_logprob) == ("some text", 99, None)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, 2),
        ([3], 2),
        ({}, 2),
        ({"completion_tokens": None}, 2),
        ({"completion_tokens": "many"}, 2),
        ({"completion_tokens": -1}, 2),
        ({"completion_tokens": float("nan")}, 2),
        ({"completion_tokens": 10**400}, 2),
        ({"completion_tokens": 12.0}, 12),
        ({"completion_tokens": 0}, 0),
    ],
)
def test_an_answer_is_kept_whatever_its_usage_says(usage: object, tokens: int) -> None:
    for said in ({**answer("some text"), "usage": usage}, answer("some text") | {"usage": usage}):
        assert completions(said, 50)[0].tokens == tokens
    without = answer("some text")
    del without["usage"]
    assert completions(without, 50)[0].tokens == 2


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"message": {"content": None}, "finish_reason": "content_filter"}, "content filter"),
        ({"message": {"content": ""}, "finish_reason": "content_filter"}, "content filter"),
        ({"message": None, "finish_reason": "content_filter"}, "content filter"),
        ({"finish_reason": "content_filter"}, "content filter"),
        ({"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}, "refusal"),
        ({"message": {"content": None}, "finish_reason": "stop"}, "no text"),
        (
            {"message": {"content": None, "tool_calls": []}, "finish_reason": "tool_calls"},
            "no text",
        ),
    ],
)
def test_a_choice_without_a_text_failed(choice: dict[str, Any], kind: str) -> None:
    said = {"choices": [choice, *answer("4")["choices"]], "usage": {"completion_tokens": 5}}
    failed, good = completions(said, 50)
    assert (failed.text, failed.finish_reason) == ("", "failed")
    assert failed.failure.partition(":")[0] == kind
    assert (good.text, good.finish_reason, good.failure) == ("4", "stop", "")
    assert failed.tokens + good.tokens == 5


def test_saying_nothing_and_thinking_to_the_limit_are_completions() -> None:
    empty = {"message": {"content": ""}, "finish_reason": "stop"}
    hidden = {"message": {"content": None}, "finish_reason": "length"}
    thought = {"message": {"content": None, "reasoning": "2+"}, "finish_reason": "length"}
    made = completions({"choices": [empty, hidden, thought]}, 50)
    assert [(c.text, c.finish_reason, c.failure) for c in made] == [
        ("", "stop", ""),
        ("", "length", ""),
        ("<think>2+", "length", ""),
    ]


def test_choices_that_are_none_are_left_out_as_long_as_there_is_one() -> None:
    broken: list[Any] = [None, {}, {"message": ["4"]}, {"message": {"content": 4}}]
    broken.append({"message": {"content": ""}, "error": {"code": 502}, "finish_reason": "error"})
    said = {"choices": [*broken, *answer("4")["choices"]]}
    assert [completion.text for completion in completions(said, 50)] == ["4"]
    with pytest.raises(IMPROPER):
        completions({"choices": broken}, 50)


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
        ("STOP", 50, "stop"),
        ("MAX_TOKENS", 3, "length"),
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
