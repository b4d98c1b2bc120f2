"""The charts of a run, from its ``metrics.jsonl`` or its ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reasonkit.report.drawing import (
    COLOURS,
    GREY,
    Chart,
    Levels,
    Panel,
    Record,
    band,
    canvas,
    chart,
    curves,
    finish,
    legend_beside,
    levelled,
    moving,
    reach,
)

THINKING = {
    "share that thinks": {"thinks": ""},
    "share that re-checks or backtracks": {"rechecks": ""},
    "share right, given that": {"right_when_rechecking": "if so", "right": "all"},
}
HEALTH = {
    "zero_spread": "groups with no spread",
    "entropy": "entropy, nats a token",
    "kl": "KL to the reference, nats a token",
    "clipped": "share of tokens clipped",
    "grad_norm": "gradient norm before clipping",
    "truncated": "share cut off",
}
MISMATCH = {
    "gap of a token's log-probability, nats": {"mismatch/mean": "mean", "mismatch/max": "most"},
    "effective share of the sample": {"mismatch/effective_sample_share": ""},
    "share of weights beyond the bound": {"mismatch/truncated": ""},
}
GAP = "What the engine that sampled says of a token, beside what the policy that is updated says."
RECHECKING = (
    "Of the sampled completions. One re-checks if, before the last mention of its answer and after "
    "it has begun, it says one of a fixed list of phrases such as “wait”, “let me check” or "
    "“that’s wrong”. On the right: how often those, and all, are right."
)


def of_training(records: Sequence[Record], levels: Levels) -> list[Chart]:
    """Of a run that trains; at least one record is of an update.

    Rewards, validation accuracy and length over steps are the picture of R1-Zero.

    Args:
        levels: accuracies on test that were there before.
    """
    steps = [record for record in records if "grad_norm" in record]
    last = steps[-1]
    if "reward" not in last:
        length = {"token_accuracy": "share of the traces' tokens that are its likeliest"}
        if "token_accuracy" not in last:
            length = {"completion_tokens": "mean length of its completions, tokens"}
        (name, title), x = length.popitem(), "epoch"
        panels = [
            _loss(steps, x),
            _validation(records, levels, x),
            Panel(title, steps, {name: ""}, x=x),
        ]
        return [curves("Learning", panels)]
    steps = [record for record in records if "reward" in record]
    rewards = {n: n.removeprefix("reward/") for n in last if n.startswith("reward/")}
    learning = [
        Panel("mean reward of the rollouts", steps, rewards),
        _validation(records, levels),
        Panel("mean completion length, tokens", steps, {"completion_tokens": ""}),
    ]
    thinking = [Panel(t, steps, names, "rechecks" not in names) for t, names in THINKING.items()]
    health, still = moving([Panel(title, steps, {n: ""}) for n, title in HEALTH.items()])
    made = [
        curves("Learning", learning),
        curves("Thinking, and thinking again", thinking, note=RECHECKING),
        _advantages(steps),
        *([curves("Health", health, note=still)] if health else []),
    ]
    if "mismatch/mean" in last:
        gap = [
            Panel(title, steps, names, share=len(names) == 1, log=len(names) > 1)
            for title, names in MISMATCH.items()
        ]
        made.append(curves("Sampler and policy", gap, note=GAP))
    return made


def of_stages(
    rows: Sequence[Record], records: Mapping[str, Sequence[Record]], levels: Levels
) -> list[Chart]:
    """Of a recipe in stages: what each came to, and validation and loss or reward within each.

    Args:
        rows: as of ``stages`` in its ``summary.json``.
        records: of each stage's ``metrics.jsonl``.
        levels: accuracies on test that were there before.
    """
    above, below = [], []
    for name, of_one in records.items():
        steps = [record for record in of_one if "grad_norm" in record]
        supervised = bool(steps) and "reward" not in steps[-1]
        x = "epoch" if supervised else "step"
        if of_one:
            above.append(_validation(of_one, {}, x, f"{name}: validation accuracy"))
            below.append(
                _loss(steps, x) if supervised else Panel("mean reward", steps, {"reward": ""})
            )
    made = [_stages(rows, levels)] if len(rows) > 1 else []
    if above:
        made.append(curves("Learning, stage by stage", [*above, *below], len(above)))
    return made


def _loss(steps: Sequence[Record], x: str) -> Panel:
    return Panel("loss, nats a token", steps, {"loss": ""}, x=x)


def _validation(
    records: Sequence[Record],
    levels: Levels,
    x: str = "step",
    title: str = "validation accuracy, greedy, 95 % interval",
) -> Panel:
    return Panel(title, records, {"validation": ""}, True, x, levels=levels)


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


def _stages(rows: Sequence[Record], levels: Levels) -> Chart:
    figure, (accuracy, form, general) = canvas(3.6, columns=3, sharey=True)
    x = range(len(rows))
    look: dict[str, Any] = {"marker": "o", "capsize": 3}
    values = [row["accuracy"] for row in rows]
    accuracy.errorbar(x, values, yerr=reach(rows), color=COLOURS[2], **look)
    levelled(accuracy, levels)
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
        named = place is not accuracy and place.get_legend_handles_labels()[0]
        finish(place, title, share=True, legend=bool(named))
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
