"""What the numbers say in plain English, and what they make of the usual rules of thumb.

A rule is held against the rows by a test that is stated beside it, and is then confirmed,
contradicted or undecided: an interval that holds 0 decides nothing. Rules that these parts can't
test are left out. Tests are not corrected for their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reasonkit.comparison.rows import Difference, Row, difference

Outcome = Literal["confirmed", "contradicted", "undecided"]

MARGIN = 0.02
"""A difference in accuracy that is as good as none, where the cheaper way is asked for."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of thumb and what became of it.

    Attributes:
        claim: as it is usually said.
        test: what was held against it.
        outcome: of the test.
        evidence: the numbers.
    """

    claim: str
    test: str
    outcome: Outcome
    evidence: str


class Table:
    """Finds rows and compares them.

    Args:
        rows: of one comparison.
        root: its run directory.
    """

    def __init__(self, rows: Sequence[Row], root: Path) -> None:
        self.rows = rows
        self.root = root

    @property
    def groups(self) -> list[str]:
        """The models, the base first."""
        return list(dict.fromkeys(r.group for r in self.rows))

    def find(self, way: str, group: int = 0, name: str = "") -> Row | None:
        """The most accurate row of a way whose name holds a word; None where there is none."""
        if group >= len(self.groups):
            return None
        found = [
            r
            for r in self.rows
            if r.group == self.groups[group] and r.way == way and name in r.name
        ]
        return max(found, key=lambda r: r.accuracy, default=None)

    def best_trained(self) -> Row | None:
        """The most accurate model of the first group that was trained and answers alone."""
        found = [self.find(way) for way in ("grpo", "distill", "sft-rl")]
        return max((r for r in found if r), key=lambda r: r.accuracy, default=None)

    def less(self, one: Row, other: Row) -> Difference:
        """The accuracy of one row less that of another."""
        return difference(one, other, self.root)


def rules(table: Table) -> list[Rule]:
    """Every rule that the rows can be held against."""
    return [found for test in TESTS if (found := test(table)) is not None]


def _higher(gap: Difference) -> Outcome:
    return "confirmed" if gap.low > 0 else "contradicted" if gap.high < 0 else "undecided"


def _points(gap: Difference) -> str:
    return f"{gap.difference * 100:+.1f} points ({gap.low * 100:+.1f} to {gap.high * 100:+.1f})"


Pick = Callable[[Table], Row | None]
"""Finds a row, or None."""


def _asked(table: Table) -> Row | None:
    return table.find("base", name="directly")


def _worded(table: Table) -> Row | None:
    return table.find("base", name="step by step")


@dataclass(frozen=True, slots=True)
class Gap:
    """A rule that says that one row is more accurate than another.

    Attributes:
        claim: as it is usually said.
        test: which two rows are held against each other.
        one: the row that should be the better one.
        other: the other one.
    """

    claim: str
    test: str
    one: Pick
    other: Pick

    def __call__(self, table: Table) -> Rule | None:
        """The rule by the rows; None where one of them isn't there."""
        one, other = self.one(table), self.other(table)
        if not one or not other:
            return None
        gap = table.less(one, other)
        evidence = f"{one.name} less {other.name}: {_points(gap)}"
        return Rule(self.claim, self.test, _higher(gap), evidence)


def _voting(table: Table) -> Rule | None:
    vote, base = table.find("vote"), _asked(table)
    if not vote or not base:
        return None
    gap, times = table.less(vote, base), vote.question_flops / max(base.question_flops, 1)
    return Rule(
        "Inference-time scaling is the cheapest to adopt, but its cost is paid on every query.",
        "accuracy of the best vote on the base, less the base's; and its FLOPs a query above",
        "confirmed" if gap.low > 0 and times > 1 else _higher(gap),
        f"{vote.name}: {_points(gap)} at {times:.1f} times the FLOPs of every query",
    )


