"""What a few groups show before anything is spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonkit.config import GrpoConfig
from reasonkit.rewards import parse
from reasonkit.rewards.guard import Guard
from reasonkit.training.preflight import look_ahead, sampled
from reasonkit.types import Completion, Example, Group

OWN = """
def brief(completions, **columns):
    return [max(0.0, 1 - len(completion) / 200) for completion in completions]


def short(completions, **columns):
    return [max(0.0, 1 - len(c[0]["content"]) / 200) for c in completions]


def never(group):
    return [0.0 for _ in group.completions]
"""


class Said:
    """An engine that gives the same few texts."""

    def sample(self, examples, n, sampling):
        texts = ["14", "<think>2+12</think><answer>14</answer>"]
        for example in examples:
            yield Group(example, [Completion(text, (1,) * len(text), "stop") for text in texts])


@pytest.mark.parametrize(
    ("reward", "told"), [("brief", "0.995"), ("never", "0"), ("short", None), ("answer", None)]
)
def test_a_reward_that_tells_no_completion_from_another_is_told(
    tmp_path: Path, reward: str, told: str | None
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    config = GrpoConfig(group_size=2, prompts_per_step=1, max_completion_tokens=60)
    asked = [Example(str(i), "t", ({"role": "user", "content": "2+2*6?"},), "14") for i in range(2)]
    name = reward if reward == "answer" else f"{tmp_path}/own.py:{reward}"
    seen = look_ahead(sampled(Said(), asked, config), config, Guard(parse([f"{name}=1"])))
    assert list(seen.constant) == ([reward] if told else [])
    lines = [line for line in seen.warnings() if "teaches nothing" in line]
    assert len(lines) == bool(told)
    assert all(f"gave all 4 completions {told}" in line for line in lines)


def test_the_plan_tells_steps_and_what_measuring_takes() -> None:
    config = GrpoConfig(group_size=2, prompts_per_step=1, max_completion_tokens=60)
    asked = [Example("0", "t", ({"role": "user", "content": "2+2*6?"},), "14")]
    seen = look_ahead(sampled(Said(), asked, config), config, Guard(parse(["answer=1"])))
    rows = dict(seen.rows(40, 500, 11))
    assert rows["training"].startswith("40 steps, about ")
    assert rows["measuring"].startswith("500 test questions, 11 times")
