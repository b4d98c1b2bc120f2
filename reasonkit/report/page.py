"""``report.html``: one self-contained page, drawn from a run directory alone.

It can be drawn at any time, of a running, a stopped or a finished run; what is not there yet is
left out. Completions are data: everything is escaped.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from reasonkit import live
from reasonkit.answers.reading import pieces
from reasonkit.config import StageName
from reasonkit.evaluation import Evaluation
from reasonkit.files import write_atomically
from reasonkit.report import charts, frontier, results, tables, verdict, votes
from reasonkit.runs import Run

PAIRS = 8
"""Questions or prompts whose completions before and after stand side by side."""

MOST_BALLOTS = 1000
"""Questions of a vote that can be browsed."""

CONFIDENT = 0.95
MOST_CONFIDENT = 12
"""Wrong answers with at least this probability of leading are shown first, so many of them."""

COMPARED = 40
"""Questions whose completions of each way stand side by side: those about which these differ."""

LONGEST = 2000
"""Characters of a completion that are shown there; of a vote's, twice as many."""

Summary = Mapping[str, Any] | None


class Side(NamedTuple):
    """What one model or way has made of a question: right, wrong or, unjudged, plain."""

    name: str
    kind: str
    pieces: list[tuple[str, str]]


class Question(NamedTuple):
    """A question or prompt, and what was made of it, side by side."""

    text: str
    note: str
    sides: list[Side]


def write(run: Run) -> Path:
    """Draws the page of a run and puts it into its directory."""
    name = "compare.html" if run.record["command"] == "compare" else "report.html"
    write_atomically(run.path / name, render(run).encode())
    return run.path / name


def render(run: Run) -> str:
    """The page as text."""
    record, summary = run.record, _read(run.path / "summary.json")
    tables, lines = results.of(summary, whole=True) if summary else ([], [])
    command = record["command"]
    drawn = {"vote": _ballots, "compare": _ways, "sft-rl": _stages}.get(command, _training)
    known = {
        "record": record,
        "status": run.status,
        "config": run.config,
        "summary": summary,
        "verdict": verdict.of(summary) if summary else "",
        "tables": tables,
        "lines": lines,
        "traces": results.filters(record["filters"]) if record.get("filters") else None,
        "warnings": [*(results.warnings(summary) if summary else ()), *_warnings(record)],
    }
    environment = Environment(
        loader=PackageLoader("reasonkit.report", "."), autoescape=True, trim_blocks=True
    )
    environment.filters["quiet"] = _quiet
    name = command if command in ("vote", "compare") else "page"
    return environment.get_template(f"{name}.html.j2").render(known | drawn(run, summary))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _quiet(cell: str) -> Markup:
    """A cell whose interval stands back."""
    return Markup(re.sub(r"(\(.*\d.*\))$", r'<span class="note">\1</span>', str(escape(cell))))


def _warnings(record: Mapping[str, Any]) -> Iterator[str]:
    for back in record.get("rollbacks", []):
        to = f"training went back to step {back['to']} with half the learning rate"
        yield f"{back['why']}; {to}."
    if record.get("stopped_at"):
        yield f"Training stopped at step {record['stopped_at']}; the best checkpoint was kept."
    for sign in record.get("signs", []):
        yield f"Step {sign['step']}: {sign['message']}. For example: {sign['example']}"


def _training(run: Run, summary: Summary) -> dict[str, Any]:
    records = list(run.metrics())
    steps = [r for r in records if "grad_norm" in r and r.keys() & {"reward", "loss"}]
    if not steps:
        return {"pairs": pairs(run)}
    last = steps[-1]
    parts = [{"part": part, "share": share, **last} for part, share in live.spent(last)]
    return {
        "pairs": pairs(run),
        "last": last,
        "charts": charts.of_training(records, _references(run)),
        "spent": tables.table("Cost of training", COST, parts),
    }


def _references(run: Run) -> dict[str, float]:
    """Accuracies of the untrained model on test: asked directly, and in the best prompt."""
    found = {path.stem: _read(path)["summary"] for path in run.evaluations.glob("before*.json")}
    prompted = [e["accuracy"] for name, e in found.items() if name != "before"]
    lines = {"untrained, test": found["before"]["accuracy"]} if "before" in found else {}
    return lines | ({"its best prompt": max(prompted)} if prompted else {})


COST: tables.Columns = {
    "": lambda r: r["part"],
    "s": lambda r: f"{r['share'] * r['seconds']:.1f}",
    "share": lambda r: f"{r['share']:.1%}",
}