def _longer_beats_wider(table: Table) -> Rule | None:
    vote, best = table.find("vote"), table.best_trained()
    if not vote or not best:
        return None
    gap = table.less(best, vote)
    cheaper = best.question_flops < vote.question_flops
    return Rule(
        "A model that has learned to think longer is more useful than one that has to be sampled "
        "many times.",
        "accuracy of the best trained model less that of the best vote on the base, at fewer FLOPs "
        "a query",
        _no_worse(gap, cheaper),
        f"{best.name} less {vote.name}: {_points(gap)} at "
        f"{best.question_flops / max(vote.question_flops, 1):.2f} times the FLOPs of a query",
    )


def _no_worse(gap: Difference, cheaper: bool) -> Outcome:
    """Whether something is no worse, by `MARGIN`, and cheaper; or no better and dearer."""
    if gap.low > -MARGIN and cheaper:
        return "confirmed"
    if gap.high < MARGIN and not cheaper:
        return "contradicted"
    return "undecided"


def _distillation_is_cheap(table: Table) -> Rule | None:
    group = len(table.groups) - 1
    taught, rl = table.find("distill", group), table.find("grpo", group)
    if not taught or not rl:
        return None
    gap = table.less(taught, rl)
    cheaper = taught.training.flops < rl.training.flops
    return Rule(
        "With a strong teacher, distillation is the cost-effective move for a smaller model.",
        f"on {taught.group}: accuracy of distillation less that of reinforcement learning from "
        f"scratch is above −{MARGIN * 100:g} points with all its interval, at fewer FLOPs (the "
        "teacher's own training apart)",
        _no_worse(gap, cheaper),
        f"{_points(gap)} at {taught.training.flops / max(rl.training.flops, 1):.2f} times the "
        "training FLOPs",
    )


def _not_above_the_teacher(table: Table) -> Rule | None:
    teacher = table.find("teacher")
    taught = [r for group in (0, 1) if (r := table.find("distill", group)) is not None]
    if not teacher or not taught:
        return None
    best = max(taught, key=lambda r: r.accuracy)
    gap = table.less(best, teacher)
    outcome: Outcome = (
        "contradicted" if gap.low > 0 else "confirmed" if gap.high < 0 else "undecided"
    )
    return Rule(
        "A student can't exceed its teacher.",
        "accuracy of the best distilled model less that of the teacher",
        outcome,
        f"{best.name} less {teacher.name}: {_points(gap)}",
    )


def _sft_then_rl(table: Table) -> Rule | None:
    both, rl = table.find("sft-rl"), table.find("grpo")
    if not both or not rl:
        return None
    gap = table.less(both, rl)
    return Rule(
        "A warm start with supervised traces and then reinforcement learning has the ceiling of "
        "RL.",
        "accuracy after sft-rl less that after grpo",
        _higher(gap),
        f"{_points(gap)}; format {both.format:.0%} against {rl.format:.0%}, "
        f"{both.training.flops / max(rl.training.flops, 1):.1f} times the training FLOPs",
    )


def _nothing_for_requests(table: Table) -> Rule | None:
    base, best = _asked(table), table.best_trained()
    if not base or not best or not base.requests or not best.requests:
        return None
    was, now = base.requests, best.requests
    longer = now.mean_tokens > was.mean_tokens * (1 + MARGIN)
    better = now.low > was.high
    return Rule(
        "Reasoning does nothing for requests that need none, and burns tokens there.",
        f"{best.name} spends over {MARGIN:.0%} more tokens on everyday requests than the base, "
        "and answers them no better (its interval isn't above the base's)",
        "contradicted" if better or not longer else "confirmed",
        f"{now.mean_tokens:.1f} tokens against {was.mean_tokens:.1f}; answered as wanted "
        f"{now.accuracy:.1%} ({now.low:.1%} to {now.high:.1%}) against {was.accuracy:.1%} "
        f"({was.low:.1%} to {was.high:.1%})",
    )


