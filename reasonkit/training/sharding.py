"""Models that are cut into parts, one for each process: FSDP2 of torch, through accelerate.

Weights, gradients and optimizer states are shared out (ZeRO, Rajbhandari et al., arXiv:1910.02054,
stage 3); a layer is whole only while it computes. What samples has a whole model of its own, which
gets the weights tensor by tensor. Leaves out DeepSpeed, offloading to the CPU, and samplers that
are cut as well.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers import Cache, PreTrainedModel

from reasonkit.config import Shard, SharedConfig


def arguments(config: SharedConfig) -> dict[str, Any]:
    """Keywords of ``TrainingArguments``."""
    if config.shard == Shard.none:
        return {}
    parts = {"state_dict_type": "SHARDED_STATE_DICT", "auto_wrap_policy": "NO_WRAP"}
    return {"fsdp": True, "fsdp_config": {"version": 2, **parts}}


def turn_on(trainer: Any) -> None:
    """Has a trainer's accelerator use FSDP on CPUs too.

    ``AcceleratorState.__init__`` of accelerate does so where processes have accelerators alone, and
    nothing else of it asks for them.
    """
    state = trainer.accelerator.state
    if trainer.args.fsdp_plugin_args and state.distributed_type == DistributedType.MULTI_CPU:
        state.fsdp_plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
        # What all states share is taken over by each that is made anew.
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        state.distributed_type = DistributedType.FSDP
        trainer.is_fsdp_enabled = True


def cut(model: Any) -> None:
    """Cuts a model in place: by its layers, and the rest together.

    By itself accelerate puts embeddings and head into a part of their own, which doesn't come
    together again where one of them is used without being called, as TRL uses the head.
    """
    layers = set(model._no_split_modules or ())
    for module in list(model.modules()):
        if type(module).__name__ in layers:
            fully_shard(module)
    fully_shard(model)


def whole_copy(model: PreTrainedModel) -> PreTrainedModel:
    """A model to `gather` one in that is going to be cut."""
    made = copy.deepcopy(model)
    for module in made.modules():
        # What TRL has put in its place is the other model's.
        module.__dict__.pop("forward", None)
    return made


def is_cut(model: object) -> bool:
    """Whether it is."""
    return isinstance(model, FSDPModule)


def learn_through(cache: Cache, model: torch.nn.Module) -> None:
    """Lets gradients flow back into layers that are cut by the keys and values in a cache.

    FSDP puts a layer together again for the gradient of what the layer returns, and those are kept
    beside that.
    """
    _, *layers = (module for module in model.modules() if isinstance(module, FSDPModule))
    for layer, kept in zip(layers, cache.layers, strict=True):
        for tensor in (kept.keys, kept.values):
            if tensor.requires_grad:
                tensor.register_hook(partial(_put_together, layer))


def _put_together(layer: FSDPModule, _: torch.Tensor) -> None:
    layer.unshard()


def own(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def gather(parts: torch.nn.Module, whole: torch.nn.Module) -> None:
    """Puts what was learned of a model that is cut into one that isn't."""
    with torch.no_grad():
        for part, there in zip(parts.parameters(), whole.parameters(), strict=True):
            if isinstance(part, DTensor) and part.requires_grad:
                there.copy_(part.full_tensor())
