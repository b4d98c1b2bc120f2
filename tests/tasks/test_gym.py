"""Tasks of reasoning-gym, with its own settings."""

from __future__ import annotations

import pytest

from reasonkit.errors import ReasonkitError
from reasonkit.tasks import load

pytest.importorskip("reasoning_gym", reason="needs the extra gym")


def test_settings_are_reasoning_gyms_own() -> None:
    drawn = load(
        "gym:chain_sum:min_terms=2,max_terms=2,max_digits=1", train=20, validation=2, test=2
    )
    assert all(len(example.question.split("+")) <= 2 for example in drawn.train)
    assert all(abs(int(example.answer)) < 19 for example in drawn.train)
    assert load("gym:chain_sum", train=20, validation=2, test=2).train != drawn.train


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("gym:chain_sun", "did you mean chain_sum"),
        ("gym:chain_sum:terms=2", "setting of gym:chain_sum"),
        ("gym:chain_sum:max_terms=two", "max_terms=6 or the like"),
        ("gym:chain_sum:max_terms=[", "max_terms=6 or the like"),
        ("gym:chain_sum:max_terms", "max_terms=6 or the like"),
        ("gym:chain_sum:max_terms=true", "max_terms=6 or the like"),
        ("gym:chain_sum:min_terms=9,max_terms=2", "max_terms must be >= min_terms"),
        ("gym:chain_sum:seed=1", "setting of gym:chain_sum"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(task: str, says: str) -> None:
    with pytest.raises(ReasonkitError, match=says) as refused:
        load(task, train=4, validation=2, test=2)
    assert "\n" not in str(refused.value)
