"""What sampling and training cost in FLOPs, and from when on training is cheaper than voting.

2·P a token that is sampled or scored and 6·P a token that is trained, with P the parameters (Kaplan
et al., arXiv:2001.08361, section 2.1). Attention over the context, prompts that are read and
evaluations are left out; so is what it took to make the base.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from reasonkit.models import MODELS
from reasonkit.models.loading import ResolvedModel

FORWARD, TRAINED = 2, 6
"""FLOPs a parameter and token."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent once.

    Attributes:
        tokens_sampled: by whoever sampled: policy or teacher.
        tokens_trained: prompts included, once a pass.
        seconds: validation included, the test split aside.
        flops: of both.
    """

    tokens_sampled: float = 0
    tokens_trained: float = 0
    seconds: float = 0.0
    flops: float = 0.0


def sampled(parameters: int, tokens: float) -> float:
    """FLOPs of sampling or scoring."""
    return FORWARD * parameters * tokens


def trained(parameters: int, tokens: float) -> float:
    """FLOPs of training."""
    return TRAINED * parameters * tokens


def cheaper_from(training: float, each: float, voting_each: float) -> int | None:
    """The number of queries from which training costs less than voting; None where it never does.

    Args:
        training: FLOPs spent once.
        each: FLOPs a query of the trained model.
        voting_each: FLOPs a query of the vote.
    """
    saved = voting_each - each
    return math.ceil(training / saved) if saved > 0 else None


def parameters_of(model: ResolvedModel) -> int:
    """How many it has: by its entry, or by the headers of its weights' files; 0 if unknown."""
    known = MODELS.get(model.entry.name)
    if known is not None:
        return known.parameters
    return sum(map(_in_file, Path(model.source).glob("*.safetensors"))) or model.entry.parameters


def _in_file(path: Path) -> int:
    """The elements of all tensors of a safetensors file, of which only the header is read."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if "shape" in entry)
