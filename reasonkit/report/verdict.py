"""What a run came to in one sentence, which heads terminal, ``summary.json`` and page alike.

A difference counts if its 95 % interval leaves 0 out. Where no other prompt was measured, nothing
is said of one.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

from reasonkit.models import MODELS
from reasonkit.prompts import in_words
from reasonkit.report.tables import Record, points
from reasonkit.runs import Run

Outcome = Literal["better", "worse", "open"]

GREEDY = {
    "greedy": "one greedy answer",
    "step-by-step": "one greedy answer, asked to think step by step",
}
"""What votes are measured beside, and cost a sample each."""


def outcome(gap: Record) -> Outcome:
    """Whether a paired difference is told from nothing, and on which side."""
    return "better" if gap["low"] > 0 else "worse" if gap["high"] < 0 else "open"


def of(summary: Record) -> str:
    """The sentence of a ``summary.json``; empty where nothing was measured to tell one by."""
    if "rows" in summary:
        return _compared(summary)
    if "quality" in summary:
        return _verified(summary)
    if "strategies" in summary:
        return _voted(summary)
    if summary.get("after") and summary.get("paired"):
        return _trained(summary)
    if "traces" in summary and "stage" not in summary:
        return f"{summary['traces']:,} traces were kept, and nothing was trained on them."
    return ""


def _trained(summary: Record) -> str:
    words = {"better": "Learned", "worse": "Got worse", "open": "No difference that can be told"}
    said = f"{words[outcome(summary['paired'])]}: {_course(summary)}, asked directly"
    prompted = {name: entry["accuracy"] for name, entry in summary.get("baselines", {}).items()}
    if prompted and summary["before"]["accuracy"] < max(prompted.values()):
        best = max(prompted, key=prompted.__getitem__)
        said += _beside(summary["paired_with_best_wording"], f"the best prompt, {in_words(best)!r}")
    return f"{said}.{_kept(summary)}"


def _kept(summary: Record) -> str:
    if summary.get("step_kept") == 0:
        return " The weights kept are the untrained ones: none were better on validation."
    return ""


def _voted(summary: Record) -> str:
    words = {"better": "better than", "worse": "worse than", "open": "not told apart from"}
    said = (
        f"{summary['strategy'].capitalize()} of {summary['n']} is "
        f"{words[outcome(summary['paired'])]} one sample: {_course(summary)}"
    )
    if rivals := summary["paired_with"].keys() & GREEDY.keys():
        # The strongest of them is the one to beat.
        rival = min(
            sorted(rivals), key=lambda name: float(summary["paired_with"][name]["difference"])
        )
        said += _beside(summary["paired_with"][rival], GREEDY[rival])
    return f"{said}."


def _compared(summary: Record) -> str:
    best = next(row for row in summary["rows"] if row["best"])
    gap, right = best["to_base"], f"{best['accuracy']:.1%} of {best['n']} test questions"
    if gap is None or gap["low"] is None or not gap["difference"]:
        return f"Best is {best['name']}: {right}."
    gained = f"{points(gap, ' points')} beside the base asked directly"
    told = "" if outcome(gap) != "open" else ", which can't be told from none"
    return f"Best is {best['name']}: {right}, {gained}{told}."


def _verified(summary: Record) -> str:
    kept = summary["quality"].get(summary["aggregate"])
    if kept is None:
        return "No held-out question has right and wrong solutions to tell apart."
    return (
        f"A right solution is scored above a wrong one {kept['auc']:.1%} of the time, on "
        f"{kept['questions']} held-out questions (50% is chance)."
    )


def _course(summary: Record) -> str:
    was, now = summary["before"], summary["after"]
    accuracies = f"{was['accuracy']:.1%} → {now['accuracy']:.1%} of {now['n']} questions"
    return f"{accuracies}, {points(summary['paired'], ' points')}"


def _beside(gap: Record, other: str) -> str:
    told = points(gap, " points")
    if outcome(gap) == "open":
        return f"; not told apart from {other}: {told}"
    return f"; {'also above' if gap['low'] > 0 else 'but below'} {other}: {told}"


def following(run: Run, summary: Record) -> list[tuple[str, str]]:
    """Commands that make sense next, three at most, each with what it is for."""
    command, model, task = (shlex.quote(str(summary[key])) for key in ("command", "model", "task"))
    path = shlex.quote(str(run.path))
    page = (f"reasonkit report {path} --open", "see the page")
    columns = "".join(f" --columns {shlex.quote(pair)}" for pair in run.config.get("columns") or [])
    task += columns
    compare = (f"reasonkit compare --model {model} --task {task}", "see which way pays")
    if command == "verifier":
        vote = (
            f"reasonkit vote --model {model} --task {task} --verifier {path} --strategy best-of-n"
        )
        return [(vote, "let it choose"), page]
    if command == "compare":
        best = next(row for row in summary["rows"] if row["best"])
        folder = run.path.joinpath(*Path(best["verdicts"][0]).parts[:2])
        chat = (f"reasonkit chat {shlex.quote(str(folder))}", f"talk to {best['name']}")
        return [chat, page] if (folder / "final").exists() else [page]
    if command == "vote" and model in MODELS:
        asked = "answers" in summary
        return [(f"reasonkit chat {model}", "talk to it"), page, *([] if asked else [compare])]
    if not run.final.exists() or not summary.get("paired"):
        return [page]
    found = [(f"reasonkit chat {path}", "talk to it")]
    now = outcome(summary["paired"])
    if now == "better":
        found.append((f"reasonkit vote --model {path} --task {task}", "get more from samples"))
        return [*found, (f"reasonkit push {path} YOU/NAME", "share it, with what was measured")]
    if now == "open" and command == "grpo":
        found.append((f"reasonkit grpo --run-dir {path} --resume --steps +100", "train it longer"))
    elif rate := run.config.get("learning_rate"):
        again = f"reasonkit {command} --config {path}/config.yaml --learning-rate {rate / 3:.2g}"
        found.append((again, "train more gently"))
    return [*found, compare]
