"""What settings need of this machine: packages, a GPU, processes; refused before all else.

Leaves out how much memory they need: `reasonkit.plan.fitting`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from reasonkit import processes
from reasonkit.config import (
    TRACKERS,
    ZERO,
    Attention,
    CommonConfig,
    Distillation,
    DType,
    EngineName,
    GrpoConfig,
    Optimizer,
    Shard,
    SharedConfig,
    TrainingConfig,
    UpdatesConfig,
    VerifierConfig,
)
from reasonkit.errors import RefusedError, UnknownNameError

QUANTIZED = "pip install 'reasonkit[quantized]'"
DEEPSPEED = "pip install wheel && DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed"


def require_trackers(names: Sequence[str] | None) -> None:
    """Refuses a tracker that isn't one of `TRACKERS`, or isn't installed.

    Raises:
        RefusedError: says how to install it.
    """
    for name in names or []:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        if not installed(name):
            raise RefusedError(f"--report-to {name}: pip install 'reasonkit[{name}]'")


def installed(package: str) -> bool:
    """Whether it can be imported; it isn't."""
    return importlib.util.find_spec(package) is not None


def require_packages(config: CommonConfig) -> None:
    """Refuses settings that need a package that isn't installed, or another setting.

    Raises:
        RefusedError: says how to mend it.
    """
    needed = {
        Attention.flash_attention_2: ("flash_attn", "pip install flash-attn"),
        Attention.flash_attention_3: ("flash_attn_3", "pip install flash-attn-3"),
    }
    package, mend = needed.get(config.attention, ("", ""))
    if package and not installed(package):
        raise RefusedError(f"--attention {config.attention}: {mend}")
    if isinstance(config, SharedConfig) and config.shard != Shard.none:
        _require_cuttable(config)
    elif isinstance(config, SharedConfig) and config.offload:
        raise RefusedError("--offload: it is for parts: pass --shard fsdp, zero2 or zero3 with it")
    if isinstance(config, SharedConfig) and config.tensor_parallel > 1:
        _require_together(config)
    if not isinstance(config, UpdatesConfig):
        return
    _require_a_gpu(config)
    if "8bit" in config.optimizer and not installed("bitsandbytes"):
        raise RefusedError(f"--optimizer {config.optimizer}: {QUANTIZED}")
    if config.optimizer == Optimizer.muon:
        from torch import optim

        if not hasattr(optim, "Muon"):
            raise RefusedError("--optimizer muon: this torch has none: pip install 'torch>=2.9'")
    if isinstance(config, TrainingConfig) and config.load_in_4bit:
        if not config.lora:
            raise RefusedError("--load-in-4bit: weights of 4 bits can't be trained: add --lora")
        if not installed("bitsandbytes"):
            raise RefusedError(f"--load-in-4bit: {QUANTIZED}")


def _require_cuttable(config: SharedConfig) -> None:
    if processes.size() == 1:
        raise RefusedError(
            f"--shard {config.shard}: there is one process to hold all parts: pass --processes 2 "
            "or more, or use a launcher"
        )
    if config.shard in ZERO and not installed("deepspeed"):
        raise RefusedError(f"--shard {config.shard}: {DEEPSPEED}")
    apart = getattr(config, "objective", None) == Distillation.on_policy
    if config.shard == Shard.zero3 and (apart or isinstance(config, VerifierConfig)):
        raise RefusedError(
            "--shard zero3: the loss of a verifier and that of on-policy distillation read weights "
            "apart from their layers: pass zero2 or fsdp"
        )
    if config.shard == Shard.zero3 and config.engine == EngineName.vllm:
        raise RefusedError("--shard zero3: its weights are for --engine local; vLLM takes fsdp's")
    if getattr(config, "optimizer", Optimizer.adamw) != Optimizer.adamw:
        raise RefusedError(f"--shard {config.shard}: it takes --optimizer adamw")
    if getattr(config, "load_in_4bit", False):
        raise RefusedError(f"--shard {config.shard}: weights of 4 bits can't be cut")


def _require_together(config: SharedConfig) -> None:
    flag, here = f"--tensor-parallel {config.tensor_parallel}", processes.local_size()
    if config.engine != EngineName.vllm:
        raise RefusedError(f"{flag}: it is vLLM that samples so: pass --engine vllm")
    if here % config.tensor_parallel:
        raise RefusedError(
            f"{flag}: the {here} processes of this machine can't be put into groups of so many: "
            "pass --processes, or start a multiple of it"
        )


def require_for_servers(config: GrpoConfig) -> None:
    """Refuses what doesn't go with ``--vllm-server``.

    Raises:
        RefusedError: says what to leave out.
    """
    if config.engine == EngineName.local:
        raise RefusedError("--vllm-server: it samples instead of --engine local: leave one out")
    if config.tensor_parallel > 1:
        raise RefusedError("--vllm-server: pass --tensor-parallel-size to `vllm serve` itself")
    if config.load_in_4bit:
        raise RefusedError("--vllm-server: servers take no weights of 4 bits")


def _require_a_gpu(config: UpdatesConfig) -> None:
    """Refuses what a CPU can't do, or only more slowly than without it."""
    narrow = config.dtype not in (DType.auto, DType.float32)
    whole = isinstance(config, TrainingConfig) and not config.lora
    if not (config.compile or config.attention == Attention.flex_attention or (narrow and whole)):
        return
    from reasonkit.models import precision

    where = precision.device(config.device)
    if where != "cuda" and config.compile:
        raise RefusedError(
            "--compile: it takes a GPU: on a CPU compiling takes minutes, if it ends"
        )
    if where != "cuda" and config.attention == Attention.flex_attention:
        raise RefusedError("--attention flex_attention: it takes a GPU to train: leave it out")
    if narrow and whole and not precision.multiplies(config.dtype, where):
        raise RefusedError(
            f"--dtype {config.dtype}: this machine multiplies float32 faster: leave it out, or add "
            "--lora, under which weights take half the memory so"
        )
