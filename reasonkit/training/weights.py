"""The weights of a policy in training, by the names of its files, for an engine that keeps its own.

Adapters are added to what they adapt, in float32 and without touching the policy: merged in place
in a narrow format, they would lose most of what they have learned and leave the base changed.
Those of a model that is cut into parts are put together one by one, by all processes in step.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor
from transformers import PreTrainedModel

from reasonkit.training.sharding import whole

BASE = ".base_layer"
"""What PEFT puts behind the name of a module that it adapts."""


def named(policy: PreTrainedModel | PeftModel) -> Iterator[tuple[str, Tensor]]:
    """Each parameter's name and what it comes to, adapters included."""
    if not isinstance(policy, PeftModel):
        yield from ((name, whole(weight.data)) for name, weight in policy.named_parameters())
        return
    base = policy.get_base_model()
    adapted = {name: m for name, m in base.named_modules() if isinstance(m, BaseTunerLayer)}
    for name, weight in base.named_parameters():
        module, _, kind = name.rpartition(".")
        owner = module.removesuffix(BASE)
        if owner == module:
            # What is left of an adapted module is its adapters.
            if not any(module.startswith(f"{other}.") for other in adapted):
                yield name, whole(weight.data)
        elif kind == "weight":
            with torch.no_grad():
                deltas = [adapted[owner].get_delta_weight(a) for a in policy.active_adapters]
                merged = weight.data.float() + sum(d.float() for d in deltas)
                yield f"{owner}.weight", whole(merged)
        else:
            yield f"{owner}.{kind}", whole(weight.data)
