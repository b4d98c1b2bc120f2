"""What the numbers say in plain English, and what they make of the usual rules of thumb.

A rule is held against the rows by a test that is stated beside it, and is then confirmed,
contradicted or undecided: an interval that holds 0 decides nothing. Rules that these parts can't
test are left out. Tests are not corrected for their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reasonkit.comparison.parts import TRAINING
from reasonkit.comparison.rows import Row, difference
from reasonkit.report.tables import points

Outcome = Literal["confirmed", "contradicted", "undecided"]
Gap = Mapping[str, Any]
"""As of `rows.difference`."""

MARGIN = 0.02
"""A difference in accuracy that is as good as none, where the cheaper way is asked for."""


def find(rows: Sequence[Row], *ways: str, group: int | None = 0, name: str = "") -> Row | None:
    """The most accurate row of some ways whose name holds a word; None where there is none.

    Args:
        group: number of its model, the base being the first; None for any.
    """
    groups = list(dict.fromkeys(row["group"] for row in rows))
    wanted = groups if group is None else groups[group:][:1]
    found = [r for r in rows if r["group"] in wanted and r["way"] in ways and name in r["name"]]
    return max(found, key=lambda r: r["accuracy"], default=None)


def higher(one: Row, other: Row, gap: Gap) -> Outcome:
    """Whether the one is more accurate."""
    return "confirmed" if gap["low"] > 0 else "contradicted" if gap["high"] < 0 else "undecided"


def no_higher(one: Row, other: Row, gap: Gap) -> Outcome:
    """Whether the one is less accurate."""
    return "contradicted" if gap["low"] > 0 else "confirmed" if gap["high"] < 0 else "undecided"


def no_worse(gap: Gap, cheaper: bool) -> Outcome:
    """Whether something is no worse, by `MARGIN`, and cheaper; or no better and dearer."""
    if gap["low"] > -MARGIN and cheaper:
        return "confirmed"
    return "contradicted" if gap["high"] < MARGIN and not cheaper else "undecided"


def _longer(one: Row, other: Row, gap: Gap) -> Outcome:
    return "confirmed" if one["question_tokens"] > other["question_tokens"] else "contradicted"


def _wasted(one: Row, other: Row, gap: Gap) -> Outcome:
    now, was = one["requests"], other["requests"]
    longer = now["mean_tokens"] > was["mean_tokens"] * (1 + MARGIN)
    return "confirmed" if longer and now["low"] <= was["high"] else "contradicted"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of thumb about two rows.

    Attributes:
        claim: as it is usually said.
        test: what is held against it.
        one: finds the row that it speaks of.
        other: finds the row that this is held against.
        outcome: of the test.
        evidence: the numbers: of both rows, their ``gap``, and ratios of what they cost.
        about: a key that both rows need to hold something under.
    """

    claim: str
    test: str
    one: Callable[[Sequence[Row]], Row | None]
    other: Callable[[Sequence[Row]], Row | None]
    outcome: Callable[[Row, Row, Gap], Outcome] = higher
    evidence: str = "{one[name]} less {other[name]}: {gap}"
    about: str = "name"

    def held(self, rows: Sequence[Row], root: Path) -> dict[str, str] | None:
        """The rule by the rows, as it stands in ``summary.json``; None where one isn't there."""
        one, other = self.one(rows), self.other(rows)
        if not one or not other or not one[self.about] or not other[self.about]:
            return None
        gap = difference(one, other, root)
        evidence = self.evidence.format(
            one=one,
            other=other,
            gap=points(gap, " points"),
            tokens=one["question_tokens"] / max(other["question_tokens"], 1),
            query=one["question_flops"] / max(other["question_flops"], 1),
            training=one["training"]["flops"] / max(other["training"]["flops"], 1),
        )
        test, outcome = self.test.format(one=one), self.outcome(one, other, gap)
        return {"claim": self.claim, "test": test, "outcome": outcome, "evidence": evidence}


def _asked(rows: Sequence[Row]) -> Row | None:
    return find(rows, "base", name="directly")


def _worded(rows: Sequence[Row]) -> Row | None:
    return find(rows, "base", name="step by step")


def _best(rows: Sequence[Row]) -> Row | None:
    return find(rows, *TRAINING)


def _vote(rows: Sequence[Row]) -> Row | None:
    return find(rows, "vote")


def _reinforced(rows: Sequence[Row]) -> Row | None:
    return find(rows, "grpo")


