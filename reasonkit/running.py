"""The course of a run, the same for every command: made or resumed, marked, shown.

A run may hold stages, which are runs of their own. Leaves out what a command does in between.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from reasonkit import console, processes, resuming, runs
from reasonkit.config import CommonConfig, EngineName, Invocation, to_mapping
from reasonkit.errors import ReasonkitError, RefusedError, RunError
from reasonkit.provenance import versions
from reasonkit.report import terminal

SPENT = ("seconds", "training_seconds", "tokens_sampled", "tokens_trained")
"""What a summary may say of the cost, for ``run.json``."""


RESUMED = {
    EngineName.local: "to the same bytes, on the same machine",
    EngineName.vllm: "to an equivalent run: what shares a batch of vLLM's, and so rounding, varies",
}
"""How a run that was stopped is gone on with, by its engine, as ``run.json`` has it."""


def begin(
    command: str, config: CommonConfig, invocation: Invocation, data: str, made_from: str = ""
) -> runs.Run:
    """A new run directory, or the one that ``--resume`` goes on with; one for all processes.

    Args:
        config: fully resolved.
        data: as of `resuming.require_usable`.
        made_from: the GGUF file of the model, if it has one.

    Raises:
        RefusedError: the directory can't be used.
    """

    _require_alike(config, data)

    def opened() -> runs.Run:
        path = invocation.run_dir
        if invocation.resume:
            assert path is not None
            made = runs.resume(path)
            resuming.extend(made, config)
            return made
        settings = to_mapping(config)
        made = runs.create(command, config.model, config.task, settings, path, sys.argv, data)
        if made_from:
            made.update(made_from=made_from)
        return made

    run = opened() if processes.is_main() else None
    if run and config.engine in RESUMED:
        run.update(resume=RESUMED[config.engine])
    path = processes.from_main(lambda: run.path if run else None)
    assert path is not None
    if not all(processes.gathered((path / "run.json").exists())):
        if run and not invocation.resume:
            shutil.rmtree(path)
        raise RefusedError(
            f"{path} isn't the same folder for all processes: pass a --run-dir that they share"
        )
    return run or runs.Run(path, leads=False)


def _require_alike(config: CommonConfig, data: str) -> None:
    """Compares what the processes have begun with.

    Raises:
        RefusedError: one of them has something else than the main one.
    """
    main, *others = processes.gathered({"data": data, **versions(), **to_mapping(config)})
    for rank, other in enumerate(others, 1):
        for name, value in main.items():
            if other.get(name) != value:
                raise RefusedError(
                    f"process {rank} has begun with another {name} than process 0: "
                    f"{other.get(name)}, not {value}"
                )


def carry_out(run: runs.Run, work: Callable[[], dict[str, Any]], as_json: bool) -> None:
    """Completes a run, says how to go on where it stops, and shows its results.

    Args:
        work: as of `complete`.
        as_json: print ``summary.json`` instead of the table.
    """
    go_on = f"reasonkit {run.record['command']} --run-dir {run.path} --resume"
    if processes.size() > 1:
        alone = processes.size() == processes.local_size()
        count = processes.size()
        go_on += f" --processes {count}" if alone else f", in {count} processes"
    console.note(f"run: {run.path}")
    try:
        summary = complete(run, work)
    except KeyboardInterrupt as stop:
        raise type(stop)(f"stopped; go on with: {go_on}") from None
    except OSError as error:
        where = error.filename or run.path
        raise RunError(
            f"{where}: {error.strerror or error}; what was written is kept; "
            f"once that is mended go on with: {go_on}"
        ) from error
    except ReasonkitError:
        console.note(f"go on with: {go_on}")
        raise
    terminal.show(run, summary, as_json)


def complete(run: runs.Run, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Does a run's work, marks how it ended and draws its page.

    Args:
        work: returns what becomes ``summary.json``, beside the names of command, model and task.
    """
    with console.doing("loading matplotlib"):
        from reasonkit.report import page, verdict

    try:
        with console.doing(f"{run.record['command']}"):
            summary = run.names | work()
        summary = {"verdict": verdict.of(summary), **summary}
        run.write_json("summary.json", summary)
        spent = {name: summary.get(name, 0) for name in SPENT}
        run.update(
            seconds={"total": spent["seconds"], "training": spent["training_seconds"]},
            tokens={"sampled": spent["tokens_sampled"], "trained": spent["tokens_trained"]},
        )
        run.mark("finished")
        if run.leads:
            with console.doing("drawing the page"):
                page.write(run)
    except KeyboardInterrupt:
        run.mark("interrupted")
        raise
    except OSError:
        # A full disk takes no mark either, and is what the user wants to hear of.
        with suppress(OSError):
            run.mark("failed")
        raise
    except Exception:
        run.mark("failed")
        raise
    return summary


def digest(settings: CommonConfig, files: dict[str, str], data: str) -> str:
    """A hash of all that settles what a stage comes to.

    Args:
        files: what stands in the settings for a path: a hash of what is there.
        data: a hash of its examples.
    """
    known = {
        name: files.get(value, value) if isinstance(value, str) else value
        for name, value in to_mapping(settings).items()
    }
    return hashlib.sha256(json.dumps([known, data], sort_keys=True).encode()).hexdigest()


def do_stage(
    run: runs.Run,
    name: str,
    command: str,
    settings: CommonConfig,
    inputs: str,
    work: Callable[[runs.Run], dict[str, Any]],
) -> dict[str, Any]:
    """The ``summary.json`` of a stage, which is a run inside the run.

    One that is finished and whose inputs are the same is taken as it is, one that was interrupted
    goes on, and any other is made anew; what it replaces is moved aside, not deleted.

    Args:
        inputs: of `digest`.
        work: does the stage in its own run directory.
    """
    made = _stage(run, name, command, settings, inputs) if run.leads else None
    path, finished = run.stages / name, processes.from_main(lambda: made is None)
    if finished:
        return runs.open_run(path).summary()
    own = made or runs.Run(path, leads=False)
    return complete(own, lambda: work(own))


def _stage(
    run: runs.Run, name: str, command: str, settings: CommonConfig, inputs: str
) -> runs.Run | None:
    """The run of a stage; None where it is finished."""
    path = run.stages / name
    if path.exists() and not (path / "run.json").exists():
        # It was killed while it was being made, and holds nothing yet.
        shutil.rmtree(path)
    if path.exists():
        made = runs.open_run(path)
        if made.record.get("inputs") == inputs:
            if made.status == "finished":
                console.note(f"{name}: there already")
                return None
            return runs.resume(path)
        console.note(f"{name}: what it was made from has changed: it is made again")
        _move_aside(path)
    made = runs.create(command, settings.model, settings.task, to_mapping(settings), path, sys.argv)
    made.update(inputs=inputs)
    return made


def _move_aside(path: Path) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}-replaced-{number}")).exists():
        number += 1
    path.rename(aside)
