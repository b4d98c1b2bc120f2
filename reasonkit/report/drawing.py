"""What charts are drawn with: a canvas, intervals, axes, and a figure as SVG that says its values.

Every line, point or bar that has a label says its value under the pointer.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure

from reasonkit.report.tables import Record

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626")
GREY = "#6b7280"

POINTS = 40
"""Of a line, about, that say their value under the pointer."""


class Chart(NamedTuple):
    """A figure with its heading and what explains it."""

    title: str
    svg: Markup
    note: str = ""


def canvas(height: float, columns: int = 1, **how: Any) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with its axes, side by side."""
    figure = Figure(figsize=(10, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False, **how).flat)


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
    place.set_title(title, fontsize=9, loc="left", y=1.0)
    place.set_xlabel(x, fontsize=8)
    place.tick_params(labelsize=8)
    place.spines[["top", "right"]].set_visible(False)
    place.grid(axis="y", alpha=0.25)
    if share:
        place.set_ylim(-0.02, 1.02)
    if legend and place.get_legend_handles_labels()[0]:
        place.legend(fontsize=8, frameon=False)


def chart(title: str, figure: Figure, note: str = "") -> Chart:
    """A figure with its heading."""
    return Chart(title, svg(title, figure), note)


def svg(title: str, figure: Figure) -> Markup:
    """The same bytes for the same figure; ids differ between the figures of a page.

    What is drawn in black takes the colour of the page's text, and there is no background, so that
    a figure is readable on a light page and on a dark one.

    Args:
        title: what it shows, for who doesn't see it.
    """
    written = io.StringIO()
    with rc_context({"svg.hashsalt": title}):
        figure.savefig(written, format="svg", metadata={"Date": None}, transparent=True)
    text = written.getvalue()
    text = text[text.index("<svg") :].replace("#000000", "currentColor")
    # Names of groups, the same in every figure, which nothing refers to.
    text = re.sub(r'<g id="[\w.]+_\d+">', "<g>", text)
    # SVG counts from the top, in points of which an inch has 72.
    height, dot = figure.get_figheight() * 72, 72 / figure.dpi
    marks = []
    for place in figure.axes:
        for (x, y), said in _said(place):
            left, up = place.transData.transform((x, y)) * dot
            marks.append(
                f'<circle cx="{left:.1f}" cy="{height - up:.1f}" r="5" fill="transparent">'
                f"<title>{escape(said)}</title></circle>"
            )
    text = text.replace("</svg>", f"{''.join(marks)}</svg>")
    # Glyphs are black because nothing says otherwise.
    named = f'<svg fill="currentColor" role="img" aria-label="{escape(title)}" '
    return Markup(text.replace("<svg ", named, 1))


def _said(place: Axes) -> Iterator[tuple[tuple[float, float], str]]:
    """Where what has a label stands, in units of the data, and what it says there."""
    over, names = place.get_xlabel(), place.get_xticklabels()
    for label, points in _points(place):
        if label.startswith("_"):
            continue
        every = max(1, len(points) // POINTS)
        for x, y in (*points[::every], *(points[-1:] if (len(points) - 1) % every else ())):
            at = f"{over} {x:.4g}" if over else " ".join(names[round(x)].get_text().split("\n"))
            yield (x, y), f"{label}, {at}: {y:.3g}"


def _points(place: Axes) -> Iterator[tuple[str, Any]]:
    """The lines, points and bars of axes: label and pairs of x and y."""
    for line in place.lines:
        # A line across the axes is of no data, and has its value in its label.
        if line.get_transform() is place.transData:
            yield str(line.get_label()), line.get_xydata()
    for dots in place.collections:
        if isinstance(dots, PathCollection):
            yield str(dots.get_label()), dots.get_offsets()
    for made in place.containers:
        if isinstance(made, ErrorbarContainer):
            yield str(made.get_label()), made.lines[0].get_xydata() if made.lines[0] else ()
        if isinstance(made, BarContainer):
            bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in made]
            yield str(made.get_label()), bars
