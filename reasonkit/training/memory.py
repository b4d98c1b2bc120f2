"""How much memory training takes here, by part, and which phase takes the most of it.

Model states follow ZeRO (Rajbhandari et al., arXiv:1910.02054, section 3.1): weights and gradients
in float32, and what the optimizer keeps (`reasonkit.training.optimizers`). With LoRA
(arXiv:2106.09685) only the adapters, held in float32, have gradients and optimizer state, and the
reference model is the policy with its adapters off.

What a layer keeps for the backward pass is asked of the model (`reasonkit.training.shapes`). Logits
never stand in memory as a whole: TRL scores tiles of `TILE_TOKENS` × `tile_words`, some of which
are in work at a time (`TILES`).

Sampling and updates take turns, and torch gives back what one held before the other: the peak is
that of the larger. Leaves out what a router of experts keeps.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from reasonkit.config import (
    ZERO,
    CommonConfig,
    EngineName,
    Shard,
    TrainingConfig,
    UpdatesConfig,
)
from reasonkit.generation import vllm
from reasonkit.generation.local import quick
from reasonkit.models import precision
from reasonkit.processes import held
from reasonkit.training.optimizers import BYTES
from reasonkit.training.peaks import LARGE, Peaks
from reasonkit.training.shapes import ModelShape, lora_parameters
from reasonkit.training.sharding import own

FLOAT32 = 4
TILE_TOKENS = 4096
"""TRL's ``TOKEN_CHUNK_SIZE``."""

TILES = 8
"""Tiles of float32 in TRL's ``_backward_tile`` at its widest line, without Triton: logits, their
transform, logarithm and exponential, the gradient, the target's place and two products."""

DRAWN = 4
"""The same of logits while a token is drawn: they, their exponentials, sums and one more."""

AHEAD = 2
"""Layers that FSDP2 has whole at once: the one that computes, and the one it fetches."""

LIBRARIES = 190_000_000
"""Bytes of a process that come with its first update and rollout: TRL, kernels' work space. Seen on
Linux, torch 2.13, 2026-11-29 and 2026-11-30: 110 to 240 MB, of which `TRL` is in use once it is
imported."""

TRL = 90_000_000

HOLES, HOLES_OF_ADAPTERS = 0.25, 1.3
"""Of what an update holds on a CPU, what lies free in between: a small tensor that stays takes a
part of a large one's place, and the rest is too small for the next one. Updates of random models of
20M and 100M parameters, glibc 2.36, 2026-11-30: 0.27 of gradients, optimizer's states and what
layers keep; with adapters and several micro-batches, of what layers keep in small tensors, 0.7 to
1.5, and 0.4 where each goes through in four passes, which take each other's places. None where each
tensor has pages of its own, which took a third more time."""

NF4 = 0.5 + 1 / 64 + FLOAT32 / (64 * 256)
"""Bytes of a 4-bit weight, with scales in 8 bits for each 64 and scales of those."""


def tile_words(device: str) -> int:
    """Of the vocabulary that are scored together, TRL's ``_CHUNKED_LOGPROB_CHUNK_SIZE``.

    On a CPU so few that a tile of a micro-batch stays in its cache, and in memory that was in use
    before: new pages for TRL's own 32,768 took as long as all the passes over them.
    """
    return 1024 if device == "cpu" else 32_768


