"""Model cards in the hub's form, made of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reasonkit.prompts import in_words
from reasonkit.report import verdict
from reasonkit.report.tables import closed


def model_card(
    summary: Mapping[str, Any],
    settings: Mapping[str, Any],
    command: str = "",
    **known: str | None,
) -> str:
    """A model card in the hub's form, from what was measured.

    Args:
        command: that it was made by, where that is known.
        known: further fields of the card's head, such as ``license``; None is left out.
    """
    paired, rows = summary["paired"], {name: summary[name] for name in ("before", "after")}
    rows |= {f"before, {in_words(name)}": entry for name, entry in summary["baselines"].items()}
    if taught := summary.get("teacher"):
        rows[f"teacher, {summary['teacher_name']}"] = taught
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [reasonkit, reasoning, " + summary["command"] + "]",
        *(f"{name}: {value}" for name, value in known.items() if value),
        "---",
        f"# {summary['model']}, trained with `reasonkit {summary['command']}` on {summary['task']}",
        "",
        *((verdict.of(summary), "") if command else ()),
        "Test questions, greedy decoding, one extractor that is blind to format; 95 % intervals.",
        "",
        "| | accuracy | interval | n | tokens an answer | think-answer format |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {e['accuracy']:.1%} | {e['low']:.1%} to {e['high']:.1%} "
            f"| {e['n']} | {e['mean_tokens']:.1f} | {e['format']:.1%} |"
            for name, e in rows.items()
        ),
        "",
        f"Paired difference: {paired['difference']:+.1%} "
        f"({paired['low']:+.1%} to {paired['high']:+.1%}, exact McNemar p = {paired['p']:.2g}).",
        *_taught_by(summary),
        "",
        f"Cost: {summary['seconds']:.0f} s, {summary['tokens_sampled']:,} tokens sampled, "
        f"{summary['tokens_trained']:,} tokens trained.",
        "",
        "It was measured on this task alone. Thinking that reads well can still be wrong.",
        "",
        *(("Made by:", "", "```sh", command, "```", "") if command else ()),
        *_listed(settings),
    ]
    return "\n".join(lines)


def stage_card(name: str, command: str, row: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """A model card of what a stage of a recipe has made, from its row on the validation split."""
    return "\n".join(
        [
            f"# {settings['model']} after {name}, a stage of `reasonkit {command}`",
            "",
            f"On {row['n']} validation questions of {settings['task']}, greedy: "
            f"{row['accuracy']:.1%} right ({row['low']:.1%} to {row['high']:.1%}), "
            f"{row['format']:.1%} in the format, {row['mean_tokens']:.1f} tokens an answer. "
            "The test questions were not looked at.",
            "",
            *_listed(settings),
        ]
    )


def _listed(settings: Mapping[str, Any]) -> list[str]:
    values = (f"{key}: {value}" for key, value in settings.items())
    return ["## Settings", "", "```yaml", *values, "```", ""]


def _taught_by(summary: Mapping[str, Any]) -> list[str]:
    """What a card says of the traces that a student learned from, if it did."""
    lines = []
    if gap := summary.get("gap_closed"):
        lines += ["", f"Of the teacher's lead before training {closed(gap)} are made up."]
    lines += [line for remark in summary.get("remarks", []) for line in ("", remark)]
    if steps := summary.get("filters"):
        lines += ["", "| filter of the traces | took | left | questions |", "|---|---|---|---|"]
        lines += [f"| {s['name']} | {s['lost']} | {s['left']} | {s['questions']} |" for s in steps]
    return lines
