"""Training in epochs on TRL's loop: validated after each, kept where it was best.

Every epoch ends with a look at the validation split and a checkpoint; more checkpoints may lie
between. Whatever stops the process, training goes on from the newest whole checkpoint to the same
weights, since a run is laid out as one epoch of TRL's, in whose midst its resume is exact.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from reasonkit.config import TrainingConfig
from reasonkit.errors import RunError
from reasonkit.runs import Run
from reasonkit.training import checkpoints, rollback
from reasonkit.training.checked import Checked, require_finite
from reasonkit.training.collapse import standing
from reasonkit.training.interruption import Interruption
from reasonkit.training.rollouts import Counters
from reasonkit.training.trackers import extra_callbacks

Record = dict[str, Any]
"""A line of ``metrics.jsonl``."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What training came to.

    Attributes:
        policy: with its adapter, if any; its weights are those of ``epoch``.
        counters: what was spent.
        epoch: whose weights the policy has: the best by validation; 0 is the untrained model.
        interrupted: whether Ctrl-C ended it early.
    """

    policy: PreTrainedModel
    counters: Counters
    epoch: int
    interrupted: bool


class Watch(TrainerCallback):  # type: ignore[misc]
    """Logs each update, validates each epoch, and stops cleanly on Ctrl-C.

    Args:
        run: where records go.
        updates: of an epoch.
        epochs: of the run.
        validate: called with the epoch; its result joins the log.
        report: called with each logged record.
        measured: more numbers for the record of the newest update; called once an update.
    """

    def __init__(
        self,
        run: Run,
        updates: int,
        epochs: int,
        validate: Callable[[int], dict[str, float]],
        report: Callable[[Record], None],
        measured: Callable[[dict[str, float]], Record],
    ) -> None:
        self.run = run
        self.updates = updates
        self.epochs = epochs
        self.validate = validate
        self.report = report
        self.measured = measured
        self.counters = Counters()
        self.interruption = Interruption()
        self.save_start: Callable[[], None] = lambda: None
        self.publish: Callable[[str, float], None] = lambda name, value: None
        self._validation: dict[str, float] = {}
        self._started = time.perf_counter()

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Optimizer,
        lr_scheduler: Any,
        **_: Any,
    ) -> None:
        """Slows down after a rollback; validates the untrained model, as the one to beat."""
        self._started = time.perf_counter() - self.counters.seconds
        rollback.slow_down(self.run, args.learning_rate, optimizer, lr_scheduler)
        if state.global_step == 0 and not any(self.run.metrics()):
            self._look(0)
            self._log({"step": 0, "epoch": 0})
            self.save_start()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module,
        **_: Any,
    ) -> None:
        """At an epoch's last update: validates and saves.

        Raises:
            NotFiniteError: there is nothing to validate.
        """
        self._validation = {}
        epoch, rest = divmod(state.global_step, self.updates)
        if rest == 0:
            require_finite(model)
            self._look(epoch)
            control.should_save = True
        if self.interruption.asked:
            control.should_save = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One record an update."""
        logs = logs or {}
        if "grad_norm" not in logs:
            return
        step = state.global_step
        numbers = {name: logs[name] for name in ("loss", "grad_norm", "learning_rate")}
        self._log({"step": step, "epoch": step / self.updates, **numbers, **self.measured(logs)})

    def _look(self, epoch: int) -> None:
        started = time.perf_counter()
        self._validation = self.validate(epoch)
        self.counters.validation_seconds += time.perf_counter() - started
        self.publish("validation/accuracy", self._validation["validation"])

    def _log(self, record: Record) -> None:
        self.counters.seconds = time.perf_counter() - self._started
        whole = {**record, **self._validation, **asdict(self.counters)}
        self.run.append_metrics(whole)
        self.report(whole)


def publish(run: Run, config: TrainingConfig, written: Path) -> None:
    """Turns what a trainer has written into a checkpoint of the run, and deletes old ones."""
    checkpoints.publish(written, run.checkpoints / written.name)
    best = standing(run.metrics()).best_step
    kept = None if best is None else run.checkpoints / f"{checkpoints.PREFIX}{best}"
    checkpoints.prune(run.checkpoints, config.keep_checkpoints, best=kept)


def staging(run: Run) -> Path:
    """An empty folder for a trainer to write into."""
    checkpoints.clean(run.checkpoints)
    return checkpoints.staging(run.checkpoints / "trainer")


def go_through(trainer: Checked, watch: Watch, config: TrainingConfig, written: Path) -> Tuned:
    """Trains from the run's newest whole checkpoint to the end, and takes the best epoch.

    Raises:
        RunError: the best checkpoint is damaged, or training diverges however slow it is.
    """
    run = watch.run
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    for callback in extra_callbacks(config, run):
        trainer.add_callback(callback)
    watch.publish = lambda name, value: trainer._metrics["train"][name].append(value)
    watch.save_start = lambda: trainer._save_checkpoint(trainer.model, None)
    with watch.interruption.awaited():
        rollback.train(trainer, lambda: asdict(watch.counters), watch.counters.recall)
    shutil.rmtree(written, ignore_errors=True)
    last = watch.updates * watch.epochs
    interrupted = watch.interruption.asked and trainer.state.global_step < last
    best = standing(run.metrics()).best_step or 0
    if best != last and not interrupted:
        path = run.checkpoints / f"{checkpoints.PREFIX}{best}"
        if not checkpoints.verify(path):
            raise RunError(f"{path}, the best checkpoint, is damaged")
        trainer._load_from_checkpoint(str(path))
    return Tuned(
        policy=trainer.accelerator.unwrap_model(trainer.model),
        counters=watch.counters,
        epoch=best // watch.updates,
        interrupted=interrupted,
    )
