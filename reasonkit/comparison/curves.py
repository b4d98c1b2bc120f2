"""Learning curves of everything that a comparison has trained, over the FLOPs spent by then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonkit.comparison.costs import sampled, trained
from reasonkit.comparison.rows import Finished, Models, group_of, spent_on
from reasonkit.files import read_records

TRAINING = ("grpo", "distill", "sft-rl")
"""The commands that train a policy."""

Point = dict[str, float]


def curve(finished: Finished, models: Models) -> list[Point]:
    """Validation accuracy with its interval, each time that a run looked; empty if it trains none.

    What a stage samples before it trains, such as traces, is spent before its first point.
    """
    summary = finished.summary
    if finished.part.command not in TRAINING:
        return []
    parameters = models.parameters[group_of(finished.part, models)]
    points: list[Point] = []
    if "stages" not in summary:
        return _points(finished.run.path, spent_on(finished, models).flops, parameters)
    before = 0.0
    # The first row is the base, which nothing was spent on.
    for row in summary["stages"][1:]:
        own = sampled(parameters, row["tokens_sampled"]) + trained(
            parameters, row["tokens_trained"]
        )
        found = _points(finished.run.path / "stages" / row["name"], own, parameters)
        points += [{**point, "flops": point["flops"] + before} for point in found]
        before += own
    return points


def _points(path: Path, total: float, parameters: int) -> list[Point]:
    records = list(read_records(path / "metrics.jsonl"))
    if not records:
        return []
    first = total - _flops(records[-1], parameters)
    return [
        {
            "flops": first + _flops(record, parameters),
            **{n: record[n] for n in ("validation", "validation_low", "validation_high")},
        }
        for record in records
        if "validation" in record
    ]


def _flops(record: Mapping[str, Any], parameters: int) -> float:
    return sampled(parameters, record["tokens_sampled"]) + trained(
        parameters, record["tokens_trained"]
    )
