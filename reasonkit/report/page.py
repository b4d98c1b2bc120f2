"""``report.html``: one self-contained page, drawn from a run directory alone.

It can be drawn at any time, of a running, a stopped or a finished run; what is not there yet is
left out. Completions are data: everything is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from reasonkit.evaluation import Evaluation, Verdict
from reasonkit.files import write_atomically
from reasonkit.prompts import WORDINGS
from reasonkit.report import ballots, comparison, pipeline, plots
from reasonkit.runs import Run

PAIRS = 8
"""Test questions whose completions stand side by side."""

NAME = "report.html"


@dataclass(frozen=True, slots=True)
class Pair:
    """One test question, answered before and after training."""

    before: Verdict
    after: Verdict


def write(run: Run) -> Path:
    """Draws the page of a run and puts it into its directory."""
    path = run.path / (comparison.NAME if run.record["command"] == "compare" else NAME)
    write_atomically(path, render(run).encode())
    return path


def render(run: Run) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("reasonkit.report", "."), autoescape=True, trim_blocks=True
    )
    environment.filters |= {"percent": _percent, "points": _points}
    known = {"record": run.record, "status": run.status, "config": run.config}
    summary = _summary(run)
    if run.record["command"] == "vote":
        page = environment.get_template("vote.html.j2")
        return page.render(**known, summary=summary, **ballots.drawn(run, summary))
    if run.record["command"] == "compare":
        page = environment.get_template("compare.html.j2")
        return page.render(**known, summary=summary, **comparison.drawn(run, summary))
    if run.record["command"] == "sft-rl":
        page = environment.get_template("pipeline.html.j2")
        drawn = pipeline.drawn(run, summary)
        return page.render(
            **known, summary=summary, wordings=WORDINGS, plots={}, pairs=pairs(run), **drawn
        )
    records = list(run.metrics())
    steps = [
        record for record in records if "grad_norm" in record and record.keys() & {"reward", "loss"}
    ]
    plotted = {}
    if steps and "reward" not in steps[-1]:
        plotted = {"supervised": plots.supervised(records)}
    elif steps:
        plotted = {
            "learning": plots.learning(records),
            "thinking": plots.thinking(records),
            "health": plots.health(records),
            "advantages": plots.advantage_histogram(records),
        }
    return environment.get_template("page.html.j2").render(
        **known,
        summary=summary,
        wordings=WORDINGS,
        plots={name: Markup(svg) for name, svg in plotted.items()},
        pairs=pairs(run),
        last=steps[-1] if steps else None,
        time=_time(steps[-1]) if steps else [],
    )


def pairs(run: Run, count: int = PAIRS) -> list[Pair]:
    """Questions answered before and after, those whose verdict changed first."""
    paths = [run.evaluations / f"{name}.json" for name in ("before", "after")]
    if not all(path.exists() for path in paths):
        return []
    before, after = (Evaluation.load(path).verdicts for path in paths)
    both = [Pair(b, a) for b, a in zip(before, after, strict=True)]
    gained = [p for p in both if p.after.correct and not p.before.correct]
    lost = [p for p in both if p.before.correct and not p.after.correct]
    wrong = [p for p in both if not p.after.correct and not p.before.correct]
    right = [p for p in both if p.after.correct and p.before.correct]
    share = count // 4
    chosen = [*gained[: 2 * share], *lost[:share], *wrong[:share]]
    return (chosen + [p for p in (*right, *gained[2 * share :]) if p not in chosen])[:count]


def _summary(run: Run) -> dict[str, Any] | None:
    path = run.path / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _time(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    known = {name: record[f"{name}_seconds"] for name in ("rollout", "reward", "validation")}
    return [*known.items(), ("update and the rest", record["seconds"] - sum(known.values()))]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f} %"


def _points(value: float) -> str:
    return f"{value * 100:+.1f}"
