"""The charts of a run as inline SVG, from its ``metrics.jsonl`` or its ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reasonkit.report.drawing import (
    COLOURS,
    GREY,
    Chart,
    band,
    canvas,
    chart,
    finish,
    reach,
    svg,
)
from reasonkit.report.tables import Record

SMOOTH = 0.8
"""Weight of the past in the running means; the raw values stand behind them."""

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
PANEL = (3.3, 2.3)
LEFT, RIGHT, TOP, BOTTOM = 0.5, 0.1, 0.3, 0.45
"""Inches of a panel, and around its axes."""

RECHECKING = (
    "Of the sampled completions. One re-checks if, before the last mention of its answer and after "
    "it has begun, it says one of a fixed list of phrases such as “wait”, “let me check” or "
    "“that’s wrong”. On the right: how often those, and all, are right."
)


class Panel(NamedTuple):
    """Fields of lines of ``metrics.jsonl``, with their labels, over another one."""

    title: str
    records: Sequence[Record]
    names: Mapping[str, str]
    share: bool = False
    x: str = "step"
    log: bool = False


def of_training(
    records: Sequence[Record], references: Mapping[str, float] | None = None
) -> list[Chart]:
    """Of a run that trains; at least one record is of an update.

    Rewards, validation accuracy and length over steps are the picture of R1-Zero.

    Args:
        references: accuracies to be compared with, by name.
    """
    steps = [record for record in records if "grad_norm" in record]
    last = steps[-1]
    if "reward" not in last:
        length = {"token_accuracy": "share of the traces' tokens that are its likeliest"}
        if "token_accuracy" not in last:
            length = {"completion_tokens": "mean length of its completions, tokens"}
        (name, title), x = length.popitem(), "epoch"
        panels = [_loss(steps, x), _validation(records, x), Panel(title, steps, {name: ""}, x=x)]
        return [_curves("Learning", panels, references=references)]
    steps = [record for record in records if "reward" in record]
    rewards = {n: n.removeprefix("reward/") for n in last if n.startswith("reward/")}
    learning = [
        Panel("mean reward of the rollouts", steps, rewards),
        _validation(records),
        Panel("mean completion length, tokens", steps, {"completion_tokens": ""}),
    ]
    thinking = [Panel(t, steps, names, "rechecks" not in names) for t, names in THINKING.items()]
    made = [
        _curves("Learning", learning, references=references),
        _curves("Thinking, and thinking again", thinking, RECHECKING),
        _advantages(steps),
        _curves("Health", [Panel(t, steps, {n: ""}) for n, t in HEALTH.items()], fold=True),
    ]
    if "mismatch/mean" in last:
        gap = [
            Panel(title, steps, names, share=len(names) == 1, log=len(names) > 1)
            for title, names in MISMATCH.items()
        ]
        made.append(_curves("Sampler and policy", gap, GAP, fold=True))
    return made


def of_stages(rows: Sequence[Record], curves: Mapping[str, Sequence[Record]]) -> list[Chart]:
    """Of a recipe in stages: what each came to, and validation and loss or reward within each.

    Args:
        rows: as of ``stages`` in its ``summary.json``.
        curves: the records of each stage's ``metrics.jsonl``.
    """
    panels = []
    for name, records in curves.items():
        steps = [record for record in records if "grad_norm" in record]
        supervised = bool(steps) and "reward" not in steps[-1]
        x = "epoch" if supervised else "step"
        if records:
            panels += [
                _validation(records, x, f"{name}: validation accuracy"),
                _loss(steps, x, f"{name}: ")
                if supervised
                else Panel(f"{name}: mean reward", steps, {"reward": ""}),
            ]
    made = [_stages(rows)] if len(rows) > 1 else []
    if panels:
        made.append(_curves("Learning, stage by stage", panels))
    return made


def _loss(steps: Sequence[Record], x: str, whose: str = "") -> Panel:
    return Panel(f"{whose}loss, nats a token", steps, {"loss": ""}, x=x)


def _validation(
    records: Sequence[Record],
    x: str = "step",
    title: str = "validation accuracy, greedy, 95 % interval",
) -> Panel:
    return Panel(title, records, {"validation": ""}, True, x)


def _curves(
    title: str,
    panels: Sequence[Panel],
    note: str = "",
    references: Mapping[str, float] | None = None,
    fold: bool = False,
) -> Chart:
    """A figure a panel, so that a page lays them out by its width.

    Args:
        references: values that validation accuracy is drawn beside, by name.
        fold: leave out what never moved, and say so.
    """
    drawn, still = [], []
    for panel in panels:
        values = {r[n] for n in panel.names for r in panel.records if r.get(n) is not None}
        if fold and len(values) < 2:
            still += [f"{panel.title} ({value:.3g})" for value in values]
        else:
            drawn.append(_panel(panel, references or {}))
    if still:
        note = f"{note} Never moved: {'; '.join(still)}.".strip()
    svg = Markup('<div class="panels">{}</div>').format(Markup("").join(drawn))
    return Chart(title, svg if drawn else Markup(""), note)


def _panel(panel: Panel, references: Mapping[str, float]) -> Markup:
    figure = Figure(figsize=PANEL)
    width, height = PANEL
    place = figure.add_axes(
        (LEFT / width, BOTTOM / height, 1 - (LEFT + RIGHT) / width, 1 - (BOTTOM + TOP) / height)
    )
    for i, (name, label) in enumerate(panel.names.items()):
        known = [record for record in panel.records if record.get(name) is not None]
        colour, x = COLOURS[i % len(COLOURS)], [record[panel.x] for record in known]
        values = [record[name] for record in known]
        if name == "validation":
            band(place, x, known, COLOURS[2], "validation_low", "validation_high")
            place.plot(x, values, color=COLOURS[2], marker="o", ms=3, label="measured")
            for j, (what, value) in enumerate(references.items()):
                look: dict[str, Any] = {"color": GREY, "linestyle": ("--", ":")[j % 2], "lw": 1}
                place.axhline(value, **look, label=f"{what}, {value:.0%}")
            continue
        smooth: list[float] = []
        for value in values:
            smooth.append(SMOOTH * smooth[-1] + (1 - SMOOTH) * value if smooth else value)
        place.plot(x, values, color=colour, alpha=0.25, linewidth=1)
        place.plot(x, smooth, color=colour, linewidth=1.6, label=label or panel.title)
    if panel.log:
        place.set_yscale("log")
    place.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    several = len(panel.names) > 1 or ("validation" in panel.names and bool(references))
    finish(place, panel.title, panel.x, panel.share, legend=several)
    return svg(panel.title, figure)


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
    figure, (accuracy, form, general) = canvas(3.6, columns=3)
    x = range(len(rows))
    look: dict[str, Any] = {"marker": "o", "capsize": 3}
    values = [row["accuracy"] for row in rows]
    accuracy.errorbar(x, values, yerr=reach(rows), color=COLOURS[2], label="accuracy", **look)
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
        finish(place, title, share=place is not general, legend=place is not accuracy)
    return chart("What each stage came to", figure)
