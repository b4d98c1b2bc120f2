"""The results of a run in the terminal: the same tables and sentences for every command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import plotext
from rich.text import Text

from reasonkit import console
from reasonkit.report import results, verdict
from reasonkit.report.tables import or_dash
from reasonkit.runs import Run

BAR = 40
"""Characters of the longest bar."""

WIDTH, HEIGHT = 88, 20
MARKS = ("●", "▲", "■", "◆", "+", "x")
DRAWN = ("pass@n", "greedy", "step-by-step", "cascade")
"""Strategies that stand beside the chosen one in the plot."""


def show(run: Run, summary: Mapping[str, Any], as_json: bool) -> None:
    """Prints the ``summary.json`` of a run to stdout, and what can be done next to stderr."""
    if as_json:
        console.write(json.dumps(summary, indent=2))
        return
    if "answers" in summary:
        _show_ballots(summary)
    if said := verdict.of(summary):
        console.out.print(Text(said, style="bold"))
    tables, lines = results.of(summary)
    for made in tables:
        console.show_table(made.title, made.heads, made.rows, made.numbers)
    plot = _plot(results.drawn(summary), summary["strategy"]) if "strategies" in summary else ""
    if plot:
        console.out.print(plot, markup=False, soft_wrap=True)
    for line in (*lines, *results.warnings(summary)):
        console.say(line)
    for path in (run.final, *run.path.glob("*.html")):
        if path.exists():
            console.note(f"{'page' if path.suffix else 'model'}: {path}")
    console.note("next:")
    for command, purpose in verdict.following(run, summary):
        console.note(f"  {command}  # {purpose}")


def _show_ballots(summary: Mapping[str, Any]) -> None:
    console.say(summary["question"])
    bars = [(a["answer"], a["votes"], or_dash(a["confidence"], ".2f")) for a in summary["answers"]]
    others = {"other answers": summary["others"], "no answer": summary["blank"]}
    bars += [(name, votes, "–") for name, votes in others.items() if votes]
    most = max(votes for _, votes, _ in bars)
    title = f"{summary['samples']} samples, {summary['tokens']:,} tokens"
    rows = [(a, "█" * max(1, round(BAR * n / most)), n, confidence) for a, n, confidence in bars]
    console.show_table(title, ("answer", "", "votes", "confidence"), rows)


def _plot(rows: Sequence[Mapping[str, Any]], strategy: str) -> str:
    """Accuracy over tokens a question, both as drawn in characters; empty where n is 1."""
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for r in rows:
        if r["name"] in (strategy, *DRAWN) and r["tokens"] > 0:
            lines.setdefault(f"{r['name']}, {r['prompt']}", []).append(r)
    if all(len(line) < 2 for line in lines.values()):
        return ""
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(WIDTH, HEIGHT)
    plotext.title("accuracy (%) over tokens a question")
    plotext.xscale("log")
    for mark, (name, line) in zip(MARKS * len(lines), lines.items(), strict=False):
        x, y = [r["tokens"] for r in line], [100 * r["accuracy"] for r in line]
        plotext.scatter(x, y, marker=mark, label=name)
    tokens = sorted({round(r["tokens"]) for line in lines.values() for r in line})
    between = (decade * digit for decade in (10, 100, 1000, 10000) for digit in (1, 2, 5))
    ends = [tokens[0], *(t for t in between if tokens[0] < t < tokens[-1]), tokens[-1]]
    plotext.xticks(ends, [f"{t:,}" for t in ends])
    return str(plotext.uncolorize(plotext.build()))