def _dear_a_query(table: Table) -> Rule | None:
    base, best = _asked(table), table.best_trained()
    if not base or not best:
        return None
    times = best.question_tokens / base.question_tokens
    return Rule(
        "Reasoning models are expensive per query.",
        "tokens a question of the best trained model, as a multiple of the base's, above 1",
        "confirmed" if times > 1 else "contradicted",
        f"{best.name}: {best.question_tokens:.1f} against {base.question_tokens:.1f}, "
        f"{times:.1f} times",
    )


TESTS: tuple[Callable[[Table], Rule | None], ...] = (
    _distillation_is_cheap,
    Gap(
        "Distilled small models beat larger models that were trained by reinforcement learning "
        "from scratch.",
        "accuracy of the distilled smaller model less that of the larger one after grpo",
        lambda table: table.find("distill", 1),
        lambda table: table.find("grpo"),
    ),
    _not_above_the_teacher,
    Gap(
        "Reasoning can be reinforced with no demonstrations and no teacher, by checking answers.",
        "accuracy after grpo less that of the base, both asked directly",
        lambda table: table.find("grpo"),
        _asked,
    ),
    _sft_then_rl,
    Gap(
        "If you ask a model to think step by step, it gets multi-step problems right more often.",
        "accuracy of the base, step by step less directly",
        _worded,
        _asked,
    ),
    Gap(
        "Training beats prompting.",
        "accuracy of the best trained model, asked directly, less the base's step by step",
        Table.best_trained,
        _worded,
    ),
    _voting,
    _longer_beats_wider,
    _dear_a_query,
    _nothing_for_requests,
)


def sentences(table: Table) -> list[str]:
    """What the rows say, in a few sentences."""
    made = []
    for group in table.groups:
        ours = [r for r in table.rows if r.group == group and r.way != "teacher"]
        base, best = ours[0], max(ours, key=lambda r: r.accuracy)
        text = f"{best.name} is the most accurate way with {group}: {_of(best)}"
        if best.to_base and best is not base:
            text += f", {_points(best.to_base)} above asking it directly ({base.accuracy:.1%})"
        alike = [r.name for r in ours if r is not best and r.to_best and r.to_best.high >= 0]
        if alike:
            text += f"; not told apart from it by these questions: {'; '.join(alike)}"
        made.append(f"{text}.")
    made += filter(None, (_per_query(table), _crossing(table), _teachers(table), _far(table)))
    return made


def _of(r: Row) -> str:
    return f"{r.accuracy:.1%} ({r.low:.1%} to {r.high:.1%}, n = {r.n})"


def _per_query(table: Table) -> str:
    vote, base = table.find("vote"), _asked(table)
    if not vote or not base:
        return ""
    return (
        f"Voting needs no training: {vote.name} gets {_of(vote)} for {vote.question_tokens:,.0f} "
        f"tokens a query, where one answer takes {base.question_tokens:.0f}."
    )


def _crossing(table: Table) -> str:
    trained = [r for r in table.rows if r.group == table.groups[0] and r.training.flops]
    alone = [r for r in trained if "+vote" not in r.way]
    ahead = [r for r in alone if r.cheaper_from is not None]
    if not ahead:
        return ""
    parts = [f"{r.name} from {r.cheaper_from:,} queries ({r.accuracy:.1%})" for r in ahead]
    vote = next(r for r in table.rows if r.name == ahead[0].cheaper_than)
    return (
        f"In FLOPs, training has paid for itself against {vote.name} ({vote.accuracy:.1%}): "
        f"{', '.join(parts)}."
    )


def _teachers(table: Table) -> str:
    unknown = {a.what for r in table.rows for a in r.apart if a.flops is None}
    return f"Not counted, because it isn't known: {', '.join(sorted(unknown))}." if unknown else ""


def _far(table: Table) -> str:
    base, best = _asked(table), table.best_trained()
    if not best or not best.longer or not base or not base.longer:
        return ""
    return (
        f"On expressions longer than any that was trained on, {best.name} gets "
        f"{best.longer.accuracy:.1%} ({best.longer.low:.1%} to {best.longer.high:.1%}) where the "
        f"base gets {base.longer.accuracy:.1%}."
    )
