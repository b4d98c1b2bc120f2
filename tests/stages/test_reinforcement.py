"""What reinforcement learning is told where the settings leave it open."""

from __future__ import annotations

import pytest

from reasonkit.config import GrpoConfig
from reasonkit.stages.reinforcement import resolve_settings


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
    assert resolve_settings(settings).config.steps == steps