def questions(evaluations: Mapping[str, Evaluation], longest: int | None = None) -> list[Question]:
    """The test questions with what each model or way has made of them."""
    found = []
    for verdicts in zip(*(e.verdicts for e in evaluations.values()), strict=True):
        sides = [
            Side(name, "right" if v.correct else "wrong", pieces(_shortened(v.text, longest)))
            for name, v in zip(evaluations, verdicts, strict=True)
        ]
        of = f"; {sum(v.correct for v in verdicts)} of {len(sides)} ways" if len(sides) > 2 else ""
        found.append(Question(verdicts[0].question, f"(right: {verdicts[0].answer}{of})", sides))
    return found


def pairs(run: Run, count: int = PAIRS) -> list[Question]:
    """Questions answered before and after, those whose verdict changed first."""
    paths = {name: run.evaluations / f"{name}.json" for name in ("before", "after")}
    if not all(path.exists() for path in paths.values()):
        return []
    kinds = defaultdict[str, list[Question]](list)
    for made in questions({name: Evaluation.load(path) for name, path in paths.items()}):
        kinds[" ".join(side.kind for side in made.sides)].append(made)
    gained, share = kinds["wrong right"], count // 4
    chosen = [*gained[: 2 * share], *kinds["right wrong"][:share], *kinds["wrong wrong"][:share]]
    return [*chosen, *kinds["right right"], *gained[2 * share :]][:count]


def _stages(run: Run, summary: Summary) -> dict[str, Any]:
    paths = [run.stages / name for name in StageName]
    stages = [Run(path) for path in paths if (path / "run.json").exists()]
    found = ((stage.path.name, _read(stage.path / "summary.json")) for stage in stages)
    rows = [{"name": n, **done["stage"]} for n, done in found if done and "stage" in done]
    if summary:
        rows = summary["stages"]
    curves = {stage.path.name: list(stage.metrics()) for stage in stages}
    drawn = {"pairs": pairs(run), "prompts": _prompts(run), "stages": [s.path.name for s in stages]}
    unfinished = [results.stages(rows, whole=True)] if rows and not summary else []
    return {**drawn, "unfinished": unfinished, "charts": charts.of_stages(rows, curves)}


def _prompts(run: Run) -> list[Question]:
    """General test prompts with both answers, those first whose rewards have changed most."""
    both = {when: _read(run.evaluations / f"general-{when}.json") for when in ("before", "after")}
    if not all(both.values()):
        return []

    def change(pair: tuple[Mapping[str, Any], ...]) -> float:
        was, now = (side["rewards"] for side in pair)
        return -sum(abs(float(now[name] or 0) - float(was[name] or 0)) for name in now)

    def side(when: str, said: Mapping[str, Any]) -> Side:
        rewards = (f"{name} {tables.or_dash(v, '.2f')}" for name, v in said["rewards"].items())
        return Side(when, "plain", pieces(f"{said['completion']}\n\n{', '.join(rewards)}"))

    found = sorted(zip(*(e["completions"] for e in both.values()), strict=True), key=change)
    return [Question(p[0]["prompt"], "", list(map(side, both, p))) for p in found[:PAIRS]]


def _ballots(run: Run, summary: Summary) -> dict[str, Any]:
    records = _read(run.path / "ballots.json") or []
    if summary and "answers" in summary:
        records = [dict(summary)]
    for record in records:
        record["completion"] = _shortened(record["completion"], 2 * LONGEST)
    return {
        "charts": votes.of(summary) if summary and "strategies" in summary else [],
        "questions": records[:MOST_BALLOTS],
        "more": max(0, len(records) - MOST_BALLOTS),
        "sure_and_wrong": sure_and_wrong(records),
    }


def sure_and_wrong(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Wrong answers that the votes are sure of, those with most votes first."""
    found = [
        r
        for r in records
        if r["reference"] and not r["right"] and r["answers"] and r["sureness"] >= CONFIDENT
    ]
    return sorted(found, key=lambda r: -r["answers"][0]["share"])[:MOST_CONFIDENT]


def _ways(run: Run, summary: Summary) -> dict[str, Any]:
    begun = sorted(
        (Run(path.parent) for path in (run.path / "parts").glob("*/run.json")),
        key=lambda part: str(part.record["started"]),
    )
    if summary is None:
        return {"parts": [(part.path.name, part.status) for part in begun]}
    evaluations = {r["name"]: Evaluation.load(run.path / r["verdicts"][0]) for r in summary["rows"]}
    rights = {name: [v.correct for v in e.verdicts] for name, e in evaluations.items()}

    def decided(question: Question) -> float:
        return abs(sum(side.kind == "right" for side in question.sides) - len(evaluations) / 2)

    return {
        "charts": frontier.of(summary["rows"], summary["curves"], rights),
        "questions": sorted(questions(evaluations, LONGEST), key=decided)[:COMPARED],
    }


def _shortened(text: str, longest: int | None) -> str:
    return f"{text[:longest]}…" if longest and len(text) > longest else text
