"""The results of a comparison in the terminal, from the rows of its ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonkit import console

ACCURACY = ("", "accuracy", "less base", "less best")
COST = ("", "tokens a query", "s a query", "trained: FLOPs", "s", "cheaper from, queries")
BEYOND = ("", "longer expressions", "everyday requests", "tokens there")


def show(summary: Mapping[str, Any]) -> None:
    """Prints a ``summary.json`` of ``reasonkit compare`` to stdout."""
    rows = summary["rows"]
    title = (
        f"{summary['model']} on {summary['task']}, {rows[0]['n']} test questions, 95 % intervals"
    )
    console.show_table(title, ACCURACY, map(_accuracies, rows), numbers=True)
    console.show_table("what it costs", COST, map(_costs, rows), numbers=True)
    probed = [row for row in rows if row["requests"]]
    if probed:
        console.show_table("not trained on", BEYOND, map(_beyond, probed), numbers=True)
    for sentence in summary["findings"]:
        console.say(sentence)
    for rule in summary["rules"]:
        console.say(f"{rule['outcome']}: {rule['claim']} {rule['evidence']}")
    console.say(f"{summary['seconds']:.0f} s in {len(summary['parts'])} parts")


def _accuracies(row: Mapping[str, Any]) -> tuple[str, ...]:
    name = f"{row['name']}{' (best)' if row['best'] else ''}"
    return name, accuracy(row), points(row["to_base"]), points(row["to_best"])


def _costs(row: Mapping[str, Any]) -> tuple[str, ...]:
    training = row["training"]
    return (
        row["name"],
        f"{row['question_tokens']:,.1f}",
        f"{row['question_seconds']:.3f}",
        f"{training['flops']:.1e}" if training["flops"] else "–",
        f"{training['seconds']:.0f}" if training["flops"] else "–",
        "–" if row["cheaper_from"] is None else f"{row['cheaper_from']:,}",
    )


def _beyond(row: Mapping[str, Any]) -> tuple[str, ...]:
    longer, requests = row["longer"], row["requests"]
    return (
        row["name"],
        accuracy(longer) if longer else "–",
        accuracy(requests),
        f"{requests['mean_tokens']:.1f}",
    )


def accuracy(of: Mapping[str, float]) -> str:
    """A share with its 95 % interval."""
    return f"{of['accuracy']:.1%} ({of['low'] * 100:.1f}–{of['high'] * 100:.1f})"


def points(gap: Mapping[str, float] | None) -> str:
    """A difference in percentage points with its interval."""
    if gap is None:
        return "–"
    return f"{gap['difference'] * 100:+.1f} ({gap['low'] * 100:+.1f} to {gap['high'] * 100:+.1f})"