RULES = (
    Rule(
        "With a strong teacher, distillation is the cost-effective move for a smaller model.",
        "on {one[group]}: accuracy of distillation less that of reinforcement learning from "
        f"scratch is above −{MARGIN * 100:g} points with all its interval, at fewer FLOPs (the "
        "teacher's own training apart)",
        lambda rows: find(rows, "distill", group=-1),
        lambda rows: find(rows, "grpo", group=-1),
        lambda one, other, gap: no_worse(
            gap, one["training"]["flops"] < other["training"]["flops"]
        ),
        "{gap} at {training:.2f} times the training FLOPs",
    ),
    Rule(
        "Distilled small models beat larger models that were trained by reinforcement learning "
        "from scratch.",
        "accuracy of the distilled smaller model less that of the larger one after grpo",
        lambda rows: find(rows, "distill", group=1),
        _reinforced,
    ),
    Rule(
        "A student can't exceed its teacher.",
        "accuracy of the best distilled model less that of the teacher",
        lambda rows: find(rows, "distill", group=None),
        lambda rows: find(rows, "teacher"),
        no_higher,
    ),
    Rule(
        "Reasoning can be reinforced with no demonstrations and no teacher, by checking answers.",
        "accuracy after grpo less that of the base, both asked directly",
        _reinforced,
        _asked,
    ),
    Rule(
        "A warm start with supervised traces and then reinforcement learning has the ceiling of "
        "RL.",
        "accuracy after sft-rl less that after grpo",
        lambda rows: find(rows, "sft-rl"),
        _reinforced,
        evidence="{gap}; format {one[format]:.0%} against {other[format]:.0%}, {training:.1f} "
        "times the training FLOPs",
    ),
    Rule(
        "If you ask a model to think step by step, it gets multi-step problems right more often.",
        "accuracy of the base, step by step less directly",
        _worded,
        _asked,
    ),
    Rule(
        "Training beats prompting.",
        "accuracy of the best trained model, asked directly, less the base's step by step",
        _best,
        _worded,
    ),
    Rule(
        "Inference-time scaling is the cheapest to adopt, but its cost is paid on every query.",
        "accuracy of the best vote on the base, less the base's; and its FLOPs a query above",
        _vote,
        _asked,
        evidence="{one[name]}: {gap} at {query:.1f} times the FLOPs of every query",
    ),
    Rule(
        "A model that has learned to think longer is more useful than one that has to be sampled "
        "many times.",
        "accuracy of the best trained model less that of the best vote on the base, at fewer FLOPs "
        "a query",
        _best,
        _vote,
        lambda one, other, gap: no_worse(gap, one["question_flops"] < other["question_flops"]),
        "{one[name]} less {other[name]}: {gap} at {query:.2f} times the FLOPs of a query",
    ),
    Rule(
        "Reasoning models are expensive per query.",
        "tokens a question of the best trained model, as a multiple of the base's, above 1",
        _best,
        _asked,
        _longer,
        "{one[name]}: {one[question_tokens]:.1f} against {other[question_tokens]:.1f}, "
        "{tokens:.1f} times",
    ),
    Rule(
        "Reasoning does nothing for requests that need none, and burns tokens there.",
        f"{{one[name]}} spends over {MARGIN:.0%} more tokens on everyday requests than the base, "
        "and answers them no better (its interval isn't above the base's)",
        _best,
        _asked,
        _wasted,
        "{one[requests][mean_tokens]:.1f} tokens against {other[requests][mean_tokens]:.1f}; "
        "answered as wanted {one[requests][accuracy]:.1%} ({one[requests][low]:.1%} to "
        "{one[requests][high]:.1%}) against {other[requests][accuracy]:.1%} "
        "({other[requests][low]:.1%} to {other[requests][high]:.1%})",
        about="requests",
    ),
)


def rules(rows: Sequence[Row], root: Path) -> list[dict[str, str]]:
    """Every rule that the rows can be held against.

    Args:
        root: the comparison's run directory.
    """
    return [held for rule in RULES if (held := rule.held(rows, root)) is not None]


def _share(of: Mapping[str, Any]) -> str:
    return f"{of['accuracy']:.1%} ({of['low']:.1%} to {of['high']:.1%}, n = {of['n']})"


def sentences(rows: Sequence[Row]) -> list[str]:
    """What the rows say, in a few sentences."""
    made = []
    for group in dict.fromkeys(row["group"] for row in rows):
        ours = [r for r in rows if r["group"] == group and r["way"] != "teacher"]
        base, best = ours[0], max(ours, key=lambda r: r["accuracy"])
        text = f"{best['name']} is the most accurate way with {group}: {_share(best)}"
        if best["to_base"] and best is not base:
            gap = points(best["to_base"], " points")
            text += f", {gap} above asking it directly ({base['accuracy']:.1%})"
        alike = [r["name"] for r in ours if r is not best and r["to_best"]["high"] >= 0]
        if alike:
            text += f"; not told apart from it by these questions: {'; '.join(alike)}"
        made.append(f"{text}.")
    vote, asked, best_trained = _vote(rows), _asked(rows), _best(rows)
    if vote and asked:
        made.append(
            f"Voting needs no training: {vote['name']} gets {_share(vote)} for "
            f"{vote['question_tokens']:,.0f} tokens a query, where one answer takes "
            f"{asked['question_tokens']:.0f}."
        )
    first = [r for r in rows if r["group"] == rows[0]["group"]]
    ahead = [r for r in first if r["way"] in TRAINING and r["cheaper_from"] is not None]
    if ahead:
        dearer = next(r for r in rows if r["name"] == ahead[0]["cheaper_than"])
        ways = ", ".join(
            f"{r['name']} from {r['cheaper_from']:,} queries ({r['accuracy']:.1%})" for r in ahead
        )
        made.append(
            f"In FLOPs, training has paid for itself against {dearer['name']} "
            f"({dearer['accuracy']:.1%}): {ways}."
        )
    unknown = {other["what"] for r in rows for other in r["apart"] if other["flops"] is None}
    if unknown:
        made.append(f"Not counted, because it isn't known: {', '.join(sorted(unknown))}.")
    if best_trained and asked and best_trained["longer"] and asked["longer"]:
        far = best_trained["longer"]
        made.append(
            f"On expressions longer than any that was trained on, {best_trained['name']} gets "
            f"{far['accuracy']:.1%} ({far['low']:.1%} to {far['high']:.1%}) where the base gets "
            f"{asked['longer']['accuracy']:.1%}."
        )
    return made
