"""What ``--resume`` reads, and what it refuses.

1. Settings: ``config.yaml`` of the run, over which flags may change only what the command's
   settings say (`commands`).
2. ``run.json``: its status here, the hash of the data that it has begun with here, the number of
   processes and the lock in `runs.resume`.
3. What is measured and sampled already: ``evaluations/`` (`measuring.measure`) and
   ``samples.jsonl`` (`generation.store`).
4. More steps than it had: `require_extensible`, `extend`.
5. Weights, optimiser and random state: the newest whole checkpoint, whose step ends the logs
   (`training.checkpoints`). A stage of ``sft-rl`` is a run of its own (`running.do_stage`).
"""

from __future__ import annotations

import shutil

from reasonkit import console, processes, runs
from reasonkit.config import (
    ZERO,
    CommonConfig,
    GrpoConfig,
    Invocation,
    LrSchedule,
    from_mapping,
    to_mapping,
)
from reasonkit.errors import RefusedError
from reasonkit.report import terminal
from reasonkit.training import checkpoints


def is_done(config: CommonConfig, invocation: Invocation) -> bool:
    """Whether ``--resume`` names a run that is finished with these settings; then it is shown.

    Raises:
        RefusedError: it is no run; or, without ``--resume``, the directory is taken.
    """
    if not invocation.resume:
        if processes.is_main() and not invocation.dry_run:
            runs.require_free(invocation.run_dir)
        return False
    assert invocation.run_dir is not None
    opened = runs.open_run(invocation.run_dir)
    held = from_mapping(type(config), opened.config, str(opened.path / "config.yaml"))
    finished = opened.status == "finished" and (opened.path / "summary.json").exists()
    if not finished or held != config:
        return False
    console.note(f"{opened.path} is finished")
    terminal.show(opened, opened.summary(), invocation.json)
    return True


def require_extensible(config: CommonConfig, invocation: Invocation) -> None:
    """Refuses to make a run longer that can't be, and says what it won't be the same as.

    Raises:
        RefusedError: it would be shorter, or what its last update has left isn't there.
    """
    if not invocation.resume:
        return
    assert invocation.run_dir is not None and isinstance(config, GrpoConfig) and config.steps
    run = runs.open_run(invocation.run_dir)
    steps, settings = run.config["steps"], from_mapping(GrpoConfig, run.config, str(run.path))
    if config.steps < steps:
        raise RefusedError(f"--steps {config.steps}: {run.path} has {steps}: it can only grow")
    if config.steps == steps or run.status != "finished":
        return
    newest, updates = checkpoints.latest(run.checkpoints), settings.updates_per_rollout
    if newest is None or checkpoints.step_of(newest) != steps * updates:
        raise RefusedError(
            f"{run.path} can't be made longer: there is no checkpoint of its step {steps} "
            "(--save-every 0, or it has collapsed)"
        )
    if settings.lr_schedule == LrSchedule.linear:
        console.warn(
            f"the learning rate had fallen to 0 at step {steps}, and rises again to where a run of "
            f"{config.steps} steps has it then: the result isn't that of {config.steps} steps from "
            "the start; with --lr-schedule constant it is"
        )


def extend(run: runs.Run, config: CommonConfig) -> None:
    """Gives a run more steps, where the settings have more; what stands at its end goes.

    The settings come last: a run that is stopped on the way here makes its end again.
    """
    held = run.config
    if held.get("steps") == getattr(config, "steps", None):
        return
    if (run.path / "summary.json").exists():
        entry = {"steps": held["steps"], "after": run.summary()["after"]}
        run.update(extended=[*run.record.get("extended", []), entry])
    for path in (run.path / "summary.json", run.evaluations / "after.json"):
        path.unlink(missing_ok=True)
    shutil.rmtree(run.final, ignore_errors=True)
    run.write_config(to_mapping(config))


def require_usable(invocation: Invocation, data: str) -> None:
    """Refuses to go on with a run whose data has changed, or in too many or too few processes.

    Args:
        data: a hash of all that the run reads beside models (`reasonkit.provenance.fingerprint`).

    Raises:
        RefusedError: it has, they are, or ``--resume`` names no run.
    """
    if not invocation.resume:
        return
    assert invocation.run_dir is not None
    opened = runs.open_run(invocation.run_dir)
    begun_by, shard = opened.record.get("processes", 1), opened.config.get("shard")
    if shard in ZERO and begun_by != processes.size():
        raise RefusedError(
            f"{opened.path}: checkpoints of --shard {shard} are read by as many processes as wrote "
            f"them: go on with {begun_by}"
        )
    held = opened.record.get("data")
    if held is not None and held != data:
        raise RefusedError(
            f"{invocation.run_dir} has begun with other data than there is now: put the files "
            "back as they were, or begin anew in another --run-dir"
        )
