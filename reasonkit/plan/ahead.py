"""What a run would take on devices that aren't here: ``--dry-run --on 8xH100``.

Neither data nor weights are read. A model's size is that of its entry, or of a configuration that
is here; prompts and completions are all as long as they may be. Memory is that of
`reasonkit.plan.fitting`, time that of `reasonkit.plan.roofline`. Leaves out what the data says:
sets that are smaller than the settings ask for, and traces that are thrown away.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from reasonkit import console
from reasonkit.config import (
    Device,
    Distillation,
    DistillConfig,
    EngineName,
    GrpoConfig,
    Only,
    SftRlConfig,
    Shard,
    VerifierConfig,
)
from reasonkit.errors import RefusedError
from reasonkit.measuring import times
from reasonkit.models import DEFAULT_TEACHER, entry_for
from reasonkit.models.loading import outline, read_config
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.plan import Plan, by_model, clusters, distill, fitting, grpo, sft_rl, verifier
from reasonkit.plan.clusters import CPU, DEVICES, GIB, Cluster
from reasonkit.plan.roofline import Sampled, Updated, Work, in_flight, spent
from reasonkit.tasks import Splits, describe

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig

    from reasonkit.training.memory import ModelShape

COUNTS = (1, 8, 64, 1024)
"""Numbers of devices beside the one that is asked for."""

NOT_OURS = 0.06
"""Of a GPU's memory, what error correction, CUDA's context and NCCL take: nvidia-smi shows 45.0 of
an A40's 48 GiB, and torch 139 of an H200's 141."""

HEAVY = ("lora", "optimizer", "4bit")
"""What is part of the name of a change that isn't to how a run is laid out alone."""


def show(config: Any, text: str) -> None:
    """Prints memory by part, time on several numbers of devices, and what would be chosen.

    Args:
        config: a command's settings.
        text: as ``--on`` has it.

    Raises:
        RefusedError: it can't be read, the model is unknown here, or nothing fits.
    """
    asked = clusters.parse(text)
    device = here() if asked.name == CPU else DEVICES[asked.name]
    works = list(_works(config, asked.name))
    counts = [asked.of(count) for count in sorted({*COUNTS, asked.count})]
    chosen = {on: choose(works, device, on, config) for on in counts}
    flags, best = chosen[asked]
    console.err.print(_memory(works, device, asked, config, best))
    heads = ("devices", "rollout\ntokens/s", "update\ntokens/s", "hours", "device-\nhours")
    rows = [_row(on, flags, laid, device) for on, (flags, laid) in chosen.items()]
    table = console.table(
        f"time on {asked.name}", (*heads, "runs with", "bound by"), rows, numbers=True
    )
    console.err.print(table)
    if any(row[5].endswith("*") for row in rows):
        console.note("* with the cheapest changes that make it fit, as --fit takes them")
    first = works[0].plan
    console.note(
        f"prompts of {first.config.max_prompt_tokens} tokens and completions of {first.longest}, "
        "as long as they may be: pass --max-prompt-tokens and --max-completion-tokens for those "
        "you expect"
    )
    if asked.count > (least := min(work.updated.parts for work in works)):
        console.warn(f"an update can be shared out among {least} devices: raise {_batch(config)}")
    if not best:
        raise RefusedError(
            f"--on {asked}: it fits in no way that there is: take larger devices, a smaller model "
            "or a shorter --max-completion-tokens"
        )
    console.note(f"would run with {' '.join(flags)}")
    console.note("rough, by a factor of three at times: `reasonkit docs planning` has the checks")


def here() -> clusters.Device:
    """This machine, as fast as this process's threads multiply and copy, in a second or two."""
    import torch

    from reasonkit.training import peaks

    square, long = torch.rand(1024, 1024), torch.rand(2**25)
    product_seconds = _least(lambda: square @ square)
    copy_seconds = _least(lambda: long.clone())
    return clusters.Device(
        flops=2 * 1024**3 / product_seconds,
        memory=peaks.available("cpu"),
        bandwidth=2 * long.nbytes / copy_seconds,
        inside=1e9,
        between=1e8,
        source="measured; links assumed, over gloo",
    )


def _least(do: Callable[[], object]) -> float:
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _works(config: Any, name: str) -> Iterator[Work]:
    """What a command does, stage by stage."""
    describe(config.task)
    if not isinstance(config, SftRlConfig):
        yield _work(config, name, measured=True)
        return
    config = dataclasses.replace(config, reward=config.reward or ["answer=1"])
    entry = outlined(config.model)[0].entry
    for number, stage in enumerate(sft_rl.chosen(config)):
        settings = sft_rl.stage_settings(config, stage, entry, config.model, None)
        settings = dataclasses.replace(settings, baselines=config.baselines)
        yield _work(settings, name, measured=number == 0)


