"""Steps that are written out, and shorthand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.rewards.readability import share

CHAIN = "(1+2)*9-2=3*9-2=27-2=25"


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        (CHAIN, 1.0),
        (f"2+3*4=20 wait, {CHAIN}", 1.0),
        ("Ann has 3 apples. Ben gives her 2, so she has 5.", 1.0),
        ("3*9-2; 27-2; 25", 0.0),
        ("3*9-2=25; 25", 0.5),
        ("x*2, x*2+3", 0.0),
        ("= = =; ==", 0.0),
        ("", 0.0),
    ],
)
def test_a_step_is_written_out_if_it_states_something(thought: str, expected: float) -> None:
    assert share(f"<think>{thought}</think><answer>25; 3</answer>") == expected


def test_without_tags_the_whole_text_is_read() -> None:
    assert share(CHAIN) == share(f"<think>{CHAIN}") == 1.0


@given(st.text())
def test_any_text_has_a_share(text: str) -> None:
    assert 0.0 <= share(text) <= 1.0
