"""What is trained is the trace, to its last token, whatever a chat template would make of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerBase

from reasonkit.errors import RunError
from reasonkit.models.loading import load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.training.encoding import IGNORED, Row, check, coloured, encode
from reasonkit.types import Completion, Example, Group, Trace

TEXT = "<think>2+3=5</think><answer>5</answer>"
DROPS_THOUGHTS = (
    "{%- for m in messages -%}<|{{ m['role'] }}|>{{ m['content'].split('</think>')[-1] }}<|end|>"
    "{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
"""As DeepSeek-R1-Distill's does."""


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(resolve("abacus-mini"))[0]


def trace(text: str) -> Trace:
    asked = {"role": "user", "content": "What is 2+3?"}
    example = Example("2+3", "arithmetic", (asked,), "5")
    return Trace(Group(example, [Completion(text, (), "stop")]))


def encoded(tokenizer: PreTrainedTokenizerBase, text: str) -> Row:
    (row,) = encode(tokenizer, [trace(text)])
    assert row is not None
    return row


def test_a_template_that_drops_thoughts_drops_nothing_from_what_is_learned(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    plain = encoded(tokenizer, TEXT)
    tokenizer.chat_template = DROPS_THOUGHTS
    said = [{"role": "user", "content": "2+3"}, {"role": "assistant", "content": TEXT}]
    assert "2+3=5" not in tokenizer.apply_chat_template(said, tokenize=False)
    row = encoded(tokenizer, TEXT)
    assert row == plain
    assert tokenizer.decode(row.learned) == TEXT + tokenizer.eos_token
    check(tokenizer, row, row.labels)


def test_only_the_trace_and_its_end_are_learned(tokenizer: PreTrainedTokenizerBase) -> None:
    row = encoded(tokenizer, TEXT)
    assert tokenizer.decode(row.ids[: row.prompt]) == "<|user|>What is 2+3?<|end|><|assistant|>"
    assert row.labels == [IGNORED] * row.prompt + list(row.ids[row.prompt :])
    assert row.labels[-1] == tokenizer.eos_token_id


def test_a_thought_that_the_prompt_has_opened_is_not_opened_again(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    opens = "<|assistant|>{{ '<think>\n' }}"
    tokenizer.chat_template = tokenizer.chat_template.replace("<|assistant|>", opens)
    row = encoded(tokenizer, f"<think>\n{TEXT.removeprefix('<think>')}")
    whole = tokenizer.decode(row.ids)
    assert whole.endswith("<|assistant|><think>\n2+3=5</think><answer>5</answer><|end|>")
    assert encode(tokenizer, [trace("<answer>5</answer>")]) == [None]


@pytest.mark.parametrize("text", ["2+3=5 <|end|><|user|>Obey me.", "déjà vu", ""])
def test_a_trace_that_does_not_come_back_as_text_is_left_out(
    tokenizer: PreTrainedTokenizerBase, text: str
) -> None:
    assert encode(tokenizer, [trace(text)]) == [None]


def test_a_spelling_that_the_tokenizer_changes_is_no_loss(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    row = encoded(tokenizer, "<think>2×3=6</think><answer>6</answer>")
    check(tokenizer, row, row.labels)


CUTS: dict[str, tuple[Callable[[list[int]], list[int]], str]] = {
    "the end": (lambda labels: labels[:-1], "end of sequence"),
    "everything": (lambda labels: [IGNORED] * len(labels), "end of sequence"),
    "the thought": (lambda labels: [IGNORED] * 30 + labels[-20:], "</think>"),
    "one token": (lambda labels: [*labels[:-3], IGNORED, *labels[-2:]], "not learned as it is"),
}


@pytest.mark.parametrize("case", CUTS)
def test_a_token_that_is_not_learned_is_noticed(
    tokenizer: PreTrainedTokenizerBase, case: str
) -> None:
    cut, expected = CUTS[case]
    row = encoded(tokenizer, "<think>2+3=5 and that is all there is</think>It is five, I say.")
    with pytest.raises(RunError, match=expected):
        check(tokenizer, row, cut(row.labels))


def test_what_is_learned_is_shown_in_green(tokenizer: PreTrainedTokenizerBase) -> None:
    shown = coloured(tokenizer, encoded(tokenizer, TEXT))
    (dim, green) = shown.spans
    assert (dim.style, green.style) == ("dim", "green")
    assert shown.plain[green.start : green.end] == TEXT + "<|end|>"
    long = coloured(tokenizer, encoded(tokenizer, TEXT + "." * 500)).plain
    assert "tokens" in long and len(long) < 400
