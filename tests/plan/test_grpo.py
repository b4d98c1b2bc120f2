"""What reinforcement learning is told where the settings leave it open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reasonkit.config import GrpoConfig
from reasonkit.errors import RefusedError
from reasonkit.plan.grpo import settle
from reasonkit.types import Part


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        (GrpoConfig(test_size=8), 80),
        (GrpoConfig(task="tiny-code", test_size=8), 150),
        (GrpoConfig(task="tiny-code", test_size=8, steps=7), 7),
    ],
)
def test_a_task_that_takes_longer_is_given_longer_unless_told(
    settings: GrpoConfig, steps: int
) -> None:
    assert settle(settings).config.steps == steps


MIXED = GrpoConfig(general_task="general", part=Part.rl, test_size=8, validation_size=8)


def test_a_second_task_brings_its_prompts_and_rewards_that_score_them_alone() -> None:
    plan = settle(MIXED)
    assert plan.general is not None
    assert {w.reward.name: w.task for w in plan.rewards} == {
        "answer": "arithmetic", "format": "arithmetic", "helpful": "general", "harmless": "general",
    }  # fmt: skip
    assert plan.config.general_reward == ["helpful:abacus-judge=1", "harmless:abacus-judge=1"]
    other = settle(replace(MIXED, part=Part.sft))
    assert other.general is not None
    for mine, others in (
        (plan.splits.train, other.splits.train),
        (plan.general.train, other.general.train),
    ):
        ids = [{example.id for example in examples} for examples in (mine, others)]
        assert ids[0] and ids[1] and ids[0].isdisjoint(ids[1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"general_task": None, "general_reward": ["format=1"]}, "needs --general-task"),
        ({"general_task": "arithmetic"}, "is the task itself"),
        ({"general_reward": ["format=1"]}, "given for arithmetic and for general"),
        ({"general_reward": ["answer=1"]}, "reward 'answer' reads it"),
        ({"general_share": 0.02}, "less than one"),
        ({"prompts_per_step": 1}, "less than one"),
    ],
)
def test_a_second_task_that_can_not_be_mixed_in_is_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        settle(replace(MIXED, **changes))
