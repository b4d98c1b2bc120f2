"""The charts of a comparison, from the rows of its ``summary.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from reasonkit.report.drawing import (
    COLOURS,
    GREY,
    Chart,
    band,
    canvas,
    chart,
    finish,
    legend_beside,
    reach,
)
from reasonkit.report.tables import Record

MARKERS = "osD^vP*X<>"
WAYS = {
    "base": GREY,
    **dict(zip(("vote", "grpo", "distill", "sft-rl", "teacher"), COLOURS, strict=True)),
}
"""The colour of what a model was trained by; rows of one colour differ in their markers."""

HIGH = 0.95
"""Above this accuracy a label stands below its point, and not in the chart's title."""

QUERIES = 7
"""Powers of ten of the number of queries that are drawn."""

Looks = Mapping[str, tuple[str, str]]
"""Name of a row → its colour and marker, the same in every chart."""


def of(
    rows: Sequence[Record],
    curves: Mapping[str, Sequence[Record]],
    rights: Mapping[str, Sequence[bool]],
) -> list[Chart]:
    """Of a comparison.

    Args:
        rows: of its ``summary.json``.
        curves: as there: for each run that trained its points.
        rights: for each row whether it was right, by question, in the same order.
    """
    looks: dict[str, tuple[str, str]] = {}
    for row in rows:
        colour = WAYS[row["way"].partition("+")[0]]
        place = sum(other == colour for other, _ in looks.values())
        looks[row["name"]] = colour, MARKERS[place % len(MARKERS)]
    first = [r for r in rows if r["group"] == rows[0]["group"]]
    made = [_frontier(rows, looks)]
    if any(r["cheaper_than"] for r in first):
        made.append(_queries([r for r in first if r["way"] != "teacher"], looks))
    if curves:
        made.append(_learning(curves))
    return [*made, _matrix(rights, looks)]


def _frontier(rows: Sequence[Record], looks: Looks) -> Chart:
    figure, (place,) = canvas(4.6)
    most = max((row["training"]["flops"] for row in rows), default=0) or 1
    for row in rows:
        colour, marker = looks[row["name"]]
        x, y = row["question_flops"], row["accuracy"]
        place.errorbar(x, y, yerr=reach([row]), color=colour, elinewidth=0.9, fmt="none")
        area = 900 * row["training"]["flops"] / most
        place.scatter(x, y, s=area, color=colour, alpha=0.18, linewidths=0, clip_on=False)
        place.scatter(x, y, s=26, color=colour, marker=marker, label=row["name"])
    best: list[Record] = []
    for row in sorted(rows, key=lambda r: (r["question_flops"], -r["accuracy"])):
        if not best or row["accuracy"] > best[-1]["accuracy"]:
            best.append(row)
    for row in best:
        place.annotate(
            row["name"],
            (row["question_flops"], row["accuracy"]),
            xytext=(6, -9 if row["accuracy"] > HIGH else 5),
            textcoords="offset points",
            fontsize=7,
        )
    line = [[row[name] for row in best] for name in ("question_flops", "accuracy")]
    place.plot(*line, color=GREY, linewidth=0.9, linestyle=":", zorder=0)
    place.set_xscale("log")
    # The usual labels between powers of ten are written over each other.
    place.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    place.xaxis.set_major_formatter(EngFormatter(sep=""))
    place.xaxis.set_minor_formatter(NullFormatter())
    title = "accuracy, 95 % interval, over FLOPs a query"
    finish(place, title, "FLOPs a query", share=True)
    legend_beside(place)
    pays = [
        f"{r['name']} from {r['cheaper_from']:,} queries"
        for r in rows
        if r["cheaper_from"] is not None
    ]
    note = (
        "The area of a bubble is what training has cost; the dotted line joins the rows that no "
        "cheaper one beats."
    )
    if pays:
        note += f" Training has paid for itself: {'; '.join(pays)}."
    return chart("Accuracy against cost", figure, note)


