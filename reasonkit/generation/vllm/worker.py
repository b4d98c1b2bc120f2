"""What vLLM's workers do beside their own: take a policy's weights from a folder.

``vllm serve MODEL --worker-extension-cls reasonkit.generation.vllm.worker.Worker`` mixes it in.
Leaves out how the weights come into the folder: `reasonkit.generation.vllm.served`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open


class Worker:
    """Mixed into each worker of a server."""

    def take_weights(self, folder: str, files: int) -> None:
        """Replaces the model's weights by those of so many files of a folder, by their names.

        Raises:
            FileNotFoundError: they aren't all there, as where a server sees another folder.
        """
        paths = sorted(Path(folder).glob("*.safetensors"))
        if len(paths) != files:
            raise FileNotFoundError(f"{folder}: {len(paths)} of {files} files are seen here")
        worker = cast("Any", self)
        worker.reload_weights(weights_iterator=_read(paths))
        worker.apply_model(pack_again)


def _read(paths: Sequence[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    for path in paths:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                yield name, file.get_tensor(name)


def pack_again(model: torch.nn.Module) -> None:
    """On a CPU products are of a copy, and vLLM forgets that of a head tied to the embedding."""
    for module in model.modules():
        if hasattr(module, "cpu_linear") and cast("torch.Tensor", module.weight).numel():
            method: Any = module.quant_method
            method.process_weights_after_loading(module)
