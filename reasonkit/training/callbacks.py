"""What watches a training run from inside TRL's loop: the log, validation, collapse and signals."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch.optim import Optimizer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from reasonkit.config import OnCollapse
from reasonkit.training import rollback
from reasonkit.training.checked import require_finite
from reasonkit.training.collapse import Standing, standing
from reasonkit.training.interruption import Interruption
from reasonkit.training.rollouts import Rollout
from reasonkit.training.signs import Sign, look
from reasonkit.types import Scored

Record = dict[str, Any]
"""A line of ``metrics.jsonl``."""


class Watch(TrainerCallback):  # type: ignore[misc]
    """Logs each step, validates, judges, and stops cleanly on a collapse or on Ctrl-C.

    Args:
        rollout: whose metrics are logged.
        validate: called with the step; its result joins the log.
        report: called with each logged record and the newest rollout's completions.
        alarm: called with each sign that a reward is being gamed, once a kind.
        publish: called with a name and a value for TensorBoard and its like.
    """

    def __init__(
        self,
        rollout: Rollout,
        validate: Callable[[int], dict[str, float]],
        report: Callable[[Record, Sequence[Scored]], None],
        alarm: Callable[[int, Sign], None],
        publish: Callable[[str, float], None],
    ) -> None:
        self.rollout = rollout
        self.validate = validate
        self.report = report
        self.alarm = alarm
        self.publish = publish
        self.save_start: Callable[[], None] = lambda: None
        self.interruption = Interruption()
        self.collapsed = False
        self.standing = Standing()
        self._validation: dict[str, float] = {}
        self._noticed: set[str] = set()
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
        """Slows down after a rollback; validates the untrained policy."""
        self.collapsed = False
        self._started = time.perf_counter() - self.rollout.counters.seconds
        records = list(self.rollout.run.metrics())
        self.standing = standing(records)
        rollback.slow_down(self.rollout.run, args.learning_rate, optimizer, lr_scheduler)
        config = self.rollout.config
        if state.global_step == 0 and not records:
            if config.validate_every:
                self._look(0)
                record = {"step": 0, **self._validation, **self._spent()}
                self.rollout.run.append_metrics(record)
                self.report(record, [])
            if config.validate_every or config.save_every:
                self.save_start()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: torch.nn.Module,
        **_: Any,
    ) -> None:
        """At a rollout's last update: validates if it is time; saves and stops if need be.

        Raises:
            NotFiniteError: there is nothing to validate.
        """
        config = self.rollout.config
        step, rest = divmod(state.global_step, config.updates_per_rollout)
        self._validation = {}
        if rest:
            return
        every = config.validate_every
        if every and (step % every == 0 or step == config.steps):
            require_finite(model)
            self._look(step)
            if self.standing.best_step == step:
                control.should_save = True
            if self.standing.collapsed and config.on_collapse != OnCollapse.ignore:
                self.collapsed = control.should_training_stop = True
        if self.interruption.agreed():
            control.should_save = control.should_training_stop = True

    def _look(self, step: int) -> None:
        started = time.perf_counter()
        self._validation = self.validate(step)
        self.rollout.counters.validation_seconds += time.perf_counter() - started
        self.standing = self.standing.after(step, self._validation)
        self.publish("validation/accuracy", self._validation["validation"])

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
        record = {
            "step": state.global_step / self.rollout.config.updates_per_rollout,
            **self.rollout.metrics,
            "entropy": logs["entropy"],
            "kl": logs.get("kl", 0.0),
            "clipped": logs.get("clip_ratio/region_mean", logs.get("cispo_clip_ratio", 0.0)),
            "grad_norm": logs["grad_norm"],
            "learning_rate": logs["learning_rate"],
            "loss": logs["loss"],
            **self._validation,
            **self._spent(),
        }
        self.rollout.run.append_metrics(record)
        seen = self.rollout.seen()
        self.report(record, seen)
        if self._validation:
            guard = self.rollout.guard
            most = sum(weight for weight in guard.weights.values() if weight > 0)
            verifier = guard.verifier.name if guard.verifier else "answer"
            for sign in look(list(self.rollout.run.metrics()), seen, most, verifier):
                if sign.name not in self._noticed:
                    self._noticed.add(sign.name)
                    self.alarm(int(record["step"]), sign)

    def _spent(self) -> Record:
        self.rollout.counters.seconds = time.perf_counter() - self._started
        return asdict(self.rollout.counters)
