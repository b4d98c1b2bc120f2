"""Which prompts a step has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reasonkit.config import GrpoConfig
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.training.curriculum import Curriculum
from reasonkit.training.rollouts import Rollout, mixed
from reasonkit.types import Example

OWN = [Example(str(i), "t", ({"role": "user", "content": str(i)},), "0") for i in range(8)]
GENERAL = [replace(example, task="g") for example in OWN]
CONFIG = GrpoConfig(group_size=2, prompts_per_step=4, steps=5, general_share=0.5)


def test_a_second_task_with_the_same_questions_keeps_its_share_under_a_curriculum(
    tmp_path: Path,
) -> None:
    laid = mixed(OWN, GENERAL, CONFIG)
    rollout = Rollout(OWN, laid, CONFIG, Guard([]), Run(tmp_path), Curriculum(OWN, 0))
    for step in range(5):
        assert [e.task for e in rollout._prompts(step, 4)] == ["t", "t", "g", "g"]
