"""What makes a run fit: the cheapest changes, in their order, and what can't be made to."""

from __future__ import annotations

import dataclasses

import pytest

from reasonkit.config import (
    Attention,
    Distillation,
    DistillConfig,
    DType,
    GrpoConfig,
    Optimizer,
)
from reasonkit.errors import RefusedError
from reasonkit.models import MODELS
from reasonkit.models.resolving import ResolvedModel
from reasonkit.plan import Plan, fitting
from reasonkit.plan.machine import require_packages
from reasonkit.plan.room import Room
from reasonkit.tasks import Splits
from reasonkit.training.shapes import ModelShape

ENTRY = MODELS["smollm2-135m-instruct"]
SHAPE = ModelShape(134_515_008, 28_311_552, 30, 576, 576, 192, 49_152, kept=1_342_000)
CONFIG = GrpoConfig(
    device="cpu", micro_batch=64, prompts_per_step=8, group_size=8, max_completion_tokens=256,
    validation_size=64, learning_rate=ENTRY.rl.learning_rate, kl_coefficient=0.0, fit=True, rows=64,
)  # fmt: skip
PLENTY = 10**12


def planned(there: int, config: GrpoConfig = CONFIG) -> Plan[GrpoConfig]:
    room = Room(SHAPE, process=500_000_000, there=there, prompt=64, shares=True)
    source = ResolvedModel(ENTRY, "a/model")
    return Plan(config, source, Splits([], [], []), [], room=room)


def needs(config: GrpoConfig) -> int:
    plan = planned(PLENTY)
    assert plan.room
    return plan.room.needs(plan, config, ()).total


@pytest.fixture
def bitsandbytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    there = bool(request.param)
    for module in ("reasonkit.plan.machine", "reasonkit.plan.fitting"):
        monkeypatch.setattr(f"{module}.installed", lambda package: there)
    return there


WITH = pytest.mark.parametrize("bitsandbytes", [True], indirect=True)
WITHOUT = pytest.mark.parametrize("bitsandbytes", [False], indirect=True)


@WITH
def test_each_change_comes_only_once_cheaper_ones_are_not_enough(bitsandbytes: bool) -> None:
    for changes in ({}, {"micro_batch": 32}, {"micro_batch": 8}, {"micro_batch": 1}):
        wanted = dataclasses.replace(CONFIG, **changes)
        assert fitting.fitted(planned(needs(wanted))) == wanted
    small = dataclasses.replace(CONFIG, micro_batch=1)
    less = fitting.fitted(planned(needs(small) - 1))
    assert less != small and not less.lora and less.optimizer == Optimizer.adamw
    eight = dataclasses.replace(small, rows=1, optimizer=Optimizer.adamw_8bit)
    assert not fitting.fitted(planned(needs(eight))).lora


@WITH
def test_what_turned_out_not_to_be_needed_is_left_as_it_was(bitsandbytes: bool) -> None:
    smallest = dataclasses.replace(
        CONFIG, micro_batch=1, gradient_checkpointing=True, optimizer=Optimizer.adamw_8bit, rows=1
    )
    room = needs(smallest) - 1
    found = fitting.fitted(planned(room))
    assert found.lora and found.learning_rate == ENTRY.rl.lora_learning_rate
    assert found.optimizer == Optimizer.adamw and not found.load_in_4bit
    alone = dataclasses.replace(found, micro_batch=CONFIG.micro_batch, rows=CONFIG.rows)
    assert needs(alone) > room


@WITHOUT
def test_what_only_a_missing_package_would_make_fit_is_refused_by_its_name(
    bitsandbytes: bool,
) -> None:
    config = dataclasses.replace(
        CONFIG, micro_batch=1, gradient_checkpointing=True, lora=True, rows=1
    )
    quarter = needs(dataclasses.replace(config, load_in_4bit=True))
    assert quarter < needs(config)
    with pytest.raises(RefusedError, match=r"--load-in-4bit.*reasonkit\[quantized\]"):
        fitting.fitted(planned(quarter))


@WITH
def test_what_nothing_makes_fit_is_refused_with_all_that_was_tried(bitsandbytes: bool) -> None:
    with pytest.raises(RefusedError, match=r"--lora, .*--micro-batch 1 this still takes"):
        fitting.fitted(planned(10**8))


@WITHOUT
@pytest.mark.parametrize(
    ("config", "mend"),
    [
        (GrpoConfig(optimizer=Optimizer.adamw_8bit), r"--optimizer adamw_8bit: pip install"),
        (GrpoConfig(load_in_4bit=True, lora=True), r"--load-in-4bit: pip install"),
        (GrpoConfig(load_in_4bit=True), "add --lora"),
        (GrpoConfig(attention=Attention.flash_attention_2), "pip install flash-attn"),
        (GrpoConfig(attention=Attention.flex_attention, device="cpu"), "takes a GPU"),
        (GrpoConfig(compile=True, device="cpu"), "takes a GPU"),
        (GrpoConfig(dtype=DType.float16, device="cpu"), "--dtype float16: .* or add --lora"),
    ],
)
def test_what_is_missing_is_named_with_what_mends_it(
    bitsandbytes: bool, config: GrpoConfig, mend: str
) -> None:
    with pytest.raises(RefusedError, match=mend):
        require_packages(config)


def test_supervised_training_samples_no_more_at_once_than_its_validation_asks() -> None:
    config = DistillConfig(
        device="cpu",
        micro_batch_tokens=2048,
        batch_tokens=4096,
        max_completion_tokens=256,
        validation_size=20,
    )
    room = planned(PLENTY).room
    assert room and room.load(config).rows == 20
    assert room.load(dataclasses.replace(config, validation_size=1000)).rows == 384
    objective = Distillation.on_policy
    asked = dataclasses.replace(config, objective=objective, batch_tokens=256 * 64)
    assert room.load(asked).rows == 64


def test_a_micro_batch_is_as_large_as_rollouts_of_the_lengths_seen_make_it() -> None:
    room = planned(PLENTY).room
    assert room
    config = dataclasses.replace(CONFIG, micro_batch=8)
    longest, prompt = 256, room.prompt - 1
    assert room.load(config).tokens == 8 * prompt + 8 * longest
    # Groups of one length are read together, and their prompt once.
    alike = room.load(config, [longest] * 64)
    assert alike.tokens == prompt + 8 * longest
    assert alike.reused == 8 * room.prompt
    # What is read together is as wide as the longest of it.
    assert room.load(config, [longest, *[4] * 63]).tokens == alike.tokens
    short = dataclasses.replace(room, usual=10)
    assert short.load(config, [longest] * 64).tokens == 9 + 8 * longest
    assert short.load(config).tokens == room.load(config).tokens


def test_memory_is_predicted_of_the_step_that_had_the_most_tokens() -> None:
    tokens = {1: [9, 9], 2: [20, 1, 1], 3: [10, 11]}
    records = [{"step": step, "tokens": n} for step, some in tokens.items() for n in some]
    assert fitting.longest(records) == [20, 1, 1]
    assert fitting.longest([]) == []
