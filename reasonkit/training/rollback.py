"""Which validation was best, when a policy has collapsed since, and going back from there.

A validation is below the best if its accuracy is under the lower end of the best one's 95 %
interval. Twice in a row is a collapse; once may be chance. Training that collapses, or whose
numbers are none any more, goes back to a checkpoint and on with half the learning rate. Each time
is kept under ``rollbacks`` in ``run.json``, so that a resumed run goes on as slowly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from reasonkit import console
from reasonkit.config import OnCollapse
from reasonkit.errors import NotFiniteError, RunError
from reasonkit.runs import Run
from reasonkit.training import checkpoints

if TYPE_CHECKING:
    from reasonkit.training.callbacks import Watch
    from reasonkit.training.trainer import RunTrainer

IN_A_ROW = 2
MOST_ROLLBACKS = 3
"""More of them don't help."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands by its validations.

    Attributes:
        best_step: of the highest value (`judged`), the latest if several share it.
        best: that value.
        low: lower end of its interval.
        below: how many of the newest validations in a row are below it.
    """

    best_step: int | None = None
    best: float = 0.0
    low: float = 0.0
    below: int = 0

    @property
    def collapsed(self) -> bool:
        """Whether the rule of this module is met."""
        return self.below >= IN_A_ROW

    def after(self, step: int, record: Mapping[str, Any]) -> Standing:
        """The standing once another validation is known."""
        accuracy, low = judged(record)
        if self.best_step is None or accuracy >= self.best:
            return Standing(step, accuracy, low)
        below = self.below + 1 if accuracy < self.low else 0
        return Standing(self.best_step, self.best, self.low, below)


def standing(records: Iterable[Mapping[str, Any]]) -> Standing:
    """The standing by the records of ``metrics.jsonl``."""
    result = Standing()
    for record in records:
        if "validation" in record:
            result = result.after(int(record["step"]), record)
    return result


def judged(record: Mapping[str, Any]) -> tuple[float, float]:
    """What a validation is judged by, and the lower end of its interval.

    That is accuracy, or the score of those that take general prompts in.
    """
    name = "validation_score" if "validation_score" in record else "validation"
    return record[name], record[f"{name}_low"]


def history(run: Run) -> list[dict[str, Any]]:
    """The run's rollbacks: from which step to which, why, and what had been spent until then."""
    return list(run.record.get("rollbacks", []))


def spent(run: Run) -> Mapping[str, Any]:
    """What all sessions and abandoned stretches have spent, by the names of `Counters`."""
    known = [*list(run.metrics())[-1:], *(entry["spent"] for entry in history(run))]
    return max(known, key=lambda record: record["seconds"], default={})


def after_collapse(watch: Watch, step: int) -> None:
    """Goes back to the best checkpoint, or ends training."""
    run, best = watch.run, watch.standing
    assert best.best_step is not None
    fallen = [
        (int(record["step"]), judged(record)[0])
        for record in run.metrics()
        if "validation" in record and record["step"] > best.best_step
    ]
    said = f"validation fell from {best.best:.1%} at step {best.best_step} to {fallen[-1][1]:.1%}"
    if watch.on_collapse == OnCollapse.stop or len(history(run)) >= MOST_ROLLBACKS:
        console.warn(f"{said}: training stops, step {best.best_step} is kept")
        run.update(stopped_at=step)
        return
    why = f"Collapse: {said}"
    _go_back(watch, step, best.best_step, why, {"best": best.best, "validations": fallen})
    console.warn(f"{said}: back to step {best.best_step} with half the learning rate")


def after_divergence(error: NotFiniteError, watch: Watch, step: int) -> None:
    """Goes back to the best checkpoint, or without validation to the newest, or ends training.

    Raises:
        RunError: there is none, or it has been tried often enough.
    """
    run, to = watch.run, watch.standing.best_step
    if to is not None and watch.on_collapse == OnCollapse.stop:
        console.warn(f"training diverged after step {step}: {error}: it stops, step {to} is kept")
        run.update(stopped_at=step)
        return
    # A step can be the best before its checkpoint is written.
    if to is None or not checkpoints.verify(watch.checkpoint(to)):
        newest = checkpoints.latest(run.checkpoints)
        to = None if newest is None else checkpoints.step_of(newest) // watch.updates_a_step
    times = len(history(run))
    if to is None or times >= MOST_ROLLBACKS:
        tried = f", {times} time(s) again with half the learning rate each" if times else ""
        kept = "no checkpoint was made" if to is None else f"step {to} is the last good checkpoint"
        raise RunError(
            f"training diverged after step {step}{tried}: {error}; {kept}; begin another run with "
            "a lower --learning-rate"
        )
    said = f"training diverged after step {step}: {error}"
    _go_back(watch, step, to, f"T{said[1:]}", {})
    console.warn(f"{said}: back to step {to} with half the learning rate")


def _go_back(watch: Watch, start: int, to: int, why: str, more: Mapping[str, Any]) -> None:
    """Drops what was measured and saved of later steps, and keeps why.

    The latter comes last: whatever interrupts this, the resumed run comes here again.
    """
    run = watch.run
    for name, steps in (("step", 1), ("general", 1), ("epoch", watch.validate_every)):
        for path in run.evaluations.glob(f"{name}-*.json"):
            if int(path.stem.rpartition("-")[2]) * steps > to:
                path.unlink()
    checkpoints.drop_after(run.checkpoints, to * watch.updates_a_step)
    entry = {"from": start, "to": to, "why": why, "spent": asdict(watch.counters), **more}
    run.update(rollbacks=[*history(run), entry])


def slow_down(trainer: RunTrainer) -> None:
    """Halves a running schedule's peak once for each rollback.

    A checkpoint brings its own, and a rate that is another's where its run has been made longer.
    """
    times = len(history(trainer.run))
    peak, optimizer = trainer.args.learning_rate * 0.5**times, trainer.optimizer
    schedule: Any = getattr(trainer.lr_scheduler, "scheduler", trainer.lr_scheduler)
    assert optimizer is not None
    schedule.base_lrs = [peak] * len(schedule.base_lrs)
    for group, shape in zip(optimizer.param_groups, schedule.lr_lambdas, strict=True):
        group["initial_lr"] = peak
        group["lr"] = peak * shape(schedule.last_epoch)
    # What is logged is what the schedule believes to have set.
    schedule._last_lr = [group["lr"] for group in optimizer.param_groups]
