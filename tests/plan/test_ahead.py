"""What is said of devices that aren't here: properties that hold for any of them, and a command."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.config import EngineName, GrpoConfig, Shard
from reasonkit.models import MODELS
from reasonkit.models.resolving import ResolvedModel
from reasonkit.plan import Plan, ahead
from reasonkit.plan.devices import DEVICES, Cluster, Device
from reasonkit.plan.roofline import Spent, spent
from reasonkit.plan.room import Room
from reasonkit.plan.work import Sampled, Updated, Work
from reasonkit.tasks import Splits
from reasonkit.training.shapes import ModelShape

SMALL = ModelShape(134_515_008, 28_311_552, 30, 576, 576, 192, 49_152, kept=1_000_000)
LARGE = ModelShape(7_615_616_512, 1_089_994_752, 28, 3584, 3584, 512, 152_064, kept=7_700_000)
H100 = DEVICES["H100"]

COUNTS = st.sampled_from([1, 2, 4, 8, 16, 64, 512])
NAMES = st.sampled_from(sorted(DEVICES))
SHARDS = st.sampled_from(Shard)
ENGINES = st.sampled_from([EngineName.local, EngineName.vllm])


def work(shape: ModelShape = SMALL, prompts: int = 64) -> Work:
    config = GrpoConfig(
        device="cuda", micro_batch=8, prompts_per_step=prompts, group_size=8, steps=10,
        max_prompt_tokens=200, max_completion_tokens=300, learning_rate=1e-6, kl_coefficient=0.0,
        reward=["answer=1"],
    )  # fmt: skip
    room = Room(shape, 0, 0, config.max_prompt_tokens, shares=True)
    model = ResolvedModel(MODELS["qwen2.5-7b"], "a/model")
    plan = Plan(config, model, Splits([], [], []), [], room=room)
    return Work(plan, (Sampled(shape, prompts, 8, 10),), Updated(prompts, 8, 10))


def on(count: int, name: str = "H100") -> Cluster:
    return Cluster(1, 1, name).of(count)


def took(
    count: int, device: Device = H100, shard: Shard = Shard.none, engine: str = "vllm"
) -> Spent:
    laid = ahead._laid(work(), device, on(count), shard, EngineName(engine))
    return spent([laid], device, on(count))


@given(COUNTS, NAMES, SHARDS, ENGINES)
def test_more_devices_never_need_more_memory_each(
    count: int, name: str, shard: Shard, engine: EngineName
) -> None:
    peaks = []
    for devices in (count, 2 * count):
        laid = ahead._laid(work(), DEVICES[name], on(devices, name), shard, engine)
        assert laid.plan.room
        peaks.append(laid.plan.room.needs(laid.plan, laid.plan.config, ()).total)
    assert peaks[1] <= peaks[0]


@given(COUNTS, NAMES, SHARDS, ENGINES)
def test_but_for_communication_more_devices_take_no_longer_and_save_no_device_hours(
    count: int, name: str, shard: Shard, engine: EngineName
) -> None:
    device = dataclasses.replace(DEVICES[name], inside=1e30, between=1e30)
    fewer, more = (took(n, device, shard, engine) for n in (count, 2 * count))
    assert more.seconds <= fewer.seconds * (1 + 1e-9)
    assert fewer.seconds * count <= more.seconds * 2 * count * (1 + 1e-9)
    assert (more.sampled, more.learned) == (fewer.sampled, fewer.learned)


def test_what_most_time_goes_into_is_what_is_slow() -> None:
    assert took(8, dataclasses.replace(H100, bandwidth=1e10)).bottleneck == "rollout"
    slow_links = dataclasses.replace(H100, inside=1e6)
    assert took(8, slow_links).bottleneck == "communication"
    assert took(8, slow_links, Shard.fsdp).communication > took(8, slow_links).communication
    assert took(1, slow_links).communication == 0
    assert took(8, dataclasses.replace(H100, flops=1e11)).bottleneck in ("update", "rollout")


def test_an_update_is_6_flops_a_parameter_and_token_and_those_of_attention() -> None:
    device = dataclasses.replace(H100, bandwidth=1e30)
    per_token = 6 * (SMALL.parameters + SMALL.layers * SMALL.heads_width * 500)
    # Each prompt is read once: a group is a micro-batch.
    tokens = 10 * 64 * (8 * 300 + 200)
    assert took(1, device).update == pytest.approx(tokens * per_token / (0.35 * device.flops))


def test_parts_are_chosen_only_where_copies_have_no_room_and_nothing_where_nothing_has() -> None:
    config = work().plan.config
    flags, laid = ahead.choose([work()], H100, on(8), config)
    assert flags == ["--shard none", "--engine vllm"] and laid
    flags, _ = ahead.choose([work(LARGE)], DEVICES["H200"], on(8, "H200"), config)
    assert flags[:2] == ["--shard fsdp", "--engine vllm"]
    assert not any("lora" in flag for flag in flags)
    huge = dataclasses.replace(LARGE, parameters=10**12)
    assert ahead.choose([work(huge)], H100, on(8), config) == ([], [])
    asked = dataclasses.replace(config, shard=Shard.fsdp, engine=EngineName.local)
    assert ahead.choose([work()], H100, on(8), asked)[0][:2] == ["--shard fsdp", "--engine local"]


def test_devices_sample_together_only_where_one_has_no_room_for_the_model() -> None:
    config, heads = work().plan.config, dataclasses.replace(LARGE, heads=(28, 4))
    wide = dataclasses.replace(heads, parameters=30 * 10**9)
    alone, together = (
        ahead.choose([work(shape)], DEVICES["H200"], on(16, "H200"), config)[0]
        for shape in (heads, wide)
    )
    assert not any("tensor" in flag for flag in alone)
    assert "--tensor-parallel 2" in together
    # 28 heads can't be shared out among 8.
    assert ahead.sampled_by([work(heads)], on(8), config) == [1, 2, 4]
    asked = dataclasses.replace(config, tensor_parallel=4, engine=EngineName.vllm)
    assert ahead.sampled_by([work(heads)], on(8), asked) == [4]
    assert ahead.sampled_by([work(heads)], on(1), asked) == []


@given(COUNTS, NAMES)
def test_sampling_together_takes_longer_by_what_is_told(count: int, name: str) -> None:
    device = DEVICES[name]
    links = (device, dataclasses.replace(device, inside=1e30))
    seconds = []
    for one in links:
        laid = ahead._laid(work(), one, on(8 * count, name), Shard.fsdp, EngineName.vllm, 8)
        seconds.append(spent([laid], one, on(8 * count, name)).rollout)
    assert seconds[0] > seconds[1]


def test_a_command_is_planned_for_devices_and_a_model_that_are_not_here(
    reasonkit: Callable, in_an_empty_folder: None
) -> None:
    argv = ("grpo", "--model", "qwen2.5-0.5b", "--task", "gsm8k", "--on", "2x8xH100")
    ended = reasonkit(*argv, "--dry-run")
    assert ended.code == 0, ended.err
    for told in ("2x8xH100", "--shard fsdp", "peak", "1,024", "batch", "would run with --shard"):
        assert told in ended.err
    assert not list(Path().iterdir())
    without = reasonkit(*argv)
    assert (without.code, "add --dry-run" in without.err) == (2, True)
    unknown = reasonkit(*argv[:-1], "8xH101", "--dry-run")
    assert (unknown.code, "did you mean H100" in unknown.err) == (2, True)


@pytest.mark.parametrize(
    "argv",
    [
        ("sft-rl", "--set", "micro_batch=16"),
        ("distill",),
        ("distill", "--objective", "on-policy", "--teacher", "abacus"),
        ("verifier",),
    ],
)
def test_every_command_that_trains_is_planned(
    reasonkit: Callable, in_an_empty_folder: None, argv: tuple[str, ...]
) -> None:
    ended = reasonkit(*argv, "--dry-run", "--on", "A10")
    assert (ended.code, "would run with --shard none" in ended.err) == (0, True), ended.err
