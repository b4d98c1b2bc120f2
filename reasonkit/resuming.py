"""What ``--resume`` reads, and what it refuses.

1. Settings: ``config.yaml`` of the run, over which flags may change only what the command's
   settings say (`commands`).
2. ``run.json``: its status here, the hash of the data that it has begun with here, the number of
   processes and the lock in `runs.resume`.
3. What is measured and sampled already: ``evaluations/`` (`measuring.measure`) and
   ``samples.jsonl`` (`generation.store`).
4. Weights, optimiser and random state: the newest whole checkpoint, whose step ends the logs
   (`training.checkpoints`). A stage of ``sft-rl`` is a run of its own (`running.do_stage`).
"""

from __future__ import annotations

from reasonkit import console, processes, runs
from reasonkit.config import CommonConfig, Invocation, from_mapping
from reasonkit.errors import RefusedError
from reasonkit.report import terminal


def is_done(config: CommonConfig, invocation: Invocation) -> bool:
    """Whether ``--resume`` names a run that is finished with these settings; then it is shown.

    Raises:
        RefusedError: it is no run.
    """
    if not invocation.resume:
        return False
    assert invocation.run_dir is not None
    opened = runs.open_run(invocation.run_dir)
    held = from_mapping(type(config), opened.config, str(opened.path / "config.yaml"))
    if opened.status != "finished" or held != config:
        return False
    console.note(f"{opened.path} is finished")
    terminal.show(opened, opened.summary(), invocation.json)
    return True


def require_usable(invocation: Invocation, data: str) -> None:
    """Refuses a directory that is taken, or to go on with a run whose data has changed.

    Args:
        data: a hash of all that the run reads beside models (`reasonkit.provenance.fingerprint`).

    Raises:
        RefusedError: it has, or ``--resume`` names no run.
    """
    if invocation.resume:
        assert invocation.run_dir is not None
        held = runs.open_run(invocation.run_dir).record.get("data")
        if held is not None and held != data:
            raise RefusedError(
                f"{invocation.run_dir} has begun with other data than there is now: put the files "
                "back as they were, or begin anew in another --run-dir"
            )
    elif processes.is_main() and not invocation.dry_run:
        runs.require_free(invocation.run_dir)
