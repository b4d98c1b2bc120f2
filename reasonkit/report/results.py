"""What a run came to, as the tables, sentences and warnings that terminal and page both show.

A column is declared once, with its head and what it says of a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from rich.filesize import decimal

from reasonkit.prompts import in_words
from reasonkit.report.tables import Columns, Record, Table, closed, or_dash, points, share, table

ACCURACIES: Columns = {
    "": lambda r: r["name"],
    "accuracy": share,
    "tokens": lambda r: f"{r['mean_tokens']:.1f}",
    "thinks": lambda r: f"{r['thinks']:.1%}",
    "if thinking": lambda r: or_dash(r["accuracy_when_thinking"], ".1%"),
    "format": lambda r: f"{r['format']:.1%}",
}
"""``if thinking`` is the accuracy of the completions that think."""

FILTERS: Columns = {
    "filter": lambda r: r["name"],
    "removed": lambda r: r["lost"] or "",
    "left": lambda r: r["left"],
    "questions": lambda r: r["questions"],
    "what it removes": lambda r: r["what"],
}

VERIFIER: Columns = {
    "a solution's score": lambda r: r["name"],
    "AUC": lambda r: f"{r['auc']:.3f}",
    "Brier": lambda r: f"{r['brier']:.3f}",
    "questions": lambda r: r["questions"],
}

STRATEGIES: Columns = {
    "strategy": lambda r: r["name"],
    "n": lambda r: r["n"],
    "prompt": lambda r: r["prompt"],
    "accuracy": share,
    "of pass@n": lambda r: or_dash(r["realised"], ".0%"),
    "tokens a question": lambda r: f"{r['tokens']:,.1f}",
}
"""``of pass@n``: as a share of the questions that one of as many plain samples is right on."""

KNEE = 0.01
"""Accuracy that twice as many samples add at least, as long as they are worth it."""

LONGER: Columns = {
    "majority of, step by step": lambda r: r["longer_n"],
    "tokens": lambda r: f"{r['longer_tokens']:.0f}",
    "accuracy": lambda r: f"{r['longer']:.1%}",
    "majority of, as asked": lambda r: r["wider_n"],
    "their tokens": lambda r: f"{r['wider_tokens']:.0f}",
    "their accuracy": lambda r: f"{r['wider']:.1%}",
    "longer − wider": points,
}

WAYS: Columns = {
    "way": lambda r: r["name"],
    "model": lambda r: r["group"],
    "accuracy": share,
    "vs. base": lambda r: points(r["to_base"]),
    "vs. best way": lambda r: points(r["to_best"]),
    "tokens a query": lambda r: f"{r['question_tokens']:,.1f}",
    "s a query": lambda r: f"{r['question_seconds']:.4f}",
    "FLOPs a query": lambda r: f"{r['question_flops']:.2g}",
    "training FLOPs": lambda r: or_dash(r["training"]["flops"] or None, ".2g"),
    "training s": lambda r: or_dash(r["training"]["seconds"] or None, ".0f"),
    "pays off after": lambda r: or_dash(r["cheaper_from"], ","),
    "completion tokens": lambda r: f"{r['completion_tokens']:.1f}",
    "format": lambda r: f"{r['format']:.1%}",
    "longer expressions": lambda r: share(r["longer"]),
    "everyday requests": lambda r: share(r["requests"]),
    "tokens on them": lambda r: or_dash(r["requests"] and r["requests"]["mean_tokens"], ".1f"),
    "memory, MiB": lambda r: f"{r['memory_bytes'] / 2**20:,.0f}",
}
"""Of a comparison: the page has them in one table, the terminal some of them in three."""

ACCURATE = ("accuracy", "vs. base", "vs. best way")
COSTLY = ("tokens a query", "s a query", "training FLOPs", "training s", "pays off after")
BEYOND = ("longer expressions", "everyday requests", "tokens on them")

PARTS: Columns = {
    "part": lambda r: f"{r['name']}: {r['what']}",
    "command": lambda r: r["command"],
    "s": lambda r: f"{r['seconds']:.0f}",
    "memory, MiB": lambda r: f"{r['memory_bytes'] / 2**20:,.0f}",
}


def filters(steps: Iterable[Record]) -> Table:
    """What each filter of traces took."""
    return table("traces", FILTERS, steps, numbers=False)


def stages(rows: Sequence[Record], whole: bool = False) -> Table:
    """What each stage of a recipe has come to.

    Args:
        whole: with what it cost.
    """

    def form(name: str) -> Callable[[Record], object]:
        return lambda r: f"{r[name] * 100:.0f}/{r['sampled'][name] * 100:.0f}"

    def reward(name: str) -> Callable[[Record], object]:
        return lambda r: f"{r['general'][name]['mean']:.2f}"

    columns: dict[str, Callable[[Record], object]] = {
        "stage": lambda r: r["name"],
        "accuracy": lambda r: (
            f"{r['accuracy'] * 100:.1f} ({r['low'] * 100:.0f}–{r['high'] * 100:.0f})"
        ),
        "format": form("format"),
        "language": form("language"),
        # A terminal of 80 columns has no room for both.
        **({"readable": form("readability")} if whole else {}),
        **{name: reward(name) for name in rows[0]["general"]},
    }
    if whole:
        columns |= {
            "tokens": lambda r: f"{r['mean_tokens']:.1f}",
            "sampled": lambda r: f"{r.get('tokens_sampled') or 0:,}",
            "trained": lambda r: f"{r.get('tokens_trained') or 0:,}",
            "seconds": lambda r: f"{r.get('seconds') or 0:.0f}",
        }
    n = rows[0]["n"]
    title = f"after each stage, {n} validation questions, in %; shares greedy/sampled"
    return table(title, columns, rows, marked=[len(rows) - 1])


def of(summary: Record, whole: bool = False) -> tuple[list[Table], list[str]]:
    """The tables of a ``summary.json``, and what it says beside them.

    Args:
        whole: for the page, which has room for all.
    """
    subject = f"{summary['model']} on {summary['task']}"
    if summary["command"] == "compare":
        return _compared(summary, subject, whole)
    if summary["command"] == "verifier":
        return _verified(summary, subject)
    if summary["command"] == "vote":
        return _elected(summary, whole) if "answers" in summary else _voted(summary, subject, whole)
    return _trained(summary, subject, whole)


def _compared(summary: Record, subject: str, whole: bool) -> tuple[list[Table], list[str]]:
    rows = summary["rows"]
    best = [i for i, row in enumerate(rows) if row["best"]]
    title = f"{subject}, {rows[0]['n']} test questions, 95 % intervals"
    if whole:
        tables = [table(title, WAYS, rows, marked=best), table("Parts", PARTS, summary["parts"])]
    else:
        named = [{**r, "name": f"{r['name']}{' (best)' if r['best'] else ''}"} for r in rows]
        shown: dict[str, tuple[Sequence[str], Sequence[Record]]] = {
            title: (ACCURATE, named),
            "what it costs": (COSTLY, rows),
            "not trained on": (BEYOND, [row for row in rows if row["requests"]]),
        }
        tables = [
            table(title, {head: WAYS[head] for head in ("way", *heads)}, records)
            for title, (heads, records) in shown.items()
            if records
        ]
    rules = [f"{r['outcome']}: {r['claim']} {r['evidence']}" for r in summary["rules"]]
    cost = f"{summary['seconds']:.0f} s of sampling and training in {len(summary['parts'])} parts"
    return tables, [*summary["findings"], *rules, cost]


def _verified(summary: Record, subject: str) -> tuple[list[Table], list[str]]:
    kept = {summary["aggregate"]: " (kept)"}
    scores = [{**r, "name": n + kept.get(n, "")} for n, r in summary["quality"].items()]
    said = (
        f"{summary['solutions']:,} solutions learned from, {summary['right']:.1%} right; "
        f"{summary['tokens_sampled']:,} tokens sampled in {summary['sampling_seconds']:.0f} s, "
        f"{summary['tokens_trained']:,} trained in {summary['training_seconds']:.0f} s"
    )
    title = f"a verifier for {subject}, on held-out questions"
    return [table(title, VERIFIER, scores)], [said]


def drawn(summary: Record) -> list[Record]:
    """The rows of all strategies, and those of the policies of other budgets."""
    routed = (summary.get("routed") or {}).get("rows", [])
    return [*summary["strategies"], *routed]


def _elected(summary: Record, whole: bool) -> tuple[list[Table], list[str]]:
    votes = max((answer["votes"] for answer in summary["answers"]), default=0)
    sure = (
        f", {votes} of {summary['samples']} votes: more samples would bear out that lead with "
        f"probability {summary['sureness']:.2f}, which isn't that of being right"
    )
    by = f"{summary['strategy']}{sure if summary['samples'] > 1 else ''}"
    elected = f"answer: {summary['elected'] or 'none'} (by {by})"
    # The page has the completion with the ballots.
    return [], [elected] if whole else [elected, f"best completion: {summary['completion']}"]


def _voted(summary: Record, subject: str, whole: bool) -> tuple[list[Table], list[str]]:
    """The chosen strategy at all sizes, and the largest of the others."""
    rows, strategy = realised(summary["strategies"]), summary["strategy"]
    largest = {(r["name"], r["prompt"]): r["n"] for r in sorted(rows, key=lambda r: r["n"])}
    shown = [r for r in rows if r["name"] == strategy]
    marked = [i for i, r in enumerate(shown) if r["n"] == summary["n"]]
    others = (r for r in rows if r["name"] != strategy)
    shown += [r for r in others if r["n"] == largest[r["name"], r["prompt"]]]
    title = f"{subject}, {summary['after']['n']} questions, 95 % intervals"
    tables = [table(title, STRATEGIES, shown, marked=marked)]
    if whole:
        wider = "Longer against wider, at equal tokens"
        tables.append(table("All strategies and sizes", STRATEGIES, rows))
        tables.append(table(wider, LONGER, summary["longer_against_wider"]))
    pairs = {"the first sample alone": summary["paired"], **summary["paired_with"]}
    lines = [_pair(strategy, name, pair) for name, pair in pairs.items()]
    lines += _knee(strategy, [r for r in shown if r["prompt"] == shown[0]["prompt"]])
    if tuned := summary["tuned"]:
        lines.append(
            f"thresholds chosen on {tuned['questions']} validation questions: "
            f"{tuned['accuracy']:.1%} there, {tuned['full_accuracy']:.1%} for the full vote, with "
            f"{tuned['tokens'] / tuned['full_tokens']:.1%} of its tokens"
        )
    if routed := summary.get("routed"):
        lines += _routed(summary["after"], routed)
    one = summary["before"]
    lines += [
        f"the first sample alone: {share(one)}, {one['mean_tokens']:.1f} tokens a question",
        f"{summary['seconds']:.0f} s, {summary['tokens_sampled']:,} tokens sampled in all; "
        f"{summary['without_answer']:.1%} of the samples have no final answer",
    ]
    return tables, lines


def realised(rows: Sequence[Record]) -> list[Record]:
    """Rows of strategies with the share of `reasonkit.voting.curves.PASS` that they come to."""
    ceiling = {(r["prompt"], r["n"]): r["accuracy"] for r in rows if r["name"] == "pass@n"}
    of = [ceiling.get((r["prompt"], r["n"])) for r in rows]
    return [
        {**r, "realised": r["accuracy"] / c if c else None} for r, c in zip(rows, of, strict=True)
    ]


def _knee(strategy: str, rows: Sequence[Record]) -> list[str]:
    """Where more samples stop being worth it, of a strategy whose rows are of growing n."""
    own = [r for r in rows if r["name"] == strategy]
    if len(own) < 2:
        return []
    gains = [b["accuracy"] - a["accuracy"] for a, b in pairwise(own)]
    worth = [place for place, gain in enumerate(gains, 1) if gain >= KNEE]
    knee, last = own[worth[-1] if worth else 0], own[-1]
    if knee is last:
        said = f"still rising at n = {last['n']}: the last step adds {gains[-1] * 100:.1f} points"
    else:
        said = (
            f"flat from n = {knee['n']} on ({knee['accuracy']:.1%}; {last['accuracy']:.1%} of "
            f"{last['n']}): no step adds a point"
        )
    return [f"{strategy} over samples is {said}"]


def _routed(after: Record, routed: Record) -> list[str]:
    """What a policy spends, and how that compares with what needs no look at the question."""
    spent = "; ".join(f"{level}: {option}" for level, option in routed["words"])
    lines = [f"learned on {routed['questions']} validation questions. {spent}"]
    for name, rival in routed["rivals"].items():
        tokens = f"{after['mean_tokens'] / rival['mean_tokens']:.0%} of its tokens"
        lines.append(f"{_pair('auto', name, rival['paired'])}, with {tokens}")
        if skipped := routed.get("skipped"):
            lines.append(
                f"auto leaves {skipped} of {after['n']} at its first look, wrongly "
                f"{rival['wrongly_skipped']} of them: there {name} is right and the look isn't"
            )
    return lines


def _trained(summary: Record, subject: str, whole: bool) -> tuple[list[Table], list[str]]:
    tables = []
    if "stage" in summary:
        tables.append(stages([{"name": summary["command"], **summary["stage"]}]))
    elif "stages" in summary:
        tables.append(stages(summary["stages"], whole))
    elif "filters" in summary and "after" not in summary and not whole:
        # The page has them from the run's record.
        tables.append(filters(summary["filters"]))
    teacher = f"teacher, {summary.get('teacher_name') or summary.get('teacher')}"
    measured = {
        "before": summary.get("before"),
        **{in_words(name): entry for name, entry in summary.get("baselines", {}).items()},
        "after": summary.get("after"),
        teacher: summary.get("teacher"),
    }
    records = [{"name": name, **entry} for name, entry in measured.items() if entry]
    if records:
        title = f"{subject}, {records[-1]['n']} test questions, greedy, 95 % intervals"
        after = [i for i, record in enumerate(records) if record["name"] == "after"]
        tables.append(table(title, ACCURACIES, records, marked=after))
    pairs = {
        "before": summary.get("paired"),
        "best prompt": summary.get("baselines") and summary["paired_with_best_wording"],
        "teacher": summary.get("paired_with_teacher"),
    }
    lines = [_pair("after", name, pair) for name, pair in pairs.items() if pair]
    if gap := summary.get("gap_closed"):
        lines.append(f"gap to the teacher closed: {closed(gap)}")
    for reward, now in summary.get("general", {}).get("after", {}).items():
        was = summary["general"]["before"][reward]
        lines.append(f"{reward}, {now['n']} general test prompts: {_mean(was)} → {_mean(now)}")
    for what, now in summary.get("manner", {}).get("after", {}).items():
        was = summary["manner"]["before"][what]
        lines.append(f"{what} of the answers to them: {_mean(was)} → {_mean(now)}")
    lines.append(
        f"{summary['seconds']:.0f} s, {summary['tokens_sampled']:,} tokens sampled, "
        f"{summary['tokens_trained']:,} trained, peak memory "
        f"{decimal(summary['peak_memory_bytes'])}"
    )
    spent = summary.get("spent_on_rewards", {})
    dollars = {name.split("/")[1]: n for name, n in spent.items() if name.endswith("/dollars")}
    return tables, lines + [f"{name}: {count:.2f} dollars" for name, count in dollars.items()]


def warnings(summary: Record) -> list[str]:
    """What wants attention: remarks, and samples that a server didn't give, by kind of failure."""
    found = list(summary.get("remarks", []))
    if failed := summary.get("failed_samples"):
        kinds = ", ".join(f"{count} × {kind}" for kind, count in failed.items())
        found.append(
            f"{sum(failed.values()):,} samples could not be had and count as without an answer: "
            f"{kinds}; samples.jsonl says why"
        )
    return found


def _pair(one: str, other: str, pair: Record) -> str:
    return f"{one} − {other}: {points(pair, ' points')}, exact McNemar p = {pair['p']:.2g}"


def _mean(entry: Record) -> str:
    return f"{entry['mean']:.3g} ({entry['low']:.3g} to {entry['high']:.3g})"
