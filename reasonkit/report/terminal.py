"""The results of a run in the terminal: the same table for every command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reasonkit import console
from reasonkit.tasks.wordings import WORDINGS

COLUMNS = ("", "accuracy", "tokens", "thinks", "if so", "format")
"""``if so`` is the accuracy of the completions that think."""


def show(summary: Mapping[str, Any], as_json: bool) -> None:
    """Prints a ``summary.json`` to stdout."""
    if as_json:
        print(json.dumps(summary, indent=2))
        return
    title = (
        f"{summary['model']} on {summary['task']}, {summary['after']['n']} test questions, "
        "greedy, 95 % intervals"
    )
    rows = [
        _row("before", summary["before"]),
        *(_row(WORDINGS[name], entry) for name, entry in summary["baselines"].items()),
        _row("after", summary["after"]),
    ]
    console.show_table(title, COLUMNS, rows, numbers=True)
    compared = [("before", "paired")]
    if summary["baselines"]:
        compared.append(("best wording", "paired_with_best_wording"))
    for name, key in compared:
        pair = summary[key]
        console.say(
            f"after − {name}: {pair['difference'] * 100:+.1f} points "
            f"({pair['low'] * 100:+.1f} to {pair['high'] * 100:+.1f}), exact McNemar "
            f"p = {pair['p']:.2g}"
        )
    console.say(
        f"{summary['seconds']:.0f} s, {summary['tokens_sampled']:,} tokens sampled, "
        f"{summary['tokens_trained']:,} trained, peak memory "
        f"{summary['peak_memory_bytes'] / 2**30:.2f} GiB"
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
