"""A stage of a recipe as a run of its own, inside the run of the recipe.

What it was made from is hashed: a stage that is finished and whose inputs are the same is taken as
it is, one that was interrupted goes on, and any other is made anew. What it replaces is moved
aside, not deleted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reasonkit import console, runs
from reasonkit.config import DistillConfig, GrpoConfig, to_mapping
from reasonkit.running import complete
from reasonkit.training.checkpoints import MANIFEST


def digest(settings: DistillConfig | GrpoConfig, files: Mapping[str, str], data: str) -> str:
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


def fingerprint(final: Path) -> str:
    """A hash of a finished model, by the manifest that it was published with."""
    return hashlib.sha256((final / MANIFEST).read_bytes()).hexdigest()


def do(
    run: runs.Run,
    name: str,
    command: str,
    settings: DistillConfig | GrpoConfig,
    inputs: str,
    work: Callable[[runs.Run], dict[str, Any]],
) -> dict[str, Any]:
    """A stage's ``summary.json``, made only as far as it isn't there.

    Args:
        inputs: of `digest`.
        work: does the stage in its own run directory.
    """
    path = run.stages / name
    if path.exists() and not (path / "run.json").exists():
        # It was killed while it was being made, and holds nothing yet.
        shutil.rmtree(path)
    if path.exists():
        made = runs.open_run(path)
        same = made.record.get("inputs") == inputs
        if same and made.status == "finished":
            console.note(f"{name}: there already")
            summary: dict[str, Any] = json.loads(
                (path / "summary.json").read_text(encoding="utf-8")
            )
            return summary
        if same:
            made = runs.resume(path)
            return complete(made, lambda: work(made))
        console.note(f"{name}: what it was made from has changed: it is made again")
        _move_aside(path)
    made = runs.create(command, settings.model, settings.task, to_mapping(settings), path, sys.argv)
    made.update(inputs=inputs)
    return complete(made, lambda: work(made))


def _move_aside(path: Path) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}-replaced-{number}")).exists():
        number += 1
    path.rename(aside)
