"""What a vote came to, in the terminal: a table and a plot of a task, the ballots of a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotext

from reasonkit import console

BAR = 40
"""Characters of the longest bar."""

WIDTH, HEIGHT = 88, 20
MARKS = ("●", "▲", "■", "◆", "+", "x")


def show(summary: Mapping[str, Any]) -> None:
    """Prints a ``summary.json`` of ``reasonkit vote`` or ``reasonkit verifier`` to stdout."""
    if "quality" in summary:
        _show_verifier(summary)
    elif "answers" in summary:
        _show_question(summary)
    else:
        _show_task(summary)


def _show_verifier(summary: Mapping[str, Any]) -> None:
    rows = [
        (
            f"{name}{' (kept)' if name == summary['aggregate'] else ''}",
            f"{found['auc']:.3f}",
            f"{found['brier']:.3f}",
            found["questions"],
        )
        for name, found in summary["quality"].items()
    ]
    title = f"a verifier for {summary['model']} on {summary['task']}, on held-out questions"
    console.show_table(
        title, ("a solution's score", "AUC", "Brier", "questions"), rows, numbers=True
    )
    console.say(
        f"{summary['solutions']:,} solutions learned from, {summary['right']:.1%} right; "
        f"{summary['tokens_sampled']:,} tokens sampled in {summary['sampling_seconds']:.0f} s, "
        f"{summary['tokens_trained']:,} trained in {summary['training_seconds']:.0f} s"
    )


def _show_question(summary: Mapping[str, Any]) -> None:
    console.say(summary["question"])
    bars = [(a["answer"], a["votes"], a["confidence"]) for a in summary["answers"]]
    if summary["others"]:
        bars.append(("other answers", summary["others"], None))
    if summary["blank"]:
        bars.append(("no answer", summary["blank"], None))
    most = max(votes for _, votes, _ in bars)
    rows = [
        (
            answer,
            "█" * max(1, round(BAR * votes / most)),
            votes,
            "–" if confidence is None else f"{confidence:.2f}",
        )
        for answer, votes, confidence in bars
    ]
    console.show_table(
        f"{summary['samples']} samples, {summary['tokens']:,} tokens",
        ("answer", "", "votes", "confidence"),
        rows,
    )
    sure = ""
    if summary["samples"] > 1:
        sure = f"; the model's likeliest answer with probability {summary['sureness']:.2f}"
    console.say(f"answer: {summary['elected'] or 'none'} (by {summary['strategy']}{sure})")
    console.say(f"best completion: {summary['completion']}")
    say_failures(summary)


def _show_task(summary: Mapping[str, Any]) -> None:
    rows = summary["strategies"]
    chosen = [r for r in rows if r["name"] == summary["strategy"]]
    others = [r for r in rows if r["name"] != summary["strategy"]]
    largest = [r for r in others if r["n"] == max(o["n"] for o in others if _like(o, r))]
    title = (
        f"{summary['model']} on {summary['task']}, {summary['after']['n']} questions, "
        "95 % intervals"
    )
    cells = [_cells(r) for r in (*chosen, *largest)]
    console.show_table(
        title, ("strategy", "n", "prompt", "accuracy", "tokens a question"), cells, numbers=True
    )
    plot = _plot(rows, summary["strategy"])
    if plot:
        console.out.print(plot, markup=False, soft_wrap=True)
    _say_pair("one sample", summary["strategy"], summary["paired"])
    for name, pair in summary["paired_with"].items():
        _say_pair(name, summary["strategy"], pair)
    console.say(
        f"{summary['seconds']:.0f} s, {summary['tokens_sampled']:,} tokens sampled in all; "
        f"{summary['without_answer']:.1%} of the samples have no final answer"
    )
    say_failures(summary)


def say_failures(summary: Mapping[str, Any]) -> None:
    """Says how many samples a server didn't give, if any, by kind of failure."""
    if failed := summary.get("failed_samples"):
        kinds = ", ".join(f"{count} × {kind}" for kind, count in failed.items())
        console.say(
            f"{sum(failed.values()):,} samples could not be had and count as without an answer: "
            f"{kinds}; samples.jsonl says why"
        )


def _like(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(one["name"] == other["name"] and one["prompt"] == other["prompt"])


def _cells(r: Mapping[str, Any]) -> tuple[str, ...]:
    accuracy = f"{r['accuracy']:.1%} ({r['low'] * 100:.1f}–{r['high'] * 100:.1f})"
    return r["name"], str(r["n"]), r["prompt"], accuracy, f"{r['tokens']:,.0f}"


def _say_pair(name: str, strategy: str, pair: Mapping[str, float]) -> None:
    console.say(
        f"{strategy} − {name}: {pair['difference'] * 100:+.1f} points "
        f"({pair['low'] * 100:+.1f} to {pair['high'] * 100:+.1f}), exact McNemar "
        f"p = {pair['p']:.2g}"
    )


def _plot(rows: Sequence[Mapping[str, Any]], strategy: str) -> str:
    """Accuracy over tokens a question, both as drawn in characters; empty where n is 1."""
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for r in rows:
        wanted = r["name"] in (strategy, "pass@n", "greedy", "step-by-step", "cascade")
        if wanted and r["tokens"] > 0:
            lines.setdefault(f"{r['name']}, {r['prompt']}", []).append(r)
    if all(len(line) < 2 for line in lines.values()):
        return ""
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(WIDTH, HEIGHT)
    plotext.title("accuracy (%) over tokens a question")
    plotext.xscale("log")
    for mark, (name, line) in zip(MARKS * len(lines), lines.items(), strict=False):
        x, y = [r["tokens"] for r in line], [100 * r["accuracy"] for r in line]
        plotext.scatter(x, y, marker=mark, label=name)
    tokens = sorted({round(r["tokens"]) for line in lines.values() for r in line})
    between = (decade * digit for decade in (10, 100, 1000, 10000) for digit in (1, 2, 5))
    ends = [tokens[0], *(t for t in between if tokens[0] < t < tokens[-1]), tokens[-1]]
    plotext.xticks(ends, [f"{t:,}" for t in ends])
    return str(plotext.uncolorize(plotext.build()))
