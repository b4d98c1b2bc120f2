"""Model cards in the hub's form: what terminal and page show of a run, as Markdown."""

from __future__ import annotations

import shlex
from pathlib import Path

from reasonkit.report import results, verdict
from reasonkit.report.tables import Record, Table
from reasonkit.runs import Run

TRAINED = (
    "One extractor that is blind to format reads all answers. It was measured on this task alone. "
    "Thinking that reads well can still be wrong."
)


def model_card(
    run: Run,
    summary: Record,
    about: str = TRAINED,
    kind: str = "text-generation",
    **known: str | None,
) -> str:
    """A model card of a run.

    Args:
        summary: as it is to stand in ``summary.json``.
        about: what figures don't say.
        kind: the hub's name for what such a model does.
        known: further fields of the card's head, such as ``license``; None is left out.
    """
    summary = {**run.names, **summary}
    tables, lines = results.of(summary, whole=True)
    if steps := run.record.get("filters"):
        tables.append(results.filters(steps))
    program, *words = run.record["argv"] or ["reasonkit"]
    name = Path(program).name.replace("__main__.py", "reasonkit")
    head = {
        "library_name": "transformers",
        "pipeline_tag": kind,
        "tags": f"[reasonkit, reasoning, {summary['command']}]",
        **{field: value for field, value in known.items() if value},
    }
    parts = [
        f"---\n{_listed(head)}\n---",
        f"# {summary['model']}, trained with `reasonkit {summary['command']}` on {summary['task']}",
        verdict.of(summary),
        about,
        *(_section(shown) for shown in tables if shown.rows),
        "\n".join(f"- {line}" for line in (*lines, *results.warnings(summary))),
        f"Made by:\n\n```sh\n{shlex.join([name, *words])}\n```",
        f"## Settings\n\n```yaml\n{_listed(run.config)}\n```\n",
    ]
    return "\n\n".join(part for part in parts if part)


def _section(shown: Table) -> str:
    rows = (shown.heads, ["---"] * len(shown.heads), *shown.rows)
    return "\n".join([f"## {shown.title}", "", *(f"| {' | '.join(row)} |" for row in rows)])


def _listed(values: Record) -> str:
    return "\n".join(f"{name}: {value}" for name, value in values.items())
