"""What ``reasonkit rewards check`` found, in the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict

from reasonkit import console
from reasonkit.report.tables import or_dash
from reasonkit.rewards.linter import Finding, Report
from reasonkit.rewards.linter.checks import NO_VERDICT

SHORT = 20
"""Characters that are shown of a completion in a narrow terminal."""

OTHERS = 70
"""Columns of the terminal that go to everything but the completion."""

PAID = ("attack", "a completion", "paid", "wrong", "right", "on")
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
        [
            (r.name, r.claim, f"{r.weight:g}", r.calls, _ms(r.seconds_mean), _ms(r.seconds_worst))
            for r in report.rewards
        ],
    )
    paid: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.paid is not None:
            paid.setdefault(f"{finding.reward} {finding.rule}", []).append(finding)
    for title, findings in paid.items():
        console.show_table(title, PAID, [_paid(report, finding) for finding in findings])
    faults = [
        (f.reward, f.what, _short(f.text, SHORT), f"{f.questions}/{report.questions}")
        for f in report.findings
        if f.paid is None
    ]
    if faults:
        console.show_table("faults", ("reward", "fault", "seen with", "on"), faults)
    if report.unseen:
        title = "not counted: paid in full, and no reward of this kind can see it"
        console.show_table(title, PAID, [_paid(report, finding) for finding in report.unseen])
    console.say(f"checked: {'; '.join(report.checked)}")
    for line in report.notes:
        console.say(line)
    undeclared = [f.reward for f in report.findings if f.what == NO_VERDICT]
    for name in undeclared:
        console.say(
            f"if {name} is meant as a bonus beside being right, declare it: {name}.claim = "
            '"shaping" (or "form"), which is held to less: reasonkit docs rewards'
        )
    if not report.findings:
        checked = "no fault was found in what was checked"
        told = "nothing to gain was found" if report.answered else checked
        console.say(f"{told}, on {report.questions} question{'s' * (report.questions > 1)}")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"


def _paid(report: Report, finding: Finding) -> tuple[str, ...]:
    values = (finding.paid, finding.wrong, finding.right)
    return (
        finding.what,
        _short(finding.text, max(SHORT, console.out.width - OTHERS)),
        *(or_dash(value, ".3g") for value in values),
        f"{finding.questions}/{report.questions}",
    )


def _short(text: str, room: int) -> str:
    """The text in one line, cut off; blanks at its ends stay visible."""
    line = text.replace("\n", "⏎").replace("\t", "⇥")
    line = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in line)
    if line != line.strip() or not line:
        line = f"“{line}”"
    return line if len(line) <= room else f"{line[: room - 1]}…"
