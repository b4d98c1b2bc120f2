"""What the page of a comparison shows beside its rows: plots, a matrix, completions side by side.

Everything is read from the run directory; before the comparison is finished the page shows which
parts are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from reasonkit.answers.reading import pieces
from reasonkit.evaluation import Evaluation, Verdict
from reasonkit.report import frontier
from reasonkit.runs import Run

NAME = "compare.html"
QUESTIONS = 40
"""Questions whose completions stand side by side: those about which the ways differ most."""

LONGEST = 2000
"""Characters of a completion that are shown."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a way said to a question: pieces of text, each ``think``, ``answer`` or ``plain``."""

    name: str
    verdict: Verdict
    pieces: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """A test question with what each way said."""

    text: str
    answer: str
    right: int
    said: list[Said]


def drawn(run: Run, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the template needs beside the run's own records."""
    if summary is None:
        return {"parts": _parts(run), "plots": {}, "questions": []}
    rows = summary["rows"]
    evaluations = {r["name"]: Evaluation.load(run.path / r["verdicts"][0]) for r in rows}
    first = [r for r in rows if r["group"] == rows[0]["group"]]
    looks = frontier.looks(rows)
    plots = {"frontier": frontier.frontier(rows, looks)}
    if any(r["cheaper_than"] for r in first):
        plots["queries"] = frontier.queries([r for r in first if r["way"] != "teacher"], looks)
    if summary["curves"]:
        plots["learning"] = frontier.learning(summary["curves"])
    plots["matrix"] = frontier.matrix(
        {name: [v.correct for v in e.verdicts] for name, e in evaluations.items()}, looks
    )
    return {
        "parts": _parts(run),
        "plots": {name: Markup(text) for name, text in plots.items()},
        "questions": questions(evaluations),
    }


def questions(evaluations: Mapping[str, Evaluation]) -> list[Question]:
    """Those that closest to half of the ways got right first."""
    columns = {name: e.verdicts for name, e in evaluations.items()}
    found = []
    for verdicts in zip(*columns.values(), strict=True):
        said = [
            Said(name, verdict, pieces(_shortened(verdict.text)))
            for name, verdict in zip(columns, verdicts, strict=True)
        ]
        right = sum(verdict.correct for verdict in verdicts)
        found.append(Question(verdicts[0].question, verdicts[0].answer, right, said))
    half = len(columns) / 2
    return sorted(found, key=lambda q: abs(q.right - half))[:QUESTIONS]


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _parts(run: Run) -> list[tuple[str, str]]:
    """Each part that was begun, with its status."""
    found = sorted(
        (run.path / "parts").glob("*/run.json"), key=lambda path: Run(path.parent).record["started"]
    )
    return [(path.parent.name, Run(path.parent).status) for path in found]
