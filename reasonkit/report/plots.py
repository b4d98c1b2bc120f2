"""Plots of a run as inline SVG, from the records of its ``metrics.jsonl``."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Record = Mapping[str, Any]

SMOOTH = 0.8
"""Weight of the past in the running means; the raw values stand behind them."""

COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626")


def learning(records: Sequence[Record]) -> str:
    """Reward, validation accuracy and length over steps: the picture of R1-Zero."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    reward, accuracy, length = figure.subplots(1, 3)
    steps = _with(records, "reward")
    names = [name for name in (steps[-1] if steps else {}) if name.startswith("reward/")]
    for i, name in enumerate(names):
        _curve(reward, steps, name, COLOURS[i % len(COLOURS)], name.removeprefix("reward/"))
    finish(reward, "mean reward of the rollouts", legend=len(names) > 1)
    _accuracy(accuracy, records)
    _curve(length, steps, "completion_tokens", COLOURS[3])
    finish(length, "mean completion length, tokens")
    return svg(figure, "learning")


def supervised(records: Sequence[Record]) -> str:
    """Loss, validation accuracy, and token accuracy or completion length over epochs."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    loss, accuracy, tokens = figure.subplots(1, 3)
    steps = _with(records, "loss")
    _curve(loss, steps, "loss", COLOURS[0], x="epoch")
    finish(loss, "loss, nats a token", x="epoch")
    if "token_accuracy" in steps[-1]:
        _curve(tokens, steps, "token_accuracy", COLOURS[3], x="epoch")
        finish(tokens, "share of the traces' tokens that are its likeliest", x="epoch")
    else:
        _curve(tokens, steps, "completion_tokens", COLOURS[3], x="epoch")
        finish(tokens, "mean length of its completions, tokens", x="epoch")
    _accuracy(accuracy, records, x="epoch")
    return svg(figure, "supervised")


def thinking(records: Sequence[Record]) -> str:
    """How much of what is sampled shows work, re-checks it, and is right when it does."""
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    works, again, right = figure.subplots(1, 3)
    steps = _with(records, "thinks")
    _curve(works, steps, "thinks", COLOURS[0])
    finish(works, "share that thinks", share=True)
    _curve(again, steps, "rechecks", COLOURS[1])
    finish(again, "share that re-checks or backtracks")
    _curve(right, steps, "right_when_rechecking", COLOURS[1], "if so")
    _curve(right, steps, "right", COLOURS[0], "all")
    finish(right, "share right, given that", legend=True, share=True)
    return svg(figure, "thinking")


def health(records: Sequence[Record]) -> str:
    """What tells whether training is well: spread, entropy, KL, clipping, gradient norm."""
    panels = {
        "zero_spread": "groups with no spread",
        "entropy": "entropy, nats a token",
        "kl": "KL to the reference, nats a token",
        "clipped": "share of tokens clipped",
        "grad_norm": "gradient norm before clipping",
        "truncated": "share cut off",
    }
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    steps = _with(records, "reward")
    for place, (name, title) in zip(figure.subplots(2, 3).flat, panels.items(), strict=True):
        _curve(place, steps, name, COLOURS[0])
        finish(place, title)
    return svg(figure, "health")


def advantage_histogram(records: Sequence[Record]) -> str:
    """How advantages were spread, in the first and in the last quarter of the steps."""
    figure = Figure(figsize=(10, 2.6), layout="constrained")
    place = figure.subplots()
    steps = _with(records, "advantages")
    quarter = max(1, len(steps) // 4)
    labels = list(steps[0]["advantages"])
    for shift, part, name in ((-0.2, steps[:quarter], "first"), (0.2, steps[-quarter:], "last")):
        counts = [sum(record["advantages"][label] for record in part) for label in labels]
        total = sum(counts) or 1
        heights = [count / total for count in counts]
        colour = COLOURS[0] if name == "first" else COLOURS[2]
        x = [i + shift for i in range(len(heights))]
        place.bar(x, heights, 0.4, color=colour, label=f"{name} quarter")
    place.set_xticks(range(len(labels)), labels)
    finish(place, "share of completions by advantage", legend=True, x="")
    return svg(figure, "advantage_histogram")


def _accuracy(place: Axes, records: Sequence[Record], x: str = "step") -> None:
    validated = _with(records, "validation")
    if validated:
        at = [r[x] for r in validated]
        place.fill_between(
            at,
            [r["validation_low"] for r in validated],
            [r["validation_high"] for r in validated],
            color=COLOURS[2],
            alpha=0.2,
            linewidth=0,
        )
        place.plot(at, [r["validation"] for r in validated], color=COLOURS[2], marker="o", ms=3)
        place.set_ylim(0, 1.02)
    finish(place, "validation accuracy, greedy, 95 % interval", x=x)


def pipeline(rows: Sequence[Record]) -> str:
    """What each stage of a recipe came to: accuracy with its interval, form, general prompts.

    Args:
        rows: the ``stages`` of a ``summary.json``.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    accuracy, form, general = figure.subplots(1, 3, sharey=True)
    x, names = range(len(rows)), [row["name"] for row in rows]
    values = [row["accuracy"] for row in rows]
    ends = (
        [max(0.0, row["accuracy"] - row["low"]) for row in rows],
        [max(0.0, row["high"] - row["accuracy"]) for row in rows],
    )
    accuracy.errorbar(x, values, yerr=ends, color=COLOURS[2], marker="o", capsize=3)
    for i, name in enumerate(("format", "language", "readability")):
        form.plot(
            x, [row["sampled"][name] for row in rows], color=COLOURS[i], marker="o", label=name
        )
    for i, name in enumerate(rows[0]["general"]):
        means = [row["general"][name] for row in rows]
        general.errorbar(
            x,
            [mean["mean"] for mean in means],
            yerr=[mean["high"] - mean["mean"] for mean in means],
            color=COLOURS[i],
            marker="o",
            capsize=3,
            label=name,
        )
    titles = {
        "accuracy, greedy, validation, 95 % interval": accuracy,
        "shares of sampled completions": form,
        "reward of general prompts, greedy": general,
    }
    for title, place in titles.items():
        place.set_xticks(x, names, rotation=25, ha="right")
        finish(place, title, legend=bool(place.get_legend_handles_labels()[0]), x="", share=True)
    return svg(figure, "pipeline")


