"""What every chart is drawn with: canvas, panels of curves that are alike, intervals, SVG."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Record = Mapping[str, Any]

SMOOTH = 0.8
"""Weight of the past in the running means; the raw values stand behind them."""

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626")
GREY = "#6b7280"
LEFT, RIGHT, TOP, BOTTOM, BESIDE, BETWEEN = 0.5, 0.1, 0.3, 0.5, 0.65, 0.8
"""Inches around panels and between them."""


Levels = Mapping[str, float]
"""Accuracies to be told apart from, by name."""

STILL = 1e-6
"""What moves by no more than this has not moved."""


NARROW = 5e-3
"""Of its values: a panel isn't drawn over less."""


class Chart(NamedTuple):
    """A figure with its heading and what explains it."""

    title: str
    svg: Markup
    note: str = ""


class Panel(NamedTuple):
    """Fields of lines of ``metrics.jsonl``, with their labels, over another one.

    Attributes:
        levels: drawn as lines across.
    """

    title: str
    records: Sequence[Record]
    names: Mapping[str, str]
    share: bool = False
    x: str = "step"
    log: bool = False
    levels: Levels = MappingProxyType({})


def moving(panels: Sequence[Panel]) -> tuple[list[Panel], str]:
    """The panels in which something moves, and what the others stay at, in words."""
    found, still = [], []
    for panel in panels:
        values = [r[name] for r in panel.records for name in panel.names if r.get(name) is not None]
        if values and max(values) - min(values) <= STILL:
            still.append(f"{panel.title} ({values[-1]:.3g})")
        else:
            found.append(panel)
    return found, f"Never moved: {'; '.join(still)}." if still else ""


def levelled(place: Axes, levels: Levels) -> None:
    """Lines across at what an accuracy is to be told apart from."""
    for (name, level), style in zip(levels.items(), ("--", ":", "-."), strict=False):
        place.axhline(level, color=GREY, linestyle=style, linewidth=1, label=name)
    if levels:
        place.legend(fontsize=7, frameon=False)


def curves(title: str, panels: Sequence[Panel], columns: int = 3, note: str = "") -> Chart:
    """Panels beside and below each other, each with its own scale."""
    lines = math.ceil(len(panels) / columns)
    figure, places = canvas(1.6 + 1.5 * lines, lines, columns, alike=True)
    _space(figure, lines, columns)
    for place, panel in zip(places, panels, strict=True):
        for i, (name, label) in enumerate(panel.names.items()):
            known = [record for record in panel.records if record.get(name) is not None]
            colour, x = COLOURS[i % len(COLOURS)], [record[panel.x] for record in known]
            values = [record[name] for record in known]
            if name == "validation":
                band(place, x, known, COLOURS[2], "validation_low", "validation_high")
                place.plot(x, values, color=COLOURS[2], marker="o", ms=3)
                levelled(place, panel.levels)
                continue
            smooth: list[float] = []
            for value in values:
                smooth.append(SMOOTH * smooth[-1] + (1 - SMOOTH) * value if smooth else value)
            place.plot(x, values, color=colour, alpha=0.25, linewidth=1)
            place.plot(x, smooth, color=colour, linewidth=1.6, label=label)
        if panel.log:
            place.set_yscale("log")
        elif (ends := place.get_ylim())[1] - ends[0] < NARROW * abs(sum(ends)):
            # Ticks that differ in their seventh digit have no room.
            place.set_ylim(sum(ends) * (0.5 - NARROW), sum(ends) * (0.5 + NARROW))
        place.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        finish(place, panel.title, panel.x, panel.share, legend=len(panel.names) > 1)
    return chart(title, figure, note)


def _space(figure: Figure, lines: int, columns: int) -> None:
    """Room for the labels of panels that are all alike: to measure it takes as long as to draw."""
    width, height = figure.get_size_inches()
    wide = (width - LEFT - RIGHT - (columns - 1) * BESIDE) / columns
    high = (height - TOP - BOTTOM - (lines - 1) * BETWEEN) / lines
    figure.subplots_adjust(
        left=LEFT / width,
        right=1 - RIGHT / width,
        top=1 - TOP / height,
        bottom=BOTTOM / height,
        wspace=BESIDE / wide,
        hspace=BETWEEN / high,
    )


def canvas(
    height: float,
    lines: int = 1,
    columns: int = 1,
    alike: bool = False,
    **how: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with its axes, line by line; `_space` lays out those alike."""
    figure = Figure(figsize=(10, height), layout=None if alike else "constrained")
    return figure, list(figure.subplots(lines, columns, squeeze=False, **how).flat)


def band(
    place: Axes,
    x: Any,
    rows: Sequence[Record],
    colour: str,
    low: str = "low",
    high: str = "high",
    **how: Any,
) -> None:
    """The intervals of some rows behind their line."""
    ends = [row[low] for row in rows], [row[high] for row in rows]
    place.fill_between(x, *ends, color=colour, alpha=0.15, linewidth=0, **how)


def reach(rows: Sequence[Record], name: str = "accuracy") -> list[list[float]]:
    """How far intervals reach below and above their values."""
    below = [max(0.0, row[name] - row["low"]) for row in rows]
    return [below, [max(0.0, row["high"] - row[name]) for row in rows]]


def legend_beside(place: Axes) -> None:
    """A legend to the right of the axes."""
    place.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def finish(place: Axes, title: str, x: str = "", share: bool = False, legend: bool = False) -> None:
    """Title, axis, grid and, where wanted, legend and the range of a share."""
    place.set_title(title, fontsize=9, loc="left")
    place.set_xlabel(x, fontsize=8)
    place.tick_params(labelsize=8)
    place.spines[["top", "right"]].set_visible(False)
    place.grid(axis="y", alpha=0.25)
    if share:
        place.set_ylim(-0.02, 1.02)
    if legend:
        place.legend(fontsize=8, frameon=False)


def chart(title: str, figure: Figure, note: str = "") -> Chart:
    """The same bytes for the same figure; ids differ between the figures of a page.

    What is drawn in black takes the colour of the page's text, and there is no background, so that
    a figure is readable on a light page and on a dark one.
    """
    written = io.StringIO()
    with rc_context({"svg.hashsalt": title}):
        figure.savefig(written, format="svg", metadata={"Date": None}, transparent=True)
    text = written.getvalue()
    text = text[text.index("<svg") :].replace("#000000", "currentColor")
    # Glyphs are black because nothing says otherwise.
    return Chart(
        title, Markup(text.replace("<svg ", '<svg fill="currentColor" role="img" ', 1)), note
    )
