"""Models that DeepSpeed cuts: ZeRO (Rajbhandari et al., arXiv:1910.02054), stages 2 and 3.

In stage 2 each process has all weights and a part of the rest, in stage 3 a part of the weights
too, which come together layer by layer. Leaves out weights that are offloaded, DeepSpeed's own
optimizers, and its checkpoints in another number of processes than wrote them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from transformers import PreTrainedModel

from reasonkit.config import ZERO, SharedConfig
from reasonkit.models import precision


def arguments(config: SharedConfig) -> dict[str, Any]:
    """Keywords of ``TrainingArguments``."""
    if precision.device(config.device) == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        import deepspeed.ops

        # To know which of its kernels can be built it would run compilers for half a minute, and
        # for minutes to build the one that it has for CPUs.
        vars(deepspeed.ops)["__compatible_ops__"] = {}
    told = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    narrow = precision.products(config)
    offloaded = {"offload_optimizer": {"device": "cpu"}} if config.offload else {}
    # Weights stay in float32: what is computed in a narrower format is so by autocast.
    computed = {"enabled": narrow is not None, "dtype": str(narrow or torch.float32)}
    return {
        "deepspeed": {
            **dict.fromkeys(told, "auto"),
            "zero_optimization": {"stage": ZERO[config.shard], **offloaded},
            "zero_force_ds_cpu_optimizer": False,
            "torch_autocast": computed,
        }
    }


def turn_on(trainer: Any) -> None:
    """Has a trainer's accelerator use DeepSpeed on CPUs too, and what is loaded beside it not."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    state, plugin = trainer.accelerator.state, trainer.args.deepspeed_plugin
    if plugin is None:
        return
    if trainer.args.device.type == "cpu":
        import deepspeed

        deepspeed.init_distributed("gloo", auto_mpi_discovery=False, verbose=False)
        # What all states share is taken over by each that is made anew.
        PartialState._shared_state["distributed_type"] = DistributedType.DEEPSPEED
        state.distributed_type = DistributedType.DEEPSPEED
        state.deepspeed_plugins = {"default": plugin}
        plugin.select(_from_accelerator_state=True)
        trainer.is_deepspeed_enabled = True
    # Else a model that one process loads by itself would wait to be cut by all.
    unset_hf_deepspeed_config()


def let_go(trainer: Any) -> None:
    """Makes a trainer that has trained ready to begin again."""
    if trainer.is_deepspeed_enabled and trainer.deepspeed is not None:
        trainer.deepspeed.destroy()
        trainer.deepspeed = trainer.optimizer = trainer.lr_scheduler = None
        trainer.model_wrapped = trainer.model


def load(trainer: Any, checkpoint: Path) -> None:
    """Gives a trainer that has trained the weights of a checkpoint; all processes do so."""
    from transformers.integrations.deepspeed import deepspeed_load_checkpoint

    adapted = hasattr(trainer.model, "peft_config")
    deepspeed_load_checkpoint(
        trainer.model_wrapped, str(checkpoint), load_module_strict=not adapted
    )


def is_cut(tensor: torch.Tensor) -> bool:
    """Whether a process holds a part of it only."""
    return hasattr(tensor, "ds_tensor")


def put_together(tensors: Iterable[torch.Tensor]) -> AbstractContextManager[Any]:
    """Parameters are whole inside, and their parts again afterwards."""
    cut = [tensor for tensor in tensors if is_cut(tensor)]
    if not cut:
        return nullcontext()
    import deepspeed

    context: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(cut)
    return context


def empty(hollow: PreTrainedModel) -> None:
    """A `reasonkit.training.sharding.hollow_copy` lets go of weights that were put together."""
    for parameter in hollow.parameters():
        parameter.data = parameter.data.new_empty(0)
