"""How a run's prompts are laid out and its settings handed to TRL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.config import GrpoConfig
from reasonkit.training.grpo import arguments
from reasonkit.training.rollouts import mixed, schedule
from reasonkit.types import Example

EXAMPLES = [Example(str(i), "t", ({"role": "user", "content": str(i)},), "0") for i in range(7)]
CONFIG = GrpoConfig(
    group_size=4, prompts_per_step=6, steps=10, micro_batch=8, learning_rate=1e-4,
    max_completion_tokens=16, temperature=1.0,
)  # fmt: skip


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 99))
def test_schedule_shows_every_prompt_once_before_any_twice(
    prompts: int, steps: int, seed: int
) -> None:
    laid = schedule(EXAMPLES, prompts, steps, seed)
    assert len(laid) == prompts * steps
    for start in range(0, len(laid), len(EXAMPLES)):
        window = [example.id for example in laid[start : start + len(EXAMPLES)]]
        assert len(set(window)) == len(window)


def test_a_longer_schedule_begins_like_a_shorter_one() -> None:
    assert schedule(EXAMPLES, 3, 9, 1)[:12] == schedule(EXAMPLES, 3, 4, 1)


def test_a_second_task_has_its_share_of_every_step() -> None:
    general = [replace(example, id=f"g{example.id}", task="g") for example in EXAMPLES]
    config = replace(CONFIG, general_share=0.3)
    laid = mixed(EXAMPLES, general, config)
    assert len(laid) == 60
    for step in range(10):
        assert [e.task for e in laid[6 * step : 6 * (step + 1)]] == ["t"] * 4 + ["g"] * 2
    assert laid[:4] == schedule(EXAMPLES, 4, 10, 0)[:4]
    assert mixed(EXAMPLES, [], config) == schedule(EXAMPLES, 6, 10, 0)
    assert {e.task for e in mixed(EXAMPLES, general, replace(config, prompts_per_step=1))} == {"t"}


@pytest.mark.parametrize("updates", [1, 4])
def test_an_update_takes_the_whole_rollout(tmp_path: Path, updates: int) -> None:
    made = arguments(replace(CONFIG, updates_per_rollout=updates), tmp_path)
    assert made.generation_batch_size == 24
    assert made.per_device_train_batch_size * made.gradient_accumulation_steps == 24
    assert made.num_iterations == updates
    assert made.max_steps == 10 * updates
    assert made.save_steps % updates == 0
    assert not made.use_bias_correction_kl
