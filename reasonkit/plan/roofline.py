"""How long work takes on devices by a roofline (Williams et al., CACM 52(4), 2009).

A decoding step reads the weights once and all keys and values, or is bound by the 2·P FLOPs of each
token (Pope et al., arXiv:2211.05102, section 2). An update takes 6·P a token (Kaplan et al.,
arXiv:2001.08361, section 2.1) and attention. Gradients, and weights that are cut, cross the slowest
link in a ring (Patarasuk and Yuan, JPDC 69(2), 2009): those after a pass, these while it computes,
as FSDP2 fetches a layer ahead. Devices that sample together add up two results in each layer
(Shoeybi et al., arXiv:1909.08053, section 3). `REACHED` has what share of each peak counts.

Leaves out start-up, loading and checkpoints, completions of unequal length, groups that are sampled
again, and what reasonkit hasn't: samplers on devices of their own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reasonkit.config import Distillation, DistillConfig, EngineName, GrpoConfig, Shard
from reasonkit.plan.devices import CPU, Cluster, Device
from reasonkit.plan.work import Sampled, Work

if TYPE_CHECKING:
    from reasonkit.training.shapes import ModelShape

FLOAT32, BFLOAT16 = 4, 2
PARTS = ("rollout", "update", "communication", "reward", "evaluation")
"""What the time of a run goes into."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What is reached of a device's peaks, as shares of them.

    Attributes:
        update, sample: of FLOPs, in updates and in sampling.
        read: of its memory's bandwidth.
        link: of a link's.
        layer: seconds of a decoding step for each layer, whatever it reads.
    """

    update: float
    sample: float
    read: float
    link: float
    layer: float


REACHED: dict[tuple[str, EngineName], Reached] = {
    ("cuda", EngineName.vllm): Reached(0.35, 0.5, 0.6, 0.7, 5e-5),
    ("cuda", EngineName.local): Reached(0.35, 0.3, 0.4, 0.7, 5e-4),
    ("cpu", EngineName.local): Reached(0.4, 0.4, 0.7, 0.7, 2e-4),
}
"""By device and engine. Updates: 38 to 43 % were reached with 405B parameters (arXiv:2407.21783,
table 4), less is with fewer; reading: vLLM reaches 77 % with one request and less with many; links:
77 % between A100s in nccl-tests. docs/planning.md has the sources, and what they come to. On a CPU,
of what it multiplies and copies: docs/speed.md. The local engine was never timed on a GPU."""

IN_FLIGHT = 256
"""Completions that vLLM samples at once, its ``max_num_seqs``."""

JUDGED, RUN = 5e-4, 0.01
"""Seconds of a core in which rules judge a completion, and in which a program is run: no more than
0.02 by the run of ``tiny-code`` in docs/measured.md."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a run by `PARTS`; tokens that are sampled, and that are learned, prompts too."""

    rollout: float = 0.0
    update: float = 0.0
    communication: float = 0.0
    reward: float = 0.0
    evaluation: float = 0.0
    sampled: float = 0.0
    learned: float = 0.0

    @property
    def seconds(self) -> float:
        """In all."""
        return sum(float(getattr(self, part)) for part in PARTS)

    @property
    def bottleneck(self) -> str:
        """What takes most of them."""
        return max(PARTS, key=lambda part: float(getattr(self, part)))


def spent(works: Sequence[Work], device: Device, on: Cluster) -> Spent:
    """The seconds that these take, one after the other, as their settings lay them out."""
    every = [one for work in works for one in _of(work, device, on)]
    return Spent(*(sum(part) for part in zip(*map(dataclasses.astuple, every), strict=True)))


def _of(work: Work, device: Device, on: Cluster) -> list[Spent]:
    config = work.plan.config
    reached = REACHED["cpu" if on.name == CPU else "cuda", config.engine]
    judged = RUN if any("code" in name for name in config.reward or []) else JUDGED
    found = [_updates(work, device, on, reached)]
    for one in work.sampled:
        seconds = one.times * rollout(work, one, device, on.count, reached)
        if one.measures:
            found.append(Spent(evaluation=seconds))
            continue
        rows = one.n * math.ceil(one.prompts / on.count)
        found.append(
            Spent(
                rollout=seconds,
                reward=judged * one.times * rows,
                sampled=one.times * one.prompts * one.n * work.plan.longest,
            )
        )
    return found


