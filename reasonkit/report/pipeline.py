"""What the page of a recipe in stages shows: a row and curves a stage, and general prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from reasonkit.config import StageName
from reasonkit.report import plots
from reasonkit.runs import Run

PROMPTS = 8
"""General prompts whose answers stand side by side."""


def drawn(run: Run, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the template needs beside the run's own records; of the stages that are there."""
    stages = [
        Run(path) for name in StageName if (path := run.stages / name).joinpath("run.json").exists()
    ]
    rows = summary["stages"] if summary else _rows(stages)
    curves = {stage.path.name: list(stage.metrics()) for stage in stages}
    curves = {name: records for name, records in curves.items() if records}
    return {
        "rows": rows,
        "stages": stages,
        "pipeline": Markup(plots.pipeline(rows)) if len(rows) > 1 else None,
        "curves": Markup(plots.stages(curves)) if curves else None,
        "prompts": _prompts(run),
    }


def _rows(stages: list[Run]) -> list[dict[str, Any]]:
    """The rows of the stages that are finished, where the whole is not."""
    rows = []
    for stage in stages:
        saved = _read(stage.path / "summary.json")
        if saved and "stage" in saved:
            rows.append({"name": stage.path.name, **saved["stage"]})
    return rows


def _prompts(run: Run) -> list[dict[str, Any]]:
    """General test prompts with both answers, those first whose rewards have changed most."""
    before, after = (
        _read(run.evaluations / f"general-{when}.json") for when in ("before", "after")
    )
    if not before or not after:
        return []
    both = [
        {"prompt": b["prompt"], "before": b, "after": a}
        for b, a in zip(before["completions"], after["completions"], strict=True)
    ]
    return sorted(both, key=lambda pair: -_change(pair))[:PROMPTS]


def _change(pair: Mapping[str, Any]) -> float:
    was, now = pair["before"]["rewards"], pair["after"]["rewards"]
    return float(sum(abs((now[name] or 0.0) - (was[name] or 0.0)) for name in now))


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
