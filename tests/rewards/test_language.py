"""The share of a language among the words whose language can be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.errors import UnknownNameError
from reasonkit.rewards import parse
from reasonkit.rewards.language import FREQUENT, SCRIPTS, make, share

SENTENCES = {
    "en": "First we add 2 and 7, then we check that the sum is 9.",
    "de": "Zuerst addieren wir 2 und 7, dann prüfen wir das Ergebnis, also 9.",
    "fr": "D'abord on calcule 2+7, donc la réponse est 9.",
    "es": "Primero sumamos 2 y 7, entonces la respuesta es 9.",
    "zh": "首先我们计算二加七，所以答案是九。",
    "ja": "まず二と七を足すと、答えは九です。",
    "ko": "먼저 둘과 일곱을 더하면 아홉입니다.",
    "ru": "Сначала сложим два и семь, ответ девять.",
    "el": "Πρώτα προσθέτουμε δύο και επτά.",
    "ar": "أولا نجمع اثنين وسبعة",
    "he": "קודם נחבר שתיים ושבע",
    "hi": "पहले दो और सात जोड़ें",
    "th": "ก่อนอื่นบวกสองกับเจ็ด",
}


def test_every_language_has_a_sentence_here() -> None:
    assert SENTENCES.keys() == FREQUENT.keys() | SCRIPTS.keys()


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_counts_for_its_language_and_against_the_others(language: str) -> None:
    text = f"<think>{SENTENCES[language]}</think><answer>9</answer>"
    assert share(text, language) > 0.9
    # Japanese is written with Chinese characters too.
    for other in SENTENCES.keys() - ({language} if language not in ("ja", "zh") else {"ja", "zh"}):
        assert share(text, other) < 0.35, other


def test_mixed_thinking_is_a_share() -> None:
    half = "<think>then we add, zuerst und dann</think><answer>9</answer>"
    assert (share(half, "en"), share(half, "de")) == (0.4, 0.6)


def test_only_the_thinking_is_read_where_there_is_some() -> None:
    assert share("<think>then we add</think><answer>also ist es neun und dann</answer>") == 1.0
    assert share("zuerst und dann</think>we add") == 0.0
    assert share("<think>zuerst und dann") == 0.0


def test_shorthand_and_formulas_are_of_any_language() -> None:
    for language in SENTENCES:
        assert (
            share("<think>2+7=9, x+y, \\frac{x}{y}, π</think><answer>9</answer>", language) == 1.0
        )


@pytest.mark.parametrize("text", ["", "<think></think><answer>9</answer>", "<think> … </think>9"])
def test_nothing_said_pays_nothing(text: str) -> None:
    assert share(text) == 0.0


def test_padding_with_one_word_does_not_pay() -> None:
    foreign = "zuerst und dann noch einmal das ergebnis"
    assert share(f"{foreign} {'the ' * 500}") < 0.3


def test_a_language_is_chosen_by_name() -> None:
    assert [w.reward.name for w in parse(["language:fr=0.5"])] == ["language"]
    with pytest.raises(UnknownNameError, match="klingon"):
        make("klingon")


@given(st.text(), st.sampled_from(sorted(SENTENCES)))
def test_it_never_raises_and_is_a_share(text: str, language: str) -> None:
    assert 0.0 <= share(text, language) <= 1.0
