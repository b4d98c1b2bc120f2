"""Where else the numbers of a training run go: TensorBoard, trackio, Weights & Biases."""

from __future__ import annotations

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

from reasonkit.config import TrainingConfig
from reasonkit.runs import Run

TENSORBOARD = "tensorboard"


def trl_trackers(config: TrainingConfig) -> list[str] | str:
    """What TRL is told to report to: all but TensorBoard, whose files belong into the run."""
    return [name for name in config.report_to or [] if name != TENSORBOARD] or "none"


def extra_callbacks(config: TrainingConfig, run: Run) -> list[TrainerCallback]:
    """A TensorBoard writer into the run directory, where one is asked for."""
    if TENSORBOARD not in (config.report_to or []) or not run.leads:
        return []
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run.path / "tensorboard"))  # type: ignore[no-untyped-call]
    return [TensorBoardCallback(writer)]