def _queries(rows: Sequence[Record], looks: Looks) -> Chart:
    """What a query costs with training shared out, and how accurate it can be at a vote's price.

    Args:
        rows: of one model, one of which at least is a vote and one trained.
    """
    figure, (cost, reached) = canvas(4.2, columns=2)
    numbers = np.logspace(0, QUERIES, 200)
    dearer = {row["cheaper_than"] for row in rows}
    vote = next(row for row in rows if row["name"] in dearer)
    each = {r["name"]: r["training"]["flops"] / numbers + r["question_flops"] for r in rows}
    for row in (row for row in rows if row is vote or row["training"]["flops"]):
        colour, marker = looks[row["name"]]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markevery": 30, "ms": 3.5}
        width = 2.2 if row is vote else 1.2
        cost.plot(numbers, each[row["name"]], **look, linewidth=width, label=row["name"])
        if row["cheaper_from"] is not None and row["cheaper_from"] <= numbers[-1]:
            cost.plot(row["cheaper_from"], vote["question_flops"], marker, color=colour, ms=6)
    limit = vote["question_flops"] * (1 + 1e-9)
    chosen = [
        max((r for r in rows if each[r["name"]][i] <= limit), key=lambda r: float(r["accuracy"]))
        for i in range(len(numbers))
    ]
    look = {"color": COLOURS[2], "drawstyle": "steps-post"}
    reached.plot(numbers, [row["accuracy"] for row in chosen], **look)
    band(reached, numbers, chosen, COLOURS[2], step="post")
    for name in dict.fromkeys(row["name"] for row in chosen):
        number, row = next(x for x in zip(numbers, chosen, strict=True) if x[1]["name"] == name)
        reached.annotate(
            name,
            (number, row["accuracy"]),
            xytext=(3, -9 if row["accuracy"] > HIGH else 4),
            textcoords="offset points",
            fontsize=7,
        )
        reached.plot(number, row["accuracy"], "o", color=COLOURS[2], ms=5, label=name)
    cost.set_yscale("log")
    for axes, title in (
        (cost, "FLOPs a query, training shared out"),
        (reached, "the most accurate way that costs no more than the vote, 95 % interval"),
    ):
        axes.set_xscale("log")
        finish(axes, title, "queries", share=axes is reached)
    cost.legend(fontsize=7, frameon=False)
    note = (
        "Left: dots mark where a trained way becomes cheaper than the vote. Right: with so many "
        "queries, the most accurate way whose whole cost, training included, is no more than the "
        "vote’s."
    )
    return chart("When training pays", figure, note)


def _learning(curves: Mapping[str, Sequence[Record]]) -> Chart:
    figure, (place,) = canvas(3.8)
    for marker, (name, points) in zip(cycle(MARKERS), curves.items(), strict=False):
        colour = WAYS[name.rpartition("student-")[2]]
        x = [max(point["flops"], 1.0) for point in points]
        band(place, x, points, colour, "validation_low", "validation_high")
        y = [point["validation"] for point in points]
        place.plot(x, y, color=colour, marker=marker, ms=3, label=name)
    spent = [p["flops"] for points in curves.values() for p in points if p["flops"]]
    if spent:
        place.set_xscale("symlog", linthresh=10 ** math.floor(math.log10(min(spent))), linscale=0.2)
    title = "validation accuracy, greedy, 95 % interval, over FLOPs spent on training"
    finish(place, title, "FLOPs", share=True, legend=True)
    return chart("Learning", figure)


def _matrix(rights: Mapping[str, Sequence[bool]], looks: Looks) -> Chart:
    """Those questions that most got right stand to the left."""
    names = list(rights)
    columns = np.array([list(rights[name]) for name in names], dtype=int)
    columns = columns[:, np.argsort(-columns.sum(0), kind="stable")]
    figure, (place,) = canvas(0.6 + 0.22 * len(names))
    for i, row in enumerate(columns):
        edges = np.flatnonzero(np.diff(row, prepend=0, append=0))
        runs = [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        place.broken_barh(runs, (i - 0.42, 0.84), facecolor=looks[names[i]][0], linewidth=0)
    place.set_yticks(range(len(names)), names)
    place.set_ylim(len(names) - 0.5, -0.5)
    place.set_xlim(0, columns.shape[1])
    over = "test questions, those most got right first"
    finish(place, "questions that each got right", over)
    place.grid(visible=False)
    return chart("Which questions each got right", figure)
