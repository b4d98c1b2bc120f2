"""What the page of a vote shows: plots, answers that are confident and wrong, all ballots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from reasonkit.report import plots
from reasonkit.runs import Run

MOST_QUESTIONS = 1000
"""Questions that can be browsed."""

CONFIDENT = 0.95
MOST_CONFIDENT = 12
"""Wrong answers with at least this probability of leading are shown first, so many of them."""

LONGEST = 4000
"""Characters of a completion that are shown."""


def drawn(run: Run, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the template needs beside the run's own records; empty where it isn't there yet."""
    records = _records(run, summary)
    known = summary or {}
    rows = known.get("strategies") or []
    hard = known.get("difficulty") or []
    return {
        "votes": Markup(plots.votes(rows, known["strategy"])) if rows else None,
        "difficulty": Markup(plots.difficulty(hard)) if hard else None,
        "questions": records[:MOST_QUESTIONS],
        "more": max(0, len(records) - MOST_QUESTIONS),
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


def _records(run: Run, summary: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    path = run.path / "ballots.json"
    records: list[dict[str, Any]] = []
    if path.exists():
        records = json.loads(path.read_text(encoding="utf-8"))
    elif summary and "answers" in summary:
        records = [dict(summary)]
    for record in records:
        text = record["completion"]
        record["completion"] = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return records
