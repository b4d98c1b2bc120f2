"""The runs in a folder, in a line each."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from reasonkit import runs
from reasonkit.errors import RefusedError

LISTED = ("run", "command", "model", "task", "status", "started", "accuracy")
"""What `list_runs` tells; the accuracy is that on test before and after, once it is known."""


def list_runs(folder: Path = runs.RUNS) -> list[dict[str, str]]:
    """`LISTED` of each run in a folder, newest first, and last of those that are unreadable.

    Raises:
        RefusedError: there is no such folder, other than the usual one.
    """
    if folder != runs.RUNS and not folder.is_dir():
        raise RefusedError(f"{folder}: no such folder")
    found = [_listed(path.parent) for path in folder.glob("*/run.json")]
    return sorted(found, key=lambda run: (run["started"], run["run"]), reverse=True)


def _listed(path: Path) -> dict[str, str]:
    told = {**dict.fromkeys(LISTED, ""), "run": path.name, "status": "unreadable"}
    with suppress(OSError, ValueError, TypeError, KeyError):
        run = runs.Run(path)
        told |= {
            **run.names,
            "status": run.status,
            "started": str(run.record["started"])[:16].replace("T", " "),
        }
        summary = run.summary()
        before, after = (summary[name]["accuracy"] for name in ("before", "after"))
        told["accuracy"] = f"{before:.1%} → {after:.1%}"
    return told


def about(row: dict[str, str]) -> str:
    """A run in a line, beside its name."""
    if not row["command"]:
        return row["status"]
    line = "{command}: {model} on {task}, {status} {started}".format(**row)
    return f"{line}, {row['accuracy']}" if row["accuracy"] else line
