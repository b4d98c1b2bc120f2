"""What watches a training run from inside TRL's loop: the log, validation, collapse and signals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from reasonkit import processes
from reasonkit.config import OnCollapse
from reasonkit.errors import NotFiniteError
from reasonkit.generation.engine import Engine
from reasonkit.interruption import Interruption
from reasonkit.runs import Run
from reasonkit.training import rollback
from reasonkit.training.checkpoints import PREFIX
from reasonkit.training.peaks import Peaks
from reasonkit.training.sharding import own

if TYPE_CHECKING:
    from reasonkit.training.trainer import RunTrainer

Record = dict[str, Any]
"""A line of ``metrics.jsonl``."""


@dataclass(slots=True)
class Counters:
    """What a training run has spent, in all its sessions.

    Tokens are trained once a pass, those of prompts too; ``seconds`` are all of training.
    """

    tokens_sampled: int = 0
    tokens_trained: int = 0
    rollout_seconds: float = 0.0
    reward_seconds: float = 0.0
    validation_seconds: float = 0.0
    seconds: float = 0.0

    def recall(self, spent: Mapping[str, Any]) -> None:
        """Goes on counting from what was spent before."""
        for counted in fields(self):
            setattr(self, counted.name, spent.get(counted.name, getattr(self, counted.name)))

    def add(self, parts: Sequence[Counters]) -> None:
        """Takes in what a rollout has cost each process: the tokens of all, the longest time."""
        self.tokens_sampled += sum(part.tokens_sampled for part in parts)
        self.rollout_seconds += max(part.rollout_seconds for part in parts)
        self.reward_seconds += max(part.reward_seconds for part in parts)


@dataclass(eq=False)
class Watch(TrainerCallback):  # type: ignore[misc]
    """Logs each update, validates, and stops cleanly on a collapse or on Ctrl-C.

    Attributes:
        report: called with each logged record.
        measured: what a record has besides, from what TRL has logged of the update.
        validate: called with the step, or epoch, and an engine over the policy; its result joins
            the log.
        validate_every: steps between validations, and one at the end; 0 for none.
        by_epoch: whether that is an epoch, which is logged, and after each of which is saved.
        updates_a_step: by which the log, validations and interruptions go.
        peaks: of memory, since training began; ``gradients`` are the bytes of an update's.
        standing: which validation is best.
        collapsed: whether the policy has, which ends TRL's loop.
    """

    run: Run
    report: Callable[[Record], None]
    measured: Callable[[Mapping[str, float]], Record]
    validate: Callable[[int, Engine], dict[str, float]] = lambda step, engine: {}
    validate_every: int = 0
    by_epoch: bool = False
    updates_a_step: int = 1
    on_collapse: OnCollapse = OnCollapse.ignore
    counters: Counters = field(default_factory=Counters)
    standing: rollback.Standing = field(default_factory=rollback.Standing)
    collapsed: bool = False
    trainer: RunTrainer = field(init=False)
    peaks: Peaks = field(init=False)
    gradients: int = 0

    def __post_init__(self) -> None:
        self.interruption = Interruption()
        self._validation: dict[str, float] = {}
        self._started = time.perf_counter()

    def checkpoint(self, step: int) -> Path:
        """Where the one of a step is, or would be."""
        return self.run.checkpoints / f"{PREFIX}{step * self.updates_a_step}"

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Slows down after a rollback; validates and saves what is untrained, as that to beat."""
        self.collapsed, self._validation = False, {}
        self._started = time.perf_counter() - self.counters.seconds
        records = list(self.run.metrics())
        self.standing = rollback.standing(records)
        rollback.slow_down(self.trainer)
        if state.global_step == 0 and not records:
            if self.validate_every:
                self._look(0)
                self._log(0, {})
            if self.validate_every or args.save_strategy != "no":
                self.trainer._save_checkpoint(self.trainer.model, None)
        if state.global_step == 0:
            # To save or load the states of a sharded optimizer, torch takes a step that moves
            # nothing and is counted.
            assert self.trainer.optimizer is not None
            self.trainer.optimizer.state.clear()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Gradients are there, and about to go."""
        learned = self.trainer.model.parameters()
        self.gradients = sum(own(p.grad).nbytes for p in learned if p.grad is not None)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """At a step's last update: validates if it is time; saves and stops if need be.

        Raises:
            NotFiniteError: there is nothing to validate.
        """
        step, rest = divmod(state.global_step, self.updates_a_step)
        self._validation = {}
        if rest:
            return
        every = self.validate_every
        if every and (step % every == 0 or state.global_step == state.max_steps):
            require_finite(self.trainer.model)
            self._look(step)
            if self.by_epoch or self.standing.best_step == step:
                control.should_save = True
            if self.standing.collapsed and self.on_collapse != OnCollapse.ignore:
                self.collapsed = control.should_training_stop = True
        if self.interruption.agreed():
            control.should_save = control.should_training_stop = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """One record an update."""
        logs: Mapping[str, float] = more["logs"]
        if "grad_norm" in logs:
            numbers = {name: logs[name] for name in ("grad_norm", "learning_rate")}
            step = state.global_step / self.updates_a_step
            self._log(step, {**self.measured(logs), **numbers})

    def _look(self, step: int) -> None:
        started = time.perf_counter()
        place = step // self.validate_every if self.by_epoch else step
        with self.peaks.during("validation"):
            self._validation = self.validate(place, self.trainer.sampler())
        self.counters.validation_seconds += time.perf_counter() - started
        self.standing = self.standing.after(step, self._validation)
        self.trainer.note("validation/accuracy", self._validation["validation"])

    def _log(self, step: float, numbers: Record) -> None:
        self.counters.seconds = time.perf_counter() - self._started
        epoch = {"epoch": step / self.validate_every} if self.by_epoch else {}
        spent = asdict(self.counters)
        record = {"step": step, **epoch, **numbers, **self._validation, **spent}
        self.run.append_metrics(record)
        self.report(record)


def require_finite(model: torch.nn.Module) -> None:
    """Looks at all weights.

    Raises:
        NotFiniteError: one of them is infinite or no number.
    """
    weights = list(model.named_parameters())
    whole = torch.stack([own(weight.detach()).isfinite().all() for _, weight in weights]).tolist()
    # Of weights that are cut each process has seen a part.
    of_all = [all(parts) for parts in zip(*processes.gathered(whole), strict=True)]
    if not all(of_all):
        raise NotFiniteError(f"{weights[of_all.index(False)][0]} holds weights that are no numbers")