def stages(curves: Mapping[str, Sequence[Record]]) -> str:
    """Validation accuracy, and loss or reward, within each stage of a recipe.

    Args:
        curves: the records of each stage's ``metrics.jsonl``; none of them is empty.
    """
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    columns = figure.subplots(2, len(curves), squeeze=False)
    for i, (name, records) in enumerate(curves.items()):
        steps = _with(records, "grad_norm")
        supervised = bool(steps) and "reward" not in steps[-1]
        x = "epoch" if supervised else "step"
        _accuracy(columns[0][i], records, x)
        columns[0][i].set_title(name, fontsize=9, loc="left")
        _curve(columns[1][i], steps, "loss" if supervised else "reward", COLOURS[0], x=x)
        finish(columns[1][i], "loss, nats a token" if supervised else "mean reward", x=x)
    columns[0][0].set_ylabel("validation accuracy", fontsize=8)
    return svg(figure, "stages")


def votes(rows: Sequence[Record], strategy: str) -> str:
    """Accuracy over samples and over tokens a question, with the baselines and the ceiling.

    Args:
        rows: the ``strategies`` of a ``summary.json`` of ``reasonkit vote``.
        strategy: the chosen one; the band around it is its 95 % interval.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = dict(zip(("n", "tokens"), figure.subplots(1, 2, sharey=True), strict=True))
    lines = list(dict.fromkeys((r["name"], r["prompt"]) for r in rows))
    names = list(dict.fromkeys(name for name, _ in lines))
    for name, prompt in lines:
        line = [r for r in rows if (r["name"], r["prompt"]) == (name, prompt)]
        ceiling = name == "pass@n"
        look: dict[str, Any] = {
            "color": "#6b7280" if ceiling else COLOURS[names.index(name) % len(COLOURS)],
            "linestyle": (":" if ceiling else "-") if prompt == lines[0][1] else "--",
            "marker": "o" if len(line) > 1 else "*",
            "markersize": 3.5 if len(line) > 1 else 11,
            "linewidth": 2.2 if name == strategy else 1.2,
        }
        for key, place in panels.items():
            x = [r[key] for r in line]
            place.plot(x, [r["accuracy"] for r in line], label=f"{name}, {prompt}", **look)
            if name == strategy:
                low, high = [r["low"] for r in line], [r["high"] for r in line]
                place.fill_between(x, low, high, color=look["color"], alpha=0.12, linewidth=0)
    for key, place in panels.items():
        place.set_xscale("log", base=2 if key == "n" else 10)
        title = "samples" if key == "n" else "tokens"
        finish(place, f"accuracy over {title} a question", x=f"{title} a question", share=True)
        place.xaxis.set_major_formatter("{x:g}")
    panels["tokens"].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return svg(figure, "votes")


def difficulty(rows: Sequence[Record]) -> str:
    """Accuracy of one sample, of a majority and of any, by how hard the questions are."""
    figure = Figure(figsize=(10, 3), layout="constrained")
    place = figure.subplots()
    kinds = {"one": "one sample", "majority": "majority", "pass": "any of them"}
    for i, (kind, label) in enumerate(kinds.items()):
        x = [number + (i - 1) * 0.27 for number in range(len(rows))]
        heights = [r[kind]["accuracy"] for r in rows]
        ends = (
            [max(0.0, r[kind]["accuracy"] - r[kind]["low"]) for r in rows],
            [max(0.0, r[kind]["high"] - r[kind]["accuracy"]) for r in rows],
        )
        place.bar(x, heights, 0.25, yerr=ends, color=COLOURS[i], label=label, error_kw={"lw": 0.8})
    labels = [f"{r['difficulty']}\n{r['questions']} questions" for r in rows]
    place.set_xticks(range(len(rows)), labels)
    right = "right among the other half of the samples"
    finish(place, f"accuracy by how often a question is {right}", legend=True, share=True, x="")
    return svg(figure, "difficulty")


def _with(records: Sequence[Record], name: str) -> list[Record]:
    return [record for record in records if record.get(name) is not None]


def _curve(
    place: Axes,
    records: Sequence[Record],
    name: str,
    colour: str,
    label: str | None = None,
    x: str = "step",
) -> None:
    known = _with(records, name)
    at, y = [r[x] for r in known], [r[name] for r in known]
    smooth: list[float] = []
    for value in y:
        smooth.append(SMOOTH * smooth[-1] + (1 - SMOOTH) * value if smooth else value)
    place.plot(at, y, color=colour, alpha=0.25, linewidth=1)
    place.plot(at, smooth, color=colour, linewidth=1.6, label=label)


def finish(
    place: Axes, title: str, legend: bool = False, share: bool = False, x: str = "step"
) -> None:
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


def svg(figure: Figure, name: str) -> str:
    """The same bytes for the same figure; ids differ between the figures of a page.

    What is drawn in black takes the colour of the page's text, and there is no background, so that
    a figure is readable on a light page and on a dark one.
    """
    written = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata={"Date": None}, transparent=True)
    text = written.getvalue()
    text = text[text.index("<svg") :].replace("#000000", "currentColor")
    # Glyphs are black because nothing says otherwise.
    return text.replace("<svg ", '<svg fill="currentColor" role="img" ', 1)