def _work(config: Any, name: str, measured: bool) -> Work:
    """What a run of `distill`, `grpo` or of a verifier does on devices of that name.

    Args:
        measured: whether test questions are asked before and after.
    """
    from reasonkit.models import precision

    model, _ = outlined(config.model)
    where = Device.cpu if name == CPU else Device.cuda
    config = dataclasses.replace(by_model(config, model.entry), device=where)
    shape = _shape(config.model, precision.products(config))
    config, sampled, updated, beside = _kinds(config, model, shape)
    room = fitting.Room(shape, 0, 0, config.max_prompt_tokens, shares=False, beside=beside)
    plan = Plan(config, model, Splits([], [], []), [], room=room)
    if measured and not isinstance(config, VerifierConfig):
        asked = Sampled(shape, config.test_size, 1, times(plan), measures=True)
        sampled = [*sampled, asked]
    return Work(plan, tuple(sampled), updated)


def _kinds(
    config: Any, model: ResolvedModel, shape: ModelShape
) -> tuple[Any, list[Sampled], Updated, int]:
    """Settings that are settled, what is sampled and learned, and parameters of a teacher held."""
    from reasonkit.models import precision

    entry = model.entry
    if isinstance(config, GrpoConfig):
        config = grpo.by_entry(grpo.by_preset(config), entry)
        batch = config.micro_batch or entry.rl.micro_batch
        config = dataclasses.replace(config, micro_batch=batch)
        prompts, n, steps = config.prompts_per_step, config.group_size, config.steps
        looks = steps // config.validate_every if config.validate_every else 0
        sampled = [
            Sampled(shape, prompts, n, steps),
            Sampled(shape, config.validation_size, 1, looks, measures=True),
        ]
        return config, sampled, Updated(prompts, n, steps * config.updates_per_rollout), 0
    if isinstance(config, VerifierConfig):
        config = verifier.by_entry(config, entry)
        batch = config.micro_batch or entry.verifier.micro_batch
        config = dataclasses.replace(config, micro_batch=batch)
        learned = (1 - config.held_out) * config.questions * config.samples * config.epochs
        updates = math.ceil(learned / config.batch)
        sampled = [Sampled(shape, config.questions, config.samples, 1, alone=True)]
        return config, sampled, Updated(config.batch, 1, updates), 0
    assert isinstance(config, DistillConfig)
    config = distill.by_entry(config, entry)
    looks = Sampled(shape, config.validation_size, 1, config.epochs, measures=True)
    if config.objective == Distillation.on_policy:
        teacher = _shape(config.teacher or DEFAULT_TEACHER, precision.products(config))
        rows = max(1, config.batch_tokens // config.max_completion_tokens)
        updates = config.questions // rows * config.epochs
        updated = Updated(rows, 1, updates, graded=teacher.parameters)
        return config, [Sampled(shape, rows, 1, updates), looks], updated, teacher.parameters
    sampled = []
    if config.traces is None and config.endpoint is None:
        teacher = _shape(config.teacher or DEFAULT_TEACHER, precision.products(config))
        sampled = [Sampled(teacher, config.questions, config.samples, 1, alone=True)]
    if config.only == Only.traces:
        return config, sampled, Updated(1, 1, 0), 0
    kept = min(config.samples, config.per_question or config.samples) * config.questions
    rows = max(1, config.batch_tokens // (config.max_prompt_tokens + config.max_completion_tokens))
    return config, [*sampled, looks], Updated(rows, 1, math.ceil(kept / rows) * config.epochs), 0


def outlined(name: str) -> tuple[ResolvedModel, PreTrainedConfig]:
    """A model that needn't be here, and its configuration.

    Raises:
        RefusedError: neither the registry nor a file says how large it is.
    """
    entry = entry_for(name)
    if entry.parameters:
        return ResolvedModel(entry, entry.source), outline(entry)
    found = resolve(name)
    return found, read_config(found)


@functools.cache
def _shape(name: str, products: torch.dtype | None) -> ModelShape:
    from reasonkit.training import memory

    return memory.shape_by(outlined(name)[1], products)


def choose(
    works: Sequence[Work], device: clusters.Device, on: Cluster, config: Any
) -> tuple[list[str], list[Work]]:
    """Flags, and the works as they'd be laid out by them on devices; nothing where nothing fits.

    What is asked for stays. Else vLLM is taken before the local engine, and whole copies before
    parts; but whatever leaves weights and optimizer as they are comes first.
    """
    found = []
    engines = [EngineName.local] if on.name == CPU else [EngineName.vllm, EngineName.local]
    asked = [config.engine] if config.engine != EngineName.auto else engines
    for engine, shard in product(asked, shards(on, config)):
        laid = [_laid(work, device, on, shard, engine) for work in works]
        try:
            fits = [_fitted(work, device) for work in laid]
        except RefusedError:
            continue
        flags = [f"--shard {shard}", f"--engine {engine}", *_changed(laid, fits, config)]
        heavy = any(name in flag for name in HEAVY for flag in flags)
        found.append(((heavy, asked.index(engine), len(flags)), (flags, fits)))
    return min(found, key=lambda one: one[0])[1] if found else ([], [])


def _changed(laid: Sequence[Work], fits: Sequence[Work], config: Any) -> list[str]:
    """What was changed to make works fit, as flags; rates that follow from it aren't said."""
    changes = dict.fromkeys(
        flag
        for old, new in zip(laid, fits, strict=True)
        for flag in fitting.changed(old.plan.config, new.plan.config)
        if not flag.startswith("--learning-rate")
    )
    if not isinstance(config, SftRlConfig):
        return list(changes)
    pairs = (flag.removeprefix("--").partition(" ") for flag in changes)
    return [f"--set {name.replace('-', '_')}={value or 'true'}" for name, _, value in pairs]


def shards(on: Cluster, config: Any) -> list[Shard]:
    """The ways in which several devices may hold a model."""
    if on.count == 1:
        return [Shard.none]
    return [config.shard] if config.shard != Shard.none else [Shard.none, Shard.fsdp]


def _laid(
    work: Work, device: clusters.Device, on: Cluster, shard: Shard, engine: EngineName
) -> Work:
    """Work as one of several devices has it."""
    config, room = work.plan.config, work.plan.room
    assert room is not None
    config = dataclasses.replace(config, shard=shard, engine=engine)
    if not isinstance(config, DistillConfig):
        own = work.updated.rows * math.ceil(work.updated.parts / on.count)
        fits = max(d for d in range(1, min(config.micro_batch, own) + 1) if own % d == 0)
        config = dataclasses.replace(config, micro_batch=fits)
    gpu = 0 if on.name == CPU else device.memory
    room = dataclasses.replace(
        room,
        process=round(gpu * NOT_OURS) or GIB // 2,
        there=device.memory if gpu else device.memory // on.each,
        # Of a model that is cut, whole rows are read.
        shares=shard == Shard.none,
        parts=on.count,
        gpu=gpu,
    )
    return dataclasses.replace(work, plan=dataclasses.replace(work.plan, config=config, room=room))


def _fitted(work: Work, device: clusters.Device) -> Work:
    """Work with the cheapest changes that make it fit.

    Raises:
        RefusedError: there are none.
    """
    if not all(in_flight(work, one, device) for one in work.sampled):
        raise RefusedError("the sampler has no room")
    config = fitting.fitted(work.plan)
    quantized = "8bit" in config.optimizer or getattr(config, "load_in_4bit", False)
    if config.shard != Shard.none and quantized:
        raise RefusedError("parts can't have that")
    return dataclasses.replace(work, plan=dataclasses.replace(work.plan, config=config))


def _memory(
    works: Sequence[Work],
    device: clusters.Device,
    on: Cluster,
    config: Any,
    best: Sequence[Work],
) -> Any:
    """A table of the memory of one device: as set, under each sharding, and as chosen."""
    engine = best[0].plan.config.engine if best else EngineName.local
    ways = {
        f"--shard {shard}": [_laid(work, device, on, shard, engine) for work in works]
        for shard in shards(on, config)
    }
    if best and all(best != laid for laid in ways.values()):
        ways["as chosen"] = list(best)
    columns = {}
    for head, laid in ways.items():
        needed = []
        for work in laid:
            assert work.plan.room is not None
            needed.append(work.plan.room.needs(work.plan, work.plan.config, ()))
        columns[head] = max(needed, key=lambda plan: plan.total)
    room = _laid(works[0], device, on, Shard.none, engine).plan.room
    assert room is not None
    return fitting.table(f"memory of a device, {on}, {engine} samples", columns, room.there)


def _row(
    on: Cluster, flags: Sequence[str], laid: Sequence[Work], device: clusters.Device
) -> tuple[str, ...]:
    if not laid:
        return (f"{on.count:,}", *["-"] * 4, "nothing", "memory")
    took = spent(laid, device, on)
    config, learning = laid[0].plan.config, took.update + took.communication
    marks = [name for name in HEAVY if any(name in flag for flag in flags)]
    few = any(work.updated.parts < on.count and work.updated.times for work in laid)
    return (
        f"{on.count:,}",
        f"{took.sampled / took.rollout:,.0f}" if took.rollout else "-",
        f"{took.learned / learning:,.0f}" if learning else "-",
        _two(took.seconds / 3600),
        _two(took.seconds / 3600 * on.count),
        ", ".join([str(config.shard), str(config.engine), *marks]) + "*" * (len(flags) > 2),
        "batch" if few else took.bottleneck,
    )


def _two(number: float) -> str:
    """A number to two digits."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _batch(config: Any) -> str:
    """The flag that says how much an update learns from."""
    if isinstance(config, SftRlConfig):
        return "--set prompts_per_step and --set batch_tokens"
    flags = {DistillConfig: "--batch-tokens", VerifierConfig: "--batch"}
    return flags.get(type(config), "--prompts-per-step")