def rollout(work: Work, one: Sampled, device: Device, count: int, reached: Reached) -> float:
    """Seconds in which so many devices sample their parts, once."""
    shape, longest = one.shape, work.plan.longest
    number = FLOAT32 if work.plan.config.device == CPU else BFLOAT16
    parts: int = work.plan.config.tensor_parallel
    prompts = math.ceil(one.prompts * parts / count)
    at_once = min(prompts * one.n, max(1, in_flight(work, one, device)))
    flops, weights = reached.sample * device.flops * parts, used(shape)
    read = weights * number + at_once * (work.columns - longest / 2) * kept(shape, number)
    bound = max(read / (reached.read * device.bandwidth * parts), 2 * weights * at_once / flops)
    # Bytes that cross a device's link for each token: twice a layer, in a ring.
    crossing = 2 * shape.layers * shape.hidden * number * 2 * (parts - 1) / parts
    told = crossing / (reached.link * device.inside)
    steps = float(prompts * one.n / at_once * longest)
    prompt_tokens: int = prompts * (work.columns - longest)
    reading = prompt_tokens * (2 * weights / flops + told)
    return reading + steps * (reached.layer * shape.layers + bound + at_once * told)


def in_flight(work: Work, one: Sampled, device: Device) -> int:
    """Completions that a device, or those that sample together, have under way at once; 0 where
    there is no room for any."""
    from reasonkit.generation import vllm
    from reasonkit.training import memory

    plan, config, room = work.plan, work.plan.config, work.plan.room
    if config.engine == EngineName.local:
        assert room is not None
        load, left = room.load(config), room.there - room.process
        most = memory.rows_that_fit(room.shape, config, load, left, plan.model.source)
        return max(1, min(load.rows, most))
    parts, weights = config.tensor_parallel, BFLOAT16 * one.shape.parameters
    left = vllm.share(weights, config, not one.alone, device.memory) - weights // parts
    row = work.columns * kept(one.shape, BFLOAT16) / parts
    return max(0, min(IN_FLIGHT, int(left // row)))


def _updates(work: Work, device: Device, on: Cluster, reached: Reached) -> Spent:
    from reasonkit.training import shapes

    config, shape, updated = work.plan.config, work.shape, work.updated
    lora = getattr(config, "lora", False)
    trained = shapes.lora_parameters(shape, config.lora_rank) if lora else shape.parameters
    busy = min(on.count, max(1, updated.parts))
    rows = updated.rows * math.ceil(updated.parts / on.count)
    # A pass forward is a third of an update; adapters need no gradients of the other weights.
    passes = (4 if lora else 6) + 2 * config.gradient_checkpointing
    passes += 2 * bool(getattr(config, "kl_coefficient", None))
    each = passes * (used(shape) + shape.layers * shape.heads_width * work.columns)
    made, reads = math.ceil(rows / together(work)), rows
    room = work.plan.room
    assert room is not None
    if room.shares and isinstance(config, GrpoConfig) and passes == 6:
        # A prompt is read once for those of its completions that are in one pass.
        reads = max(made, rows // updated.rows)
    tokens = rows * work.plan.longest + reads * (work.columns - work.plan.longest)
    flops = tokens * (each + 2 * updated.graded)
    cut = config.shard != Shard.none
    computing = flops / (reached.update * device.flops)
    link = reached.link * (device.inside if on.nodes == 1 else device.between)
    across = FLOAT32 * (busy - 1) / busy / link
    told = 2 * across * trained
    if cut:
        # In each pass gradients are shared out, and by layer weights come together twice; then what
        # samples gets the weights.
        passed = made * (2 * shape.parameters * config.by_layer + trained)
        told = max(0.0, across * passed - computing) + across * shape.parameters
    # AdamW reads weight, gradient and two moments, and writes all but the gradient.
    moved = 7 * FLOAT32 * trained / (busy if cut else 1)
    return Spent(
        update=updated.times * (computing + moved / (reached.read * device.bandwidth)),
        communication=updated.times * told,
        learned=updated.times * updated.parts * updated.rows * work.columns,
    )


def together(work: Work) -> int:
    """Sequences of a forward and backward pass."""
    config = work.plan.config
    if isinstance(config, DistillConfig):
        own = config.objective == Distillation.on_policy
        return max(
            1, (config.micro_batch_tokens or 0) // (work.plan.longest if own else work.columns)
        )
    return int(config.micro_batch)


def used(shape: ModelShape) -> int:
    """Parameters that each token is multiplied by: not those of an embedding that is looked up."""
    return shape.parameters - shape.embeddings + shape.vocab * shape.hidden


def kept(shape: ModelShape, number: int) -> int:
    """Bytes of a token's keys and values."""
    return 2 * shape.layers * shape.kv_width * number
