"""The format pays only when the whole rule holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.rewards import REWARDS
from reasonkit.types import Completion, Example, Group


def _score(text: str) -> float | None:
    group = Group(Example("1", "t", (), "9"), [Completion(text, (1,), "stop")])
    return REWARDS["format"].score(group)[0]


@pytest.mark.parametrize(
    "text",
    [
        "<think>2+7=9</think><answer>9</answer>",
        "\n<think>\nTwo and seven.\n</think>\n\n<answer>\n9\n</answer>\n",
        "<think>1*1=1</think><answer>1</answer>",
        "<think>a < b > c, so a<b</think><answer>x<4</answer>",
    ],
)
def test_one_thought_and_one_answer_pay(text: str) -> None:
    assert _score(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9",
        "<think></think><answer>9</answer>",
        "<think> \n </think><answer>9</answer>",
        "<think>.......</think><answer>9</answer>",
        "<think>9</think><answer>9</answer>",
        "<think>12345</think><answer>12345</answer>",
        "<think>9 9 9 9 9 9</think><answer>9</answer>",
        "<think>2+7=9</think><answer></answer>",
        "<think>2+7=9</think><answer> . </answer>",
        "<think>2+7=9</think>9",
        "<think>2+7=9<answer>9</answer>",
        "<think>2+7=9</think><answer>9",
        "<answer>9</answer><think>2+7=9</think>",
        "<think>2+7=9</think><answer>9</answer> So nine.",
        "Well: <think>2+7=9</think><answer>9</answer>",
        "<think>2+7=9</think> so <answer>9</answer>",
        "<think>2+7=9</think><answer>9</answer><answer>9</answer>",
        "<think>2+7=9</think><think>2+7=9</think><answer>9</answer>",
        "<think><think>2+7=9</think></think><answer>9</answer>",
        "<think>2+7=9</think><answer><answer>9</answer></answer>",
        "<think>2+7=9 <answer>9</answer></think><answer>9</answer>",
        "<think>2+7=9</think><answer>9 <think>more</think></answer>",
        "<THINK>2+7=9</THINK><ANSWER>9</ANSWER>",
    ],
)
def test_everything_else_pays_nothing(text: str) -> None:
    assert _score(text) == 0.0


def test_a_thought_that_the_prompt_has_opened_pays_like_any_other() -> None:
    resolved = resolve("abacus")
    tokenizer, model = load_tokenizer(resolved)[0], load_model(resolved, "cpu", "float32")
    tokenizer.chat_template += "<think>"
    asked = [
        Example(q, "t", ({"role": "user", "content": q},), "0") for q in ("What is 2+7?", "4*2=?")
    ]
    groups = list(LocalEngine(model, tokenizer).sample(asked, 8, Sampling(64)))
    completions = [c for group in groups for c in group.completions]
    paid = [score for group in groups for score in REWARDS["format"].score(group)]
    assert all(c.text.startswith("<think>") for c in completions)
    assert any(paid)
    for completion, score in zip(completions, paid, strict=True):
        sampled = str(tokenizer.decode(completion.token_ids, skip_special_tokens=True))
        assert "<think>" not in sampled or not score
        assert _score(sampled) == 0.0


PIECES = st.sampled_from(
    ["<think>", "</think>", "<answer>", "</answer>", "9", "2+7=9", " ", "\n", "a b", "<", "é", "."]
)


@given(st.text() | st.lists(PIECES, max_size=9).map("".join))
@example("<think>2+7=9</think> <answer>9</answer>")
def test_it_never_raises_and_pays_only_by_the_stated_rule(text: str) -> None:
    score = _score(text)
    assert score in (0.0, 1.0)
    if score == 1.0:
        tags = re.findall(r"</?(?:think|answer)>", text)
        assert tags == ["<think>", "</think>", "<answer>", "</answer>"]
        before, thought, between, answer, after = re.split(r"</?(?:think|answer)>", text)
        assert not (before + between + after).strip()
        assert len("".join(thought.split())) >= 5
        assert answer.strip()
        assert thought.strip() != answer.strip()


@given(st.text(alphabet="0123456789+-*= abc", min_size=1), st.integers(0, 99))
def test_real_work_pays_whatever_is_written_in_it(work: str, answer: int) -> None:
    assert _score(f"<think>So: {work}=x</think><answer>{answer}</answer>") == 1.0
