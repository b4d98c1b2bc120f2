"""What every trainer of ours does, whichever of TRL's it is: numbers are checked before they count.

An update whose gradient is no number isn't taken, a loss that is none isn't logged, and a
checkpoint is published whole or not at all, and only with weights that are numbers. Leaves out what
becomes of the run then: `reasonkit.training.rollback`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import transformers

from reasonkit import processes
from reasonkit.errors import NotFiniteError
from reasonkit.runs import Run
from reasonkit.training import checkpoints


def require_finite(model: torch.nn.Module) -> None:
    """Looks at all weights.

    Raises:
        NotFiniteError: one of them is infinite or no number.
    """
    weights = list(model.named_parameters())
    whole = torch.stack([weight.detach().isfinite().all() for _, weight in weights]).tolist()
    if not all(whole):
        raise NotFiniteError(f"{weights[whole.index(False)][0]} holds weights that are no numbers")


class Checked(transformers.Trainer):  # type: ignore[misc]
    """Put before one of TRL's trainers."""

    run: Run

    def publish(self, written: Path) -> None:
        """Turns a folder that was written into a checkpoint of the run; the main process alone."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drops what an update that was broken off has left, so that training can begin again."""
        for name, nothing in (("_step", 0), ("_buffered_inputs", None)):
            if hasattr(self, name):
                setattr(self, name, nothing)
        self.optimizer = self.lr_scheduler = None
        for kept in getattr(self, "_metrics", {}).values():
            kept.clear()

    def log(self, logs: dict[str, float], *more: Any, **others: Any) -> None:
        """As transformers has it."""
        if not math.isfinite(logs.get("loss", 0.0)):
            raise NotFiniteError(f"the loss is {logs['loss']:g}")
        super().log(logs, *more, **others)

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        # With float16 some are meant to be: that is how its scale is found, and they are left out.
        if not self.args.fp16 and not math.isfinite(norm):
            raise NotFiniteError(f"the norm of the gradient is {float(norm):g}")
        return norm

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        require_finite(model)
        with checkpoints.writing(self.run.checkpoints):
            super()._save_checkpoint(model, trial)
        # Every process writes the state of its random numbers.
        processes.gathered(None)
        written = Path(self.args.output_dir) / f"{checkpoints.PREFIX}{self.state.global_step}"
        processes.from_main(lambda: self.publish(written))