@dataclass(frozen=True, slots=True)
class Load:
    """What a run does at once.

    Attributes:
        rows: completions sampled.
        columns: tokens of the longest of them, its prompt included.
        tokens: that go through the model in a forward and backward pass; ``reused`` are those of
            prompts besides whose keys and values each completion has a copy of.
        scored: tokens whose logits are worked out together.
        passes: in which a micro-batch goes through the model; ``several`` tells whether it is
            followed by others before a rollout, after which what lies free is given back.
        beside: parameters of another model that is held: a teacher.
        parts: into which ``--shard`` cuts the model.
        gpu: bytes of a GPU that isn't this one; 0 where it is.
    """

    rows: int
    columns: int
    tokens: int
    scored: int
    reused: int = 0
    passes: int = 1
    beside: int = 0
    parts: int = 1
    gpu: int = 0
    several: bool = True


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes by part; ``engine`` is one that has weights, keys and values of its own.

    What our sampler holds besides, as copies of weights, goes with its keys and values.

    GRPO has no critic (arXiv:2402.03300, section 4.1).
    """

    process: int
    engine: int
    policy: int
    adapters: int
    optimiser: int
    reference: int
    gradients: int
    activations: int
    keys_and_values: int

    @property
    def update(self) -> int:
        """What an update holds beside what is always held."""
        return self.gradients + self.activations

    @property
    def total(self) -> int:
        """The peak: sampling and updates take turns."""
        states = self.process + self.engine + self.policy + self.adapters
        states += self.optimiser + self.reference
        return states + max(self.update, self.keys_and_values)


def plan(
    shape: ModelShape, config: CommonConfig, load: Load, process: int = 0, source: str = ""
) -> MemoryPlan:
    """The memory that a run takes with these settings.

    Args:
        process: bytes that are held before any model is.
        source: of the model, as `reasonkit.models.precision.formats` has it.
    """
    formats = precision.formats(config, source)
    inside = shape.parameters - shape.embeddings
    number = FLOAT32 if formats.weights in ("float32", "nf4") else 2
    policy = int(shape.embeddings * number + inside * (NF4 if formats.weights == "nf4" else number))
    adapters, trained = 0, (inside, shape.embeddings)
    adapted = isinstance(config, TrainingConfig) and config.lora
    if isinstance(config, TrainingConfig) and adapted:
        adapters = FLOAT32 * lora_parameters(shape, config.lora_rank)
        trained = (adapters // FLOAT32, 0)
    updates = isinstance(config, UpdatesConfig)
    gradients = FLOAT32 * sum(trained) if updates else 0
    optimiser = 0
    if isinstance(config, UpdatesConfig):
        each, of_words = BYTES[config.optimizer]
        optimiser = int(trained[0] * each + trained[1] * of_words)
    computed = FLOAT32 if formats.products == "float32" else 2
    reference = 0
    if getattr(config, "kl_coefficient", None) and not adapted:
        reference = shape.parameters * number
    apart = config.engine == EngineName.vllm
    copied = shape.copied if load.rows >= quick.MANY and not adapted else 0
    shard = getattr(config, "shard", Shard.none)
    # DeepSpeed's optimizer has weights of its own, in parts; zero2 leaves the others whole.
    cut = shard in (Shard.fsdp, Shard.zero3)
    masters = FLOAT32 * sum(trained) if shard in ZERO else 0
    weights = shape.parameters * computed
    engine = vllm.share(weights, config, updates, load.gpu) if apart else 0
    parts = load.parts if shard != Shard.none else 1
    of_weights = parts if cut else 1
    # What samples from the policy itself has it whole, and so has the update after it.
    engine += policy + adapters if cut and not apart else 0
    if precision.device(config.device) != "cpu" and getattr(config, "offload", False):
        optimiser = masters = 0
        if shard == Shard.fsdp:
            policy = adapters = gradients = 0
    optimiser = (optimiser + masters) // parts
    # Over a CPU's links FSDP's go once an update, and are whole till then.
    if shard != Shard.fsdp or precision.device(config.device) != "cpu":
        gradients //= parts
    states = optimiser + gradients
    return MemoryPlan(
        process=process,
        engine=engine,
        policy=policy // of_weights,
        adapters=adapters // of_weights,
        optimiser=optimiser,
        reference=(reference + load.beside * number) // of_weights,
        gradients=gradients,
        activations=_activations(shape, config, load, computed, states) if updates else 0,
        keys_and_values=0 if apart else load.rows * _row(shape, load.columns, computed) + copied,
    )


def _activations(
    shape: ModelShape, config: CommonConfig, load: Load, number: int, states: int
) -> int:
    tokens = load.tokens
    kept = tokens * shape.kept + load.reused * shape.layers * 2 * shape.heads_width * number
    if getattr(config, "gradient_checkpointing", False):
        # The input of each layer, and the inside of the one that is being computed again.
        inside = tokens * shape.kept // (max(1, shape.layers) * load.passes)
        kept = tokens * shape.hidden * shape.layers * number + inside
    device = precision.device(config.device)
    if device == "cpu" and getattr(config, "lora", False) and load.several:
        # Large tensors have pages of their own.
        wide = tokens // load.passes
        small = sum(piece for piece in shape.pieces if piece * wide < LARGE)
        share = small / sum(shape.pieces) if any(shape.pieces) else 1
        kept += int(kept * HOLES_OF_ADAPTERS * share / load.passes)
    elif device == "cpu":
        kept += int((kept + states) * HOLES)
    words = min(shape.vocab, tile_words(device))
    tile = min(load.scored, TILE_TOKENS) * words * FLOAT32 * TILES
    learned = not getattr(config, "lora", False)
    head = shape.vocab * shape.hidden * FLOAT32 * min(2, load.passes) if learned else 0
    casts = shape.once
    if isinstance(config, UpdatesConfig) and config.by_layer:
        # Casts of weights that come and go with their layer go too, where nothing keeps them.
        layer = (shape.parameters - shape.embeddings) // max(1, shape.layers)
        casts = 0 if config.gradient_checkpointing else casts
        # What belongs to no layer stays whole from forward to backward.
        casts += (AHEAD * layer + shape.embeddings) * FLOAT32
    return kept + casts + tile + head


def _row(shape: ModelShape, columns: int, number: int) -> int:
    """Bytes of a row that is sampled: its keys and values, and its logits."""
    return columns * shape.layers * 2 * shape.kv_width * number + shape.vocab * FLOAT32 * DRAWN


def process(device: str) -> int:
    """Bytes that this process holds without a model, when all that training takes is loaded."""
    if device != "cpu":
        return held(device)
    return held(device) + LIBRARIES - (TRL if "trl" in sys.modules else 0)


def rows_that_fit(
    shape: ModelShape, config: CommonConfig, load: Load, room: int, source: str = ""
) -> int:
    """How many rows of a load there is room for beside what is always held; may be none.

    Args:
        room: bytes.
    """
    empty = plan(shape, config, replace(load, rows=0), source=source)
    left = room - (empty.total - empty.update) - shape.copied
    one = plan(shape, config, replace(load, rows=1), source=source).keys_and_values
    # What samples may have a place of its own for them.
    return max(0, left // one) if one else load.rows


def parts(plan: MemoryPlan) -> dict[str, int]:
    """Bytes by name, and the peak."""
    return {**asdict(plan), "peak": plan.total}


def measured(
    model: torch.nn.Module,
    optimizer: Any,
    other: Any,
    gradients: int,
    engine: int,
    peaks: Peaks,
) -> dict[str, int]:
    """Bytes by the names of a `MemoryPlan`, and their ``peak``.

    States are counted; activations, keys and values are what is left of the peak of an update and
    of sampling.

    Args:
        other: a reference model or a teacher; None if there is none.
        gradients: bytes of them.
        engine: bytes that it holds of its own.
    """
    adapted = hasattr(model, "peft_config")
    adapters = _bytes(p for p in model.parameters() if p.requires_grad) if adapted else 0
    states = (optimizer.state if optimizer else {}).values()
    policy = _bytes(model.parameters()) - adapters
    reference = _bytes(other.parameters()) if other is not None else 0
    optimiser = _bytes(t for s in states for t in s.values() if torch.is_tensor(t))
    start, phases = peaks.start, peaks.bytes
    sampling = max(phases.get("rollout", 0), phases.get("validation", 0))
    return {
        "process": start - engine - policy - adapters - reference,
        "engine": engine,
        "policy": policy,
        "adapters": adapters,
        "optimiser": optimiser,
        "reference": reference,
        "gradients": gradients,
        "activations": max(0, phases.get("update", 0) - start - optimiser - gradients),
        "keys_and_values": max(0, sampling - start - optimiser),
        "peak": max(peaks.most, start),
    }


def _bytes(tensors: Any) -> int:
    storages = [own(tensor).untyped_storage() for tensor in tensors]
    held = {storage.data_ptr(): storage.nbytes() for storage in storages}
    return sum(held.values())
