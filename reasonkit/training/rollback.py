"""Going back to a checkpoint and on from there with half the learning rate.

Each time is kept under ``rollbacks`` in ``run.json``, so that a resumed run goes on as slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from reasonkit import console
from reasonkit.errors import NotFiniteError, RunError
from reasonkit.runs import Run
from reasonkit.training import checkpoints
from reasonkit.training.checked import Checked

MOST_ROLLBACKS = 3
"""More of them don't help."""

Note = Callable[[str], None]
"""Says a line that the user should see."""


def taken_up(run: Run, note: Note, updates_a_step: int = 1) -> Path | None:
    """The checkpoint to go on from, if any; the logs end where it was written."""
    newest = checkpoints.latest(run.checkpoints)
    for path in checkpoints.damaged_after(run.checkpoints, newest):
        note(f"{path} is damaged: going on from {newest or 'the start'}")
    run.truncate_after(checkpoints.step_of(newest) // updates_a_step if newest else -1)
    return newest


def history(run: Run) -> list[dict[str, Any]]:
    """The run's rollbacks: from which step to which, why, and what had been spent until then."""
    return list(run.record.get("rollbacks", []))


def spent(run: Run) -> Mapping[str, Any] | None:
    """What all sessions and abandoned stretches have spent, by the names of `Counters`."""
    known = [*list(run.metrics())[-1:], *(entry["spent"] for entry in history(run))]
    return max(known, key=lambda record: record["seconds"], default=None)


def keep(run: Run, start: int, to: int, why: str, spent: Mapping[str, Any], **more: Any) -> None:
    """Records one, last of all: whatever interrupts it, the resumed run comes here again."""
    entry = {"from": start, "to": to, "why": why, "spent": dict(spent), **more}
    run.update(rollbacks=[*history(run), entry])


def after(
    error: NotFiniteError,
    run: Run,
    start: int,
    to: int | None,
    spent: Mapping[str, Any],
    note: Note,
) -> None:
    """Records that training goes back because its numbers were none any more.

    Args:
        start: the step after which that was.
        to: the step to go back to; None where there is no checkpoint.

    Raises:
        RunError: there is none, or it has been tried often enough.
    """
    times = len(history(run))
    if to is None or times >= MOST_ROLLBACKS:
        tried = f", {times} time(s) again with half the learning rate each" if times else ""
        kept = "no checkpoint was made" if to is None else f"step {to} is the last good checkpoint"
        raise RunError(
            f"training diverged after step {start}{tried}: {error}; {kept}; begin another run with "
            "a lower --learning-rate"
        )
    why = f"Training diverged after step {start}: {error}"
    keep(run, start, to, why, spent)
    note(f"{why[0].lower()}{why[1:]}: back to step {to} with half the learning rate")


def train(
    trainer: Checked,
    count: Callable[[], Mapping[str, Any]],
    recall: Callable[[Mapping[str, Any] | None], None],
    restart: Callable[[], None] | None = None,
) -> None:
    """Trains from the run's newest whole checkpoint, back to it and slower where that diverges.

    Args:
        count: what has been spent until now.
        recall: called with what was spent before, as often as training begins.
        restart: gives the model the weights it began with, where there is no checkpoint of those.

    Raises:
        RunError: it diverges however slow it is.
    """
    run = trainer.run
    while True:
        newest = taken_up(run, console.warn)
        recall(spent(run))
        try:
            trainer.train(resume_from_checkpoint=str(newest) if newest else None)
            return
        except NotFiniteError as error:
            trainer.forget()
            latest = checkpoints.latest(run.checkpoints)
            begun = None if restart is None else 0
            to = begun if latest is None else checkpoints.step_of(latest)
            after(error, run, trainer.state.global_step, to, count(), console.warn)
            if latest is None and restart is not None:
                restart()


def slow_down(run: Run, peak: float, optimizer: Optimizer, scheduler: Any) -> None:
    """Halves a running schedule's peak once for each rollback; a checkpoint brings its own."""
    if times := len(history(run)):
        _set_learning_rate(optimizer, scheduler, peak * 0.5**times)


def _set_learning_rate(optimizer: Optimizer, scheduler: Any, peak: float) -> None:
    schedule = getattr(scheduler, "scheduler", scheduler)
    schedule.base_lrs = [peak] * len(schedule.base_lrs)
    for group, shape in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
        group["initial_lr"] = peak
        group["lr"] = peak * shape(schedule.last_epoch)
    # What is logged is what the schedule believes to have set.
    schedule._last_lr = [group["lr"] for group in optimizer.param_groups]
