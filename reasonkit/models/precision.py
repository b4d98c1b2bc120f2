"""How a run keeps its numbers: one rule for training, sampling, measuring and what is saved.

Where all weights are trained they are kept in float32. A GPU computes products in ``--dtype``
(bfloat16 unless told otherwise), by autocast, in updates, rollouts and every evaluation alike.

Adapters leave the base weights as they are, which are kept in ``--dtype``; adapters themselves are
float32. What they have learned is often less than bfloat16 can tell from nothing beside a weight:
they are merged in float32, saved so, and the model before and after is measured in float32.

So ``final/`` is float32 and, number for number, the model that was measured as ``after``. Leaves
out weights of fewer bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch

from reasonkit.config import CommonConfig, DType, TrainingConfig


def device(name: str) -> str:
    """Where ``--device`` is: of ``auto`` a GPU, a Mac's too, if there is one."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def weights(config: CommonConfig, source: str) -> DType:
    """What the weights of a model that is to be trained are loaded in.

    What an earlier run left stays in float32 under adapters too: the last changes to it may be
    smaller than a narrower format can hold.

    Args:
        source: the folder of the weights, or their id on the hub.
    """
    adapted = isinstance(config, TrainingConfig) and config.lora
    trained_here = (Path(source).parent / "run.json").is_file()
    return config.dtype if adapted and not trained_here else DType.float32


def products(config: CommonConfig) -> torch.dtype | None:
    """What products of a policy are computed in, by autocast; None for the weights' own format."""
    if device(config.device) != "cuda" or config.dtype == DType.float32:
        return None
    return torch.float16 if config.dtype == DType.float16 else torch.bfloat16


def measured(config: TrainingConfig) -> torch.dtype | None:
    """The same, for a policy that is measured before and after: see this module."""
    return None if config.lora else products(config)


def computing(where: torch.device, products: torch.dtype | None) -> AbstractContextManager[object]:
    """A context in which products are computed so."""
    return nullcontext() if products is None else torch.autocast(where.type, products)


@contextmanager
def in_float32(model: torch.nn.Module) -> Iterator[None]:
    """A model with all its weights in float32, and as it was afterwards, to the bit."""
    kept = [(parameter, parameter.dtype) for parameter in model.parameters()]
    widen(model)
    try:
        yield
    finally:
        for parameter, dtype in kept:
            parameter.data = parameter.data.to(dtype)


def widen(model: torch.nn.Module) -> None:
    """Puts a model's weights into float32; what it computes once, as rotations, stays."""
    for parameter in model.parameters():
        parameter.data = parameter.data.float()
