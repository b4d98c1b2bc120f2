"""How a run would be laid out on devices that aren't here: ``--dry-run --on 8xH100``.

Memory is that of `reasonkit.plan.fitting`, time that of `reasonkit.plan.roofline`, of the work that
`reasonkit.plan.work` has. Leaves out devices of several kinds in one run.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from reasonkit import console
from reasonkit.config import (
    DistillConfig,
    EngineName,
    GrpoConfig,
    SftRlConfig,
    Shard,
    VerifierConfig,
)
from reasonkit.errors import RefusedError
from reasonkit.plan import devices, fitting
from reasonkit.plan.devices import CPU, DEVICES, GIB, Cluster
from reasonkit.plan.roofline import in_flight, spent
from reasonkit.plan.work import Work, works_of

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
        text: as ``--on`` has it.

    Raises:
        RefusedError: it can't be read, the model is unknown here, or nothing fits.
    """
    asked = devices.parse(text)
    if config.tensor_parallel > 1 and config.engine == EngineName.local:
        raise RefusedError(f"--tensor-parallel {config.tensor_parallel}: it is for --engine vllm")
    if isinstance(config, GrpoConfig) and config.vllm_server:
        raise RefusedError("--on: what servers take isn't planned: leave --vllm-server out")
    device = here() if asked.name == CPU else DEVICES[asked.name]
    works = list(works_of(config, asked.name))
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
        f"prompts of {first.config.max_prompt_tokens} tokens and completions of {first.longest}: "
        "pass --max-prompt-tokens and --max-completion-tokens for those you expect"
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


def here() -> devices.Device:
    """This machine, as fast as this process's threads multiply and copy, in a second or two."""
    import torch

    from reasonkit.training import peaks

    square, long, other = torch.rand(1024, 1024), torch.rand(2**25), torch.rand(2**25)
    return devices.Device(
        flops=2 * 1024**3 / _least(lambda: square @ square),
        memory=peaks.available("cpu"),
        bandwidth=2 * long.nbytes / _least(lambda: other.copy_(long)),
        inside=1e9,
        between=1e8,
        source="measured; links assumed, over gloo",
    )


def _least(do: Callable[[], object]) -> float:
    """Seconds of each of this process's threads; what else runs on the machine doesn't count."""
    import torch

    seconds = []
    for _ in range(8):
        start = time.process_time()
        do()
        seconds.append(time.process_time() - start)
    return min(seconds) / torch.get_num_threads()


def choose(
    works: Sequence[Work], device: devices.Device, on: Cluster, config: Any
) -> tuple[list[str], list[Work]]:
    """Flags, and the works as they'd be laid out by them on devices; nothing where nothing fits.

    What is asked for stays. Else vLLM is taken before the local engine, whole copies before parts,
    and devices that sample alone before those that sample together; but whatever leaves weights and
    optimizer as they are comes first.
    """
    found = []
    engines = [EngineName.local] if on.name == CPU else [EngineName.vllm, EngineName.local]
    asked = [config.engine] if config.engine != EngineName.auto else engines
    ways = product(asked, shards(on, config), sampled_by(works, on, config))
    for engine, shard, parts in ways:
        if engine != EngineName.vllm and parts > 1:
            continue
        if (engine, shard) == (EngineName.vllm, Shard.zero3):
            continue
        laid = [_laid(work, device, on, shard, engine, parts) for work in works]
        try:
            fits = [_fitted(work, device) for work in laid]
        except RefusedError:
            continue
        flags = [f"--shard {shard}", f"--engine {engine}"]
        flags += [f"--tensor-parallel {parts}"] * (parts > 1) + _changed(laid, fits, config)
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


def sampled_by(works: Sequence[Work], on: Cluster, config: Any) -> list[int]:
    """How many devices of a machine may sample together: numbers that share out all its heads."""
    asked = config.tensor_parallel
    if asked > 1:
        return [] if on.each % asked else [asked]
    shapes = [one.shape for work in works for one in work.sampled]
    most = math.gcd(on.each, *(number for shape in shapes for number in shape.heads))
    return [2**n for n in range(most.bit_length()) if most % 2**n == 0]


def _laid(
    work: Work,
    device: devices.Device,
    on: Cluster,
    shard: Shard,
    engine: EngineName,
    parts: int = 1,
) -> Work:
    """Work as one of several devices has it."""
    config, room = work.plan.config, work.plan.room
    assert room is not None
    config = dataclasses.replace(config, shard=shard, engine=engine, tensor_parallel=parts)
    if not isinstance(config, DistillConfig):
        own = work.updated.rows * math.ceil(work.updated.parts / on.count)
        fits = max(d for d in range(1, min(config.micro_batch, own) + 1) if own % d == 0)
        config = dataclasses.replace(config, micro_batch=fits)
    gpu = 0 if on.name == CPU else device.memory
    room = dataclasses.replace(
        room,
        process=round(gpu * NOT_OURS) or GIB // 2,
        there=device.memory if gpu else device.memory // on.each,
        parts=on.count,
        gpu=gpu,
    )
    return dataclasses.replace(work, plan=dataclasses.replace(work.plan, config=config, room=room))


def _fitted(work: Work, device: devices.Device) -> Work:
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
    device: devices.Device,
    on: Cluster,
    config: Any,
    best: Sequence[Work],
) -> Any:
    """A table of the memory of one device: as set, under each sharding, and as chosen."""
    chosen = best[0].plan.config if best else works[0].plan.config
    engine = chosen.engine if best else EngineName.local
    parts = chosen.tensor_parallel
    ways = {
        f"--shard {shard}": [_laid(work, device, on, shard, engine, parts) for work in works]
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
    on: Cluster, flags: Sequence[str], laid: Sequence[Work], device: devices.Device
) -> tuple[str, ...]:
    if not laid:
        return (f"{on.count:,}", *["-"] * 4, "nothing", "memory")
    took = spent(laid, device, on)
    config, learning = laid[0].plan.config, took.update + took.communication
    marks = [name for name in HEAVY if any(name in flag for flag in flags)]
    together = config.tensor_parallel > 1
    sampler = f"{config.engine} by {config.tensor_parallel}" if together else str(config.engine)
    changed = len(flags) > 2 + together
    few = any(work.updated.parts < on.count and work.updated.times for work in laid)
    return (
        f"{on.count:,}",
        f"{took.sampled / took.rollout:,.0f}" if took.rollout else "-",
        f"{took.learned / learning:,.0f}" if learning else "-",
        _two(took.seconds / 3600),
        _two(took.seconds / 3600 * on.count),
        ", ".join([str(config.shard), sampler, *marks]) + "*" * changed,
        "batch" if few else took.bottleneck,
    )


def _two(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _batch(config: Any) -> str:
    """The flag that says how much an update learns from."""
    if isinstance(config, SftRlConfig):
        return "--set prompts_per_step and --set batch_tokens"
    flags = {DistillConfig: "--batch-tokens", VerifierConfig: "--batch"}
    return flags.get(type(config), "--prompts-per-step")
