"""The plots of a comparison as inline SVG, from the rows of its ``summary.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reasonkit.report.plots import COLOURS, finish, svg

Row = Mapping[str, Any]

MARKERS = "osD^vP*X<>"
WAYS = {
    "base": "#6b7280",
    "vote": COLOURS[0],
    "grpo": COLOURS[1],
    "distill": COLOURS[2],
    "sft-rl": COLOURS[3],
    "teacher": COLOURS[4],
}
"""The colour of what a model was trained by; rows of one colour differ in their markers."""

Looks = Mapping[str, tuple[str, str]]
"""Name of a row → its colour and marker, the same in every plot."""

QUERIES = 7
"""Powers of ten of the number of queries that are drawn."""


def looks(rows: Sequence[Row]) -> Looks:
    """The look of each row."""
    found: dict[str, tuple[str, str]] = {}
    for row in rows:
        colour = WAYS[row["way"].partition("+")[0]]
        place = sum(other == colour for other, _ in found.values())
        found[row["name"]] = colour, MARKERS[place % len(MARKERS)]
    return found


def frontier(rows: Sequence[Row], looks: Looks) -> str:
    """Accuracy over the FLOPs of a query; the area of a bubble is what training has cost."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    place = figure.subplots()
    most = max((row["training"]["flops"] for row in rows), default=0) or 1
    for row in rows:
        colour, marker = looks[row["name"]]
        x, y = row["question_flops"], row["accuracy"]
        ends = [[max(0.0, y - row["low"])], [max(0.0, row["high"] - y)]]
        place.errorbar(x, y, yerr=ends, color=colour, elinewidth=0.9, fmt="none")
        area = 900 * row["training"]["flops"] / most
        place.scatter(x, y, s=area, color=colour, alpha=0.18, linewidths=0)
        place.scatter(x, y, s=26, color=colour, marker=marker, label=row["name"])
    best = _undominated(rows)
    place.plot(
        [row["question_flops"] for row in best],
        [row["accuracy"] for row in best],
        color="#6b7280",
        linewidth=0.9,
        linestyle=":",
        zorder=0,
    )
    place.set_xscale("log")
    finish(place, "accuracy, 95 % interval, over FLOPs a query", share=True, x="FLOPs a query")
    place.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return svg(figure, "frontier")


def _undominated(rows: Sequence[Row]) -> list[Row]:
    """The rows that are more accurate than every one that is cheaper a query."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda r: (r["question_flops"], -r["accuracy"])):
        if not kept or row["accuracy"] > kept[-1]["accuracy"]:
            kept.append(row)
    return kept


def queries(rows: Sequence[Row], looks: Looks) -> str:
    """What a query costs with training shared out, and how accurate it can be at a vote's price.

    Args:
        rows: of one model, one of which at least is a vote and one trained.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    cost, reached = figure.subplots(1, 2)
    numbers = np.logspace(0, QUERIES, 200)
    vote = next(
        row for row in rows if row["name"] in {r["cheaper_than"] for r in rows if r["cheaper_than"]}
    )
    for row in rows:
        if row is not vote and not row["training"]["flops"]:
            continue
        colour, marker = looks[row["name"]]
        each = row["training"]["flops"] / numbers + row["question_flops"]
        width = 2.2 if row is vote else 1.2
        line = {"color": colour, "marker": marker, "markevery": 30, "markersize": 3.5}
        cost.plot(numbers, each, **line, linewidth=width, label=row["name"])
        if row["cheaper_from"] is not None and row["cheaper_from"] <= numbers[-1]:
            cost.plot(row["cheaper_from"], vote["question_flops"], marker, color=colour, ms=6)
    cost.set_yscale("log")
    _over_queries(cost, "FLOPs a query, training shared out")
    _reached(reached, rows, vote, numbers)
    cost.legend(fontsize=7, frameon=False)
    return svg(figure, "queries")


def _reached(place: Axes, rows: Sequence[Row], vote: Row, numbers: np.ndarray) -> None:
    chosen = []
    for number in numbers:
        limit = vote["question_flops"] * (1 + 1e-9)
        fit = [r for r in rows if r["training"]["flops"] / number + r["question_flops"] <= limit]
        chosen.append(max(fit, key=lambda r: r["accuracy"]))
    columns = [[row[name] for row in chosen] for name in ("accuracy", "low", "high")]
    place.plot(numbers, columns[0], color=COLOURS[2], drawstyle="steps-post")
    place.fill_between(
        numbers, columns[1], columns[2], color=COLOURS[2], alpha=0.18, linewidth=0, step="post"
    )
    named: set[str] = set()
    for number, row in zip(numbers, chosen, strict=True):
        if row["name"] not in named:
            named.add(row["name"])
            place.annotate(
                row["name"],
                (number, row["accuracy"]),
                xytext=(3, 4),
                textcoords="offset points",
                fontsize=7,
            )
            place.plot(number, row["accuracy"], "o", color=COLOURS[2], ms=5)
    _over_queries(place, "the most accurate way that costs no more than the vote, 95 % interval")
    place.set_ylim(-0.02, 1.02)


def _over_queries(place: Axes, title: str) -> None:
    place.set_xscale("log")
    finish(place, title, x="queries")


def learning(curves: Mapping[str, Sequence[Row]]) -> str:
    """Validation accuracy of everything that was trained, over the FLOPs it had spent by then.

    Args:
        curves: for each run its points: ``flops``, ``validation`` and its interval.
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    place = figure.subplots()
    for i, (name, points) in enumerate(curves.items()):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        x = [max(point["flops"], 1.0) for point in points]
        low, high = [p["validation_low"] for p in points], [p["validation_high"] for p in points]
        place.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        y = [point["validation"] for point in points]
        place.plot(x, y, color=colour, marker=marker, ms=3, label=name)
    spent = [p["flops"] for points in curves.values() for p in points if p["flops"]]
    if spent:
        place.set_xscale("symlog", linthresh=10 ** math.floor(math.log10(min(spent))), linscale=0.2)
    title = "validation accuracy, greedy, 95 % interval, over FLOPs spent on training"
    finish(place, title, legend=True, share=True, x="FLOPs")
    return svg(figure, "all-learning")


def matrix(rights: Mapping[str, Sequence[bool]], looks: Looks) -> str:
    """Which questions each row got right; those that most got right stand to the left.

    Args:
        rights: for each row whether it was right, by question, in the same order.
    """
    names = list(rights)
    columns = np.array([list(rights[name]) for name in names], dtype=bool)
    columns = columns[:, np.argsort(-columns.sum(0), kind="stable")]
    figure = Figure(figsize=(10, 0.6 + 0.22 * len(names)), layout="constrained")
    place = figure.subplots()
    for i, row in enumerate(columns):
        colour, _ = looks[names[i]]
        place.broken_barh(_runs(row), (i - 0.42, 0.84), facecolor=colour, linewidth=0)
    place.set_yticks(range(len(names)), names)
    place.set_ylim(len(names) - 0.5, -0.5)
    place.set_xlim(0, columns.shape[1])
    finish(place, "questions that each got right", x="test questions, those most got right first")
    place.grid(visible=False)
    return svg(figure, "matrix")


def _runs(row: np.ndarray) -> list[tuple[int, int]]:
    """Begin and length of each run of what is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(int), [0]))))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
