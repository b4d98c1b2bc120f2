"""The charts of a vote, from its ``summary.json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import LogLocator, NullFormatter

from reasonkit.report import results
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


def of(summary: Record) -> list[Chart]:
    """Of a vote on a task: over samples, tokens and difficulty."""
    made = [_strategies(results.drawn(summary), summary["strategy"], summary["n"])]
    return made + ([_difficulty(summary["difficulty"])] if summary["difficulty"] else [])


def _strategies(rows: Sequence[Record], strategy: str, n: int) -> Chart:
    """Accuracy with the baselines and the ceiling; the band around the chosen one is 95 %."""
    figure, places = canvas(4.4, columns=2, sharey=True)
    lines = list(dict.fromkeys((r["name"], r["prompt"]) for r in rows))
    names = list(dict.fromkeys(name for name, _ in lines))
    for name, prompt in lines:
        own = (r for r in rows if (r["name"], r["prompt"]) == (name, prompt))
        line = sorted(own, key=lambda r: float(r["tokens"]))
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
            if len(line) > 1 and len(set(x)) == 1:
                # Policies differ in what they spend, not in how many samples they may take.
                continue
            place.plot(x, [r["accuracy"] for r in line], label=f"{name}, {prompt}", **look)
            if name == strategy:
                band(place, x, line, look["color"])
    for place, title, base in zip(places, ("samples", "tokens"), (2, 10), strict=True):
        place.set_xscale("log", base=base)
        over = f"{title} a question"
        finish(place, f"accuracy over {over}", over, share=True)
        place.xaxis.set_major_locator(
            LogLocator(base, subs=(1.0, 2.0, 5.0) if base == 10 else (1.0,))
        )
        place.xaxis.set_major_formatter("{x:g}")
        place.xaxis.set_minor_formatter(NullFormatter())
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
