"""The charts of a run as inline SVG, from its ``metrics.jsonl`` or its ``summary.json``."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Record = Mapping[str, Any]

SMOOTH = 0.8
"""Weight of the past in the running means; the raw values stand behind them."""

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626")
GREY = "#6b7280"
THINKING = {
    "share that thinks": {"thinks": ""},
    "share that re-checks or backtracks": {"rechecks": ""},
    "share right, given that": {"right_when_rechecking": "if so", "right": "all"},
}
HEALTH = {
    "zero_spread": "groups of equal rewards",
    "entropy": "entropy, nats a token",
    "kl": "KL to the reference, nats a token",
    "clipped": "share of tokens clipped",
    "grad_norm": "gradient norm before clipping",
    "truncated": "share cut off",
}
MISMATCH = {
    "gap of a token's log-probability, nats": {"mismatch/mean": "mean", "mismatch/max": "max"},
    "effective share of the sample": {"mismatch/effective_sample_share": ""},
    "share of weights beyond the bound": {"mismatch/truncated": ""},
}
GAP = "What the engine that sampled says of a token, beside what the policy that is updated says."
LEFT, RIGHT, TOP, BOTTOM, BESIDE, BETWEEN = 0.5, 0.1, 0.3, 0.5, 0.65, 0.8
"""Inches around panels and between them."""

RECHECKING = (
    "Of the sampled completions. One re-checks if, before the last mention of its answer and after "
    "it has begun, it says one of a fixed list of phrases such as “wait”, “let me check” or "
    "“that’s wrong”. On the right: how often those, and all, are right."
)


class Chart(NamedTuple):
    """A figure with its heading and what explains it."""

    title: str
    svg: Markup
    note: str = ""


class Panel(NamedTuple):
    """Fields of lines of ``metrics.jsonl``, with their labels, over another one."""

    title: str
    records: Sequence[Record]
    names: Mapping[str, str]
    share: bool = False
    x: str = "step"
    log: bool = False


def of_training(records: Sequence[Record]) -> list[Chart]:
    """Of a run that trains; at least one record is of an update.

    Rewards, validation accuracy and length over steps are the picture of R1-Zero.
    """
    steps = [record for record in records if "grad_norm" in record]
    last = steps[-1]
    if "reward" not in last:
        length = {"token_accuracy": "share of the traces' tokens that are its likeliest"}
        if "token_accuracy" not in last:
            length = {"completion_tokens": "mean length of its completions, tokens"}
        (name, title), x = length.popitem(), "epoch"
        panels = [_loss(steps, x), _validation(records, x), Panel(title, steps, {name: ""}, x=x)]
        return [_curves("Learning", panels)]
    steps = [record for record in records if "reward" in record]
    rewards = {n: n.removeprefix("reward/") for n in last if n.startswith("reward/")}
    learning = [
        Panel("mean reward of the rollouts", steps, rewards),
        _validation(records),
        Panel("mean completion length, tokens", steps, {"completion_tokens": ""}),
    ]
    thinking = [Panel(t, steps, names, "rechecks" not in names) for t, names in THINKING.items()]
    made = [
        _curves("Learning", learning),
        _curves("Thinking, and thinking again", thinking, note=RECHECKING),
        _advantages(steps),
        _curves("Health", [Panel(title, steps, {n: ""}) for n, title in HEALTH.items()]),
    ]
    if "mismatch/mean" in last:
        gap = [
            Panel(title, steps, names, share=len(names) == 1, log=len(names) > 1)
            for title, names in MISMATCH.items()
        ]
        made.append(_curves("Sampler and policy", gap, note=GAP))
    return made


def of_stages(rows: Sequence[Record], curves: Mapping[str, Sequence[Record]]) -> list[Chart]:
    """Of a recipe in stages: what each came to, and validation and loss or reward within each.

    Args:
        rows: as of ``stages`` in its ``summary.json``.
        curves: the records of each stage's ``metrics.jsonl``.
    """
    above, below = [], []
    for name, records in curves.items():
        steps = [record for record in records if "grad_norm" in record]
        supervised = bool(steps) and "reward" not in steps[-1]
        x = "epoch" if supervised else "step"
        if records:
            above.append(_validation(records, x, f"{name}: validation accuracy"))
            below.append(
                _loss(steps, x) if supervised else Panel("mean reward", steps, {"reward": ""})
            )
    made = [_stages(rows)] if len(rows) > 1 else []
    if above:
        made.append(_curves("Learning, stage by stage", [*above, *below], len(above)))
    return made


def _loss(steps: Sequence[Record], x: str) -> Panel:
    return Panel("loss, nats a token", steps, {"loss": ""}, x=x)


def _validation(
    records: Sequence[Record],
    x: str = "step",
    title: str = "validation accuracy, greedy, 95 % interval",
) -> Panel:
    return Panel(title, records, {"validation": ""}, True, x)


def _curves(title: str, panels: Sequence[Panel], columns: int = 3, note: str = "") -> Chart:
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
                continue
            smooth: list[float] = []
            for value in values:
                smooth.append(SMOOTH * smooth[-1] + (1 - SMOOTH) * value if smooth else value)
            place.plot(x, values, color=colour, alpha=0.25, linewidth=1)
            place.plot(x, smooth, color=colour, linewidth=1.6, label=label)
        if panel.log:
            place.set_yscale("log")
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


def _advantages(steps: Sequence[Record]) -> Chart:
    """How advantages were spread, in the first and in the last quarter of the steps."""
    figure, (place,) = canvas(2.6)
    known = [record for record in steps if record.get("advantages") is not None]
    quarter, labels = max(1, len(known) // 4), list(known[0]["advantages"])
    for i, part in enumerate((known[:quarter], known[-quarter:])):
        counts = [sum(record["advantages"][label] for record in part) for label in labels]
        heights = [count / (sum(counts) or 1) for count in counts]
        x = [at - 0.2 + 0.4 * i for at in range(len(labels))]
        place.bar(x, heights, 0.4, color=COLOURS[2 * i], label=f"{('first', 'last')[i]} quarter")
    place.set_xticks(range(len(labels)), labels)
    finish(place, "share of completions by advantage", legend=True)
    return chart("Advantages", figure)


def _stages(rows: Sequence[Record]) -> Chart:
    figure, (accuracy, form, general) = canvas(3.6, columns=3, sharey=True)
    x = range(len(rows))
    look: dict[str, Any] = {"marker": "o", "capsize": 3}
    values = [row["accuracy"] for row in rows]
    accuracy.errorbar(x, values, yerr=reach(rows), color=COLOURS[2], **look)
    for colour, name in zip(COLOURS, ("format", "language", "readability"), strict=False):
        form.plot(x, [row["sampled"][name] for row in rows], color=colour, marker="o", label=name)
    for colour, name in zip(COLOURS, rows[0]["general"], strict=False):
        means = [row["general"][name] for row in rows]
        ends, values = reach(means, "mean"), [mean["mean"] for mean in means]
        general.errorbar(x, values, yerr=ends, color=colour, label=name, **look)
    titles = {
        "accuracy, greedy, validation, 95 % interval": accuracy,
        "shares of sampled completions": form,
        "reward of general prompts, greedy": general,
    }
    for title, place in titles.items():
        place.set_xticks(x, [row["name"] for row in rows], rotation=25, ha="right")
        finish(place, title, share=True, legend=bool(place.get_legend_handles_labels()[0]))
    return chart("What each stage came to", figure)


def of_a_vote(summary: Record) -> list[Chart]:
    """Of a vote on a task: over samples, tokens and difficulty."""
    made = [_strategies(summary["strategies"], summary["strategy"], summary["n"])]
    return made + ([_difficulty(summary["difficulty"])] if summary["difficulty"] else [])


def _strategies(rows: Sequence[Record], strategy: str, n: int) -> Chart:
    """Accuracy with the baselines and the ceiling; the band around the chosen one is 95 %."""
    figure, places = canvas(4.4, columns=2, sharey=True)
    lines = list(dict.fromkeys((r["name"], r["prompt"]) for r in rows))
    names = list(dict.fromkeys(name for name, _ in lines))
    for name, prompt in lines:
        line = [r for r in rows if (r["name"], r["prompt"]) == (name, prompt)]
        ceiling = name == "pass@n"
        look: dict[str, Any] = {
            "color": GREY if ceiling else COLOURS[names.index(name) % len(COLOURS)],
            "linestyle": (":" if ceiling else "-") if prompt == lines[0][1] else "--",
            "marker": "o" if len(line) > 1 else "*",
            "markersize": 3.5 if len(line) > 1 else 11,
            "linewidth": 2.2 if name == strategy else 1.2,
        }
        for place, key in zip(places, ("n", "tokens"), strict=True):
            x = [r[key] for r in line]
            place.plot(x, [r["accuracy"] for r in line], label=f"{name}, {prompt}", **look)
            if name == strategy:
                band(place, x, line, look["color"])
    for place, title, base in zip(places, ("samples", "tokens"), (2, 10), strict=True):
        place.set_xscale("log", base=base)
        over = f"{title} a question"
        finish(place, f"accuracy over {over}", over, share=True)
        place.xaxis.set_major_formatter("{x:g}")
    legend_beside(places[1])
    note = (
        f"For n below {n}: the mean over subsets of each question's pool, which is unbiased. Stars "
        "are strategies that were measured as they are. Dotted: at least one of n is right, the "
        "ceiling of every selection. Dashed: the other prompt."
    )
    return chart("Accuracy over samples and over tokens", figure, note)


def _difficulty(rows: Sequence[Record]) -> Chart:
    figure, (place,) = canvas(3)
    kinds = {"one": "one sample", "majority": "majority", "pass": "any of them"}
    for i, (kind, label) in enumerate(kinds.items()):
        x, bars = [at + (i - 1) * 0.27 for at in range(len(rows))], [r[kind] for r in rows]
        look: dict[str, Any] = {"color": COLOURS[i], "label": label, "error_kw": {"lw": 0.8}}
        place.bar(x, [bar["accuracy"] for bar in bars], 0.25, yerr=reach(bars), **look)
    labels = [f"{r['difficulty']}\n{r['questions']} questions" for r in rows]
    place.set_xticks(range(len(rows)), labels)
    right = "right among the other half of the samples"
    finish(place, f"accuracy by how often a question is {right}", share=True, legend=True)
    note = (
        "One half of a question's samples says how hard it is, the other half, "
        f"{rows[0]['n']} of them, is voted on."
    )
    return chart("By difficulty", figure, note)


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
