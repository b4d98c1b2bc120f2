"""The results of a run in the terminal: the same table for every command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from reasonkit import console
from reasonkit.prompts import WORDINGS
from reasonkit.report import compared, votes

COLUMNS = ("", "accuracy", "tokens", "thinks", "if so", "format")
"""``if so`` is the accuracy of the completions that think."""

FORM = ("format", "language", "readability")
"""Shares of a row that say how a policy writes."""


def show(summary: Mapping[str, Any], as_json: bool) -> None:
    """Prints a ``summary.json`` to stdout."""
    if as_json:
        console.write(json.dumps(summary, indent=2))
        return
    if summary["command"] == "compare":
        compared.show(summary)
        return
    if summary["command"] in ("vote", "verifier"):
        votes.show(summary)
        return
    if "after" in summary:
        if "stages" in summary:
            console.out.print(stages(summary["stages"]))
        _show_accuracies(summary)
        _show_general(summary)
    elif "stage" in summary:
        console.out.print(stages([{"name": summary["command"], **summary["stage"]}]))
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
    votes.say_failures(summary)
    for name, spent in summary.get("spent_on_rewards", {}).items():
        if name.endswith("/dollars"):
            console.say(f"{name.split('/')[1]}: {spent:.2f} dollars")


def filters(steps: Sequence[Mapping[str, Any]]) -> Table:
    """What each filter of traces took, as a table."""
    columns = ("filter", "took", "left", "questions", "what it takes")
    rows = [(s["name"], s["lost"] or "", s["left"], s["questions"], s["what"]) for s in steps]
    return console.table("traces", columns, rows)


def stages(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each stage of a recipe has come to, as a table."""
    rewards = list(rows[0]["general"])
    columns = ("stage", "accuracy", "format", "language", "readable", *rewards)
    cells = [
        (
            row["name"],
            f"{row['accuracy'] * 100:.0f} ({row['low'] * 100:.0f}–{row['high'] * 100:.0f})",
            *(f"{row[name] * 100:.0f}/{row['sampled'][name] * 100:.0f}" for name in FORM),
            *(f"{row['general'][name]['mean']:.2f}" for name in rewards),
        )
        for row in rows
    ]
    title = f"after each stage, {rows[0]['n']} validation questions, in %; shares greedy/sampled"
    return console.table(title, columns, cells, numbers=True)


def _show_general(summary: Mapping[str, Any]) -> None:
    """How general prompts are answered before and after."""
    for reward, after in summary.get("general", {}).get("after", {}).items():
        before = summary["general"]["before"][reward]
        console.say(
            f"{reward}, {after['n']} general test prompts: {_mean(before)} → {_mean(after)}"
        )


def _mean(entry: Mapping[str, Any]) -> str:
    return f"{entry['mean']:.3f} ({entry['low']:.3f}–{entry['high']:.3f})"


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
        console.say(f"gap to the teacher closed: {closed(gap)}")


def closed(gap: Mapping[str, Any]) -> str:
    """The share of a gap that is closed (`reasonkit.evaluation.gap_closed`), with its bounds."""
    if gap["low"] is None:
        return f"{gap['share']:.0%} (no bounds: {gap['n']} questions don't tell the lead from none)"
    return f"{gap['share']:.0%} ({gap['low']:.0%} to {gap['high']:.0%})"


def _title(summary: Mapping[str, Any], of: str) -> str:
    return (
        f"{summary['model']} on {summary['task']}, {summary[of]['n']} test questions, greedy, "
        "95 % intervals"
    )


def _row(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    thinking = entry["accuracy_when_thinking"]
    return (
        name,
        compared.accuracy(entry),
        f"{entry['mean_tokens']:.1f}",
        f"{entry['thinks']:.0%}",
        "–" if thinking is None else f"{thinking:.1%}",
        f"{entry['format']:.0%}",
    )
