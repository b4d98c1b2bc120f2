"""The results of a run in the terminal: the same table for every command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from reasonkit import console
from reasonkit.report import compared, votes
from reasonkit.tasks.wordings import WORDINGS

COLUMNS = ("", "accuracy", "tokens", "thinks", "if so", "format")
"""``if so`` is the accuracy of the completions that think."""


def show(summary: Mapping[str, Any], as_json: bool) -> None:
    """Prints a ``summary.json`` to stdout."""
    if as_json:
        print(json.dumps(summary, indent=2))
        return
    if summary["command"] == "compare":
        compared.show(summary)
        return
    if summary["command"] in ("vote", "verifier"):
        votes.show(summary)
        return
    if "after" in summary:
        _show_accuracies(summary)
    else:
        console.out.print(filters(summary["filters"]))
        rows = [_row("teacher", summary["teacher"])]
        console.show_table(_title(summary, "teacher"), COLUMNS, rows, numbers=True)
    for remark in summary.get("remarks", []):
        console.say(remark)
    console.say(
        f"{summary['seconds']:.0f} s, {summary['tokens_sampled']:,} tokens sampled, "
        f"{summary['tokens_trained']:,} trained, peak memory "
        f"{summary['peak_memory_bytes'] / 2**30:.2f} GiB"
    )
    for name, spent in summary.get("spent_on_rewards", {}).items():
        if name.endswith("/dollars"):
            console.say(f"{name.split('/')[1]}: {spent:.2f} dollars")


def filters(steps: Sequence[Mapping[str, Any]]) -> Table:
    """What each filter of traces took, as a table."""
    columns = ("filter", "took", "left", "questions", "what it takes")
    rows = [(s["name"], s["lost"] or "", s["left"], s["questions"], s["what"]) for s in steps]
    return console.table("traces", columns, rows)


def _show_accuracies(summary: Mapping[str, Any]) -> None:
    rows = [
        _row("before", summary["before"]),
        *(_row(WORDINGS[name], entry) for name, entry in summary["baselines"].items()),
        _row("after", summary["after"]),
    ]
    if summary.get("teacher"):
        rows.append(_row("teacher", summary["teacher"]))
    console.show_table(_title(summary, "after"), COLUMNS, rows, numbers=True)
    compared = [("before", "paired")]
    if summary["baselines"]:
        compared.append(("best wording", "paired_with_best_wording"))
    if summary.get("paired_with_teacher"):
        compared.append(("teacher", "paired_with_teacher"))
    for name, key in compared:
        pair = summary[key]
        console.say(
            f"after − {name}: {pair['difference'] * 100:+.1f} points "
            f"({pair['low'] * 100:+.1f} to {pair['high'] * 100:+.1f}), exact McNemar "
            f"p = {pair['p']:.2g}"
        )
    if gap := summary.get("gap_closed"):
        console.say(
            f"gap to the teacher closed: {gap['share']:.0%} ({gap['low']:.0%} to {gap['high']:.0%})"
        )


def _title(summary: Mapping[str, Any], of: str) -> str:
    return (
        f"{summary['model']} on {summary['task']}, {summary[of]['n']} test questions, greedy, "
        "95 % intervals"
    )


def _row(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    thinking = entry["accuracy_when_thinking"]
    return (
        name,
        f"{entry['accuracy']:.1%} ({entry['low'] * 100:.1f}–{entry['high'] * 100:.1f})",
        f"{entry['mean_tokens']:.1f}",
        f"{entry['thinks']:.0%}",
        "–" if thinking is None else f"{thinking:.1%}",
        f"{entry['format']:.0%}",
    )
