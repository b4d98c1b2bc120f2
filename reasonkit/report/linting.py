"""What ``reasonkit rewards check`` found, in the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from reasonkit import console
from reasonkit.rewards.linter import Facts, Finding, Report

SHORT = 20
"""Characters that are shown of a completion in a narrow terminal."""

OTHERS = 70
"""Columns of the terminal that go to everything but the completion."""

PAID_COLUMNS = ("attack", "a completion", "paid", "wrong", "right", "on")
"""``wrong`` and ``right``: what the best honest wrong answer and a reference solution got; ``on``
how many questions."""


def show(report: Report, as_json: bool) -> None:
    """Prints a report to stdout."""
    if as_json:
        console.write(json.dumps(asdict(report), indent=2))
        return
    console.show_table(
        f"{report.task}: {report.completions:,} completions of {report.questions} "
        f"question{'s' * (report.questions > 1)}",
        ("reward", "claims", "weight", "calls", "ms a call", "ms at worst"),
        [_facts(facts) for facts in report.rewards],
    )
    paid = [finding for finding in report.findings if finding.paid is not None]
    faults = [finding for finding in report.findings if finding.paid is None]
    for reward, rule in dict.fromkeys((finding.reward, finding.rule) for finding in paid):
        group = [finding for finding in paid if (finding.reward, finding.rule) == (reward, rule)]
        console.show_table(f"{reward} {rule}", PAID_COLUMNS, _paid(report, group))
    if faults:
        rows = [
            (f.reward, f.what, _short(f.text, SHORT), f"{f.questions}/{report.questions}")
            for f in faults
        ]
        console.show_table("faults", ("reward", "fault", "seen with", "on"), rows)
    if report.unseen:
        title = "not counted: paid in full, and no reward of this kind can see it"
        console.show_table(title, PAID_COLUMNS, _paid(report, report.unseen))
    console.say(f"checked: {'; '.join(report.checked)}")
    for line in report.notes:
        console.say(line)
    if not report.findings:
        console.say(
            "nothing to gain was found"
            if report.answered
            else "no fault was found in what was checked"
        )


def _facts(facts: Facts) -> tuple[object, ...]:
    seconds = (facts.seconds_mean, facts.seconds_worst)
    return (
        facts.name,
        facts.claim,
        f"{facts.weight:g}",
        facts.calls,
        *(f"{1000 * s:.3g}" if s < 1 else f"{1000 * s:.0f}" for s in seconds),
    )


def _paid(report: Report, findings: Sequence[Finding]) -> list[tuple[object, ...]]:
    room = max(SHORT, console.out.width - OTHERS)
    return [
        (
            finding.what,
            _short(finding.text, room),
            *(
                "–" if v is None else f"{v:.3g}"
                for v in (finding.paid, finding.wrong, finding.right)
            ),
            f"{finding.questions}/{report.questions}",
        )
        for finding in findings
    ]


def _short(text: str, room: int) -> str:
    """The text in one line, cut off; blanks at its ends stay visible."""
    line = text.replace("\n", "⏎").replace("\t", "⇥")
    line = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line)
    if line != line.strip() or not line:
        line = f"“{line}”"
    return line if len(line) <= room else f"{line[: room - 1]}…"
