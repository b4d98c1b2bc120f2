"""Models that are cut into parts, one for each process: FSDP2 of torch, through accelerate.

Weights, gradients and optimizer states are shared out (ZeRO, Rajbhandari et al., arXiv:1910.02054,
stage 3). Where what samples has the weights of the policy itself, they are whole from a rollout to
the end of its update, for the one needs as much room for them as the other; else a layer is whole
only while it computes, and outside of training the first process alone has weights. Leaves out
DeepSpeed's ways, which are in `reasonkit.training.zero`.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers import Cache, PreTrainedModel

from reasonkit import processes
from reasonkit.config import ZERO, Shard, SharedConfig
from reasonkit.models import precision
from reasonkit.training import zero


def arguments(config: SharedConfig) -> dict[str, Any]:
    """Keywords of ``TrainingArguments``."""
    if config.shard == Shard.none:
        return {}
    if config.shard in ZERO:
        return zero.arguments(config)
    parts = {"state_dict_type": "SHARDED_STATE_DICT", "auto_wrap_policy": "NO_WRAP"}
    # Whole gradients, added up until an update's last micro-batch, spare a CPU's slow links; those
    # of GPUs are quick, and their memory is short.
    each = {"sync_each_batch": precision.device(config.device) != "cpu"}
    return {
        "fsdp": True,
        "fsdp_config": {"version": 2, **parts},
        "accelerator_config": {"gradient_accumulation_kwargs": each},
    }


def turn_on(trainer: Any) -> None:
    """Has a trainer's accelerator use FSDP, or DeepSpeed, on CPUs too.

    ``AcceleratorState.__init__`` of accelerate does so where processes have accelerators alone, and
    nothing else of it asks for them.
    """
    zero.turn_on(trainer)
    state = trainer.accelerator.state
    if trainer.args.fsdp_plugin_args and state.distributed_type == DistributedType.MULTI_CPU:
        state.fsdp_plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
        # What all states share is taken over by each that is made anew.
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        state.distributed_type = DistributedType.FSDP
        trainer.is_fsdp_enabled = True


def cut(
    model: Any,
    by_layer: bool,
    offload: bool = False,
    onto: torch.device | None = None,
) -> None:
    """Cuts a model in place: by its layers, and the rest together.

    By itself accelerate puts embeddings and head into a part of their own, which doesn't come
    together again where one of them is used without being called, as TRL uses the head.

    Args:
        by_layer: whether a layer is whole only while it computes, and not until `part`.
        offload: whether the parts, their gradients and updates stay in main memory.
        onto: where the parts go if the first process alone has weights: a layer at a time.
    """
    pinned = (onto or model.device).type != "cpu"
    policy = CPUOffloadPolicy(pin_memory=pinned) if offload else OffloadPolicy()
    layers = set(model._no_split_modules or ())
    for module in list(model.modules()):
        if type(module).__name__ in layers:
            _hand_out(module, onto)
            fully_shard(module, offload_policy=policy)
    _hand_out(model, onto)
    fully_shard(model, offload_policy=policy)
    if not by_layer:
        model.set_reshard_after_forward(False)
        model.set_reshard_after_backward(False)


def _hand_out(module: torch.nn.Module, device: torch.device | None) -> None:
    """Puts on a device, if any, what isn't cut yet, as the first process has it."""
    if device is None:
        return
    # By what was replaced, which may stand in several places; held no longer than until it is cut.
    given: dict[int, Any] = {}
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is None or isinstance(tensor, DTensor):
                    continue
                if id(tensor) not in given:
                    made: Any = processes.handed_out(tensor, device)
                    if tensors is part._parameters:
                        made = torch.nn.Parameter(made, tensor.requires_grad)
                    given |= {id(tensor): made, id(made): made}
                tensors[name] = given[id(tensor)]


def hollow_copy(model: PreTrainedModel, nowhere: bool = False) -> PreTrainedModel:
    """A model without weights of its own, for those of one that is going to be cut: `gather`.

    Args:
        nowhere: whether it gets none, and has the shape of them alone.
    """

    def empty(data: torch.Tensor) -> torch.Tensor:
        return data.to("meta") if nowhere else data.new_empty(0)

    hollow = {id(p): torch.nn.Parameter(empty(p.data), p.requires_grad) for p in model.parameters()}
    made = copy.deepcopy(model, dict(hollow))
    for module in made.modules():
        # What TRL has put in its place is the other model's.
        module.__dict__.pop("forward", None)
    return made


def gather(parts: torch.nn.Module, whole: torch.nn.Module) -> None:
    """Makes a model that is cut whole; a `hollow_copy` has its weights until they are cut again."""
    for module in parts.modules():
        if isinstance(module, FSDPModule):
            module.unshard()
    with zero.put_together(parts.parameters()):
        for part, there in zip(parts.parameters(), whole.parameters(), strict=True):
            there.data = part.data


def collect(parts: torch.nn.Module, hollow: torch.nn.Module) -> None:
    """Puts the weights of a model that is cut into main memory, in the first process alone.

    Args:
        hollow: the `hollow_copy` that gets them there; elsewhere it has none.
    """
    for part, there in zip(parts.parameters(), hollow.parameters(), strict=True):
        made = whole(part.data)
        if not there.is_meta:
            there.data = made.cpu()


def part(model: torch.nn.Module, whole: PreTrainedModel | None = None) -> None:
    """Each process keeps its part of the weights.

    Args:
        whole: what has been made so by `gather`.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()
    if whole is not None and any(map(zero.is_cut, model.parameters())):
        zero.empty(whole)


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
    if zero.is_cut(tensor):
        tensor = tensor.ds_tensor  # type: ignore[attr-defined]
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of it, by all processes together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
