"""How a run keeps its numbers: one table for training, sampling, measuring and what is saved.

Where all weights are trained they are kept in float32. A GPU computes products in ``--dtype``
(bfloat16 unless told otherwise), by autocast, in updates, rollouts and every evaluation alike. A
CPU does so in updates and rollouts where bfloat16 is asked for and it has the instructions.

Adapters leave the base weights as they are, which are kept in ``--dtype``, or in 4 bits (QLoRA,
Dettmers et al., arXiv:2305.14314: NF4 and double quantisation); adapters themselves are float32.
What they have learned is often less than bfloat16 can tell from nothing beside a weight: they are
merged in float32, into what the 4 bits stand for, saved so, and the model before and after is
measured in float32.

So ``final/`` is float32 and, number for number, the model that was measured as ``after``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reasonkit import processes
from reasonkit.config import CommonConfig, DType, Shard, TrainingConfig

ASKED = "--dtype"
"""Stands in a table for what the user asks for; by default bfloat16 on a GPU, else float32."""


@dataclass(frozen=True, slots=True)
class Formats:
    """What each kind of number of a run is kept in.

    Attributes:
        weights: of the policy while it is trained; adapters are float32, where there are any.
        products: of updates and rollouts.
        measured: products of what is measured before and after.
    """

    weights: str
    products: str
    measured: str
    saved: str = "float32"


WHOLE, ADAPTED, QUANTIZED = "all weights", "adapters", "adapters on 4 bits"
FORMATS: dict[tuple[str, str], Formats] = {
    ("cpu", WHOLE): Formats("float32", ASKED, "float32"),
    ("cpu", ADAPTED): Formats(ASKED, ASKED, "float32"),
    ("cpu", QUANTIZED): Formats("nf4", ASKED, "float32"),
    ("cuda", WHOLE): Formats("float32", ASKED, ASKED),
    ("cuda", ADAPTED): Formats(ASKED, ASKED, "float32"),
    ("cuda", QUANTIZED): Formats("nf4", ASKED, "float32"),
}
"""By device and by what is trained; a Mac's GPU is as a CPU."""


def device(name: str) -> str:
    """Where ``--device`` is: of ``auto`` a GPU, a Mac's too, if there is one."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def formats(config: CommonConfig, source: str = "") -> Formats:
    """What a run's numbers are kept in, by its settings.

    What an earlier run left stays in float32 under adapters too: the last changes to it may be
    smaller than a narrower format can hold.

    Args:
        source: the folder of the weights, or their id on the hub.
    """
    where = "cuda" if device(config.device) == "cuda" else "cpu"
    trained = WHOLE
    if isinstance(config, TrainingConfig) and config.lora:
        trained = QUANTIZED if config.load_in_4bit else ADAPTED
    asked = config.dtype
    if asked == DType.auto:
        asked = DType.bfloat16 if where == "cuda" else DType.float32
    kept = FORMATS[where, trained]
    weights, products, measured = (
        str(asked) if one == ASKED else one for one in (kept.weights, kept.products, kept.measured)
    )
    if trained == ADAPTED and (Path(source).parent / "run.json").is_file():
        weights = "float32"
        products = products if where == "cuda" else weights
    return Formats(weights, products, measured)


def table(config: TrainingConfig, source: str) -> list[tuple[str, str]]:
    """The formats as rows of a plan."""
    kept = formats(config, source)
    adapters = ", adapters in float32" if config.lora else ""
    offloaded = ", in main memory" if config.offload else ""
    part = f", a part in each of {processes.size()} processes"
    if config.shard == Shard.zero2:
        offloaded += part
    elif config.shard != Shard.none:
        adapters += part if config.on_first else f"{part}; what samples is whole"
    return [
        ("weights", f"{kept.weights}{adapters}; optimiser: {config.optimizer}{offloaded}"),
        ("matmuls", f"{kept.products}; before and after are measured in {kept.measured}"),
        ("final/", kept.saved),
    ]


def products(config: CommonConfig) -> torch.dtype | None:
    """What products of a policy are computed in, by autocast; None for the weights' own format."""
    return _autocast(config, formats(config).products)


def measured(config: TrainingConfig) -> torch.dtype | None:
    """The same, for a policy that is measured before and after: see this module."""
    return _autocast(config, formats(config).measured)


def _autocast(config: CommonConfig, name: str) -> torch.dtype | None:
    # On a CPU weights of a narrower format are multiplied in that.
    widened = device(config.device) == "cpu" and formats(config).weights == "float32"
    if name == "float32" or not (widened or device(config.device) == "cuda"):
        return None
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def multiplies(dtype: str, where: str) -> bool:
    """Whether a device has instructions for products in a format, beside which others are slow."""
    if where != "cpu":
        return where == "cuda" or dtype == "float32"
    return dtype == "float32" or (dtype == "bfloat16" and torch.cpu._is_avx512_bf16_supported())


def computing(where: torch.device, products: torch.dtype | None) -> AbstractContextManager[object]:
    """A context in which products are computed so."""
    return nullcontext() if products is None else torch.autocast(where.type, products)


@contextmanager
def in_float32(model: torch.nn.Module) -> Iterator[None]:
    """A model with all its weights in float32, and as it was afterwards, to the bit.

    Weights of 4 bits stay, and stand for float32 in products.
    """
    kept = [(parameter, parameter.dtype) for parameter in model.parameters()]
    quantized = {module: module.compute_dtype for module in quantized_layers(model)}
    widen(model)
    for module in quantized:
        module.compute_dtype = torch.float32
    try:
        yield
    finally:
        for parameter, dtype in kept:
            parameter.data = parameter.data.to(dtype)
        for module, dtype in quantized.items():
            module.compute_dtype = dtype


def widen(model: torch.nn.Module) -> None:
    """Puts a model's weights into float32; what it computes once, as rotations, stays."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.float()


def quantized_layers(model: torch.nn.Module) -> list[Any]:
    """The layers whose weights are of 4 bits."""
    return [module for module in model.modules() if hasattr(module, "quant_state")]
