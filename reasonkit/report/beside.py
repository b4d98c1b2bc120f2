"""Finished runs side by side, on the test questions that all of them have answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from reasonkit import runs
from reasonkit.errors import RefusedError
from reasonkit.evaluation import Evaluation, paired
from reasonkit.report.tables import Table, points, share

HEADS = ["run", "command", "accuracy", "tokens", "points", "McNemar p"]


def side_by_side(paths: Sequence[Path]) -> Table:
    """Each run's accuracy, and how far it is from the first's.

    Raises:
        RefusedError: one of them isn't there or isn't measured, or no question is common to all.
    """
    opened = [runs.open_run(path) for path in paths]
    answered = []
    for run in opened:
        path = run.evaluations / "after.json"
        if not path.exists():
            raise RefusedError(f"{run.path} has not been measured yet: go on with it by --resume")
        answered.append({verdict.id: verdict for verdict in Evaluation.load(path).verdicts})
    common = [id for id in answered[0] if all(id in others for others in answered)]
    if not common:
        raise RefusedError(
            f"no test question is common to {', '.join(map(str, paths))}: ask both the same, by "
            "reasonkit vote --strategy greedy --task TASK --model RUN for each, and compare these"
        )
    measured = [Evaluation(tuple(held[id] for id in common)) for held in answered]
    names = [run.path.name for run in opened]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in opened]
    rows = []
    for name, run, done in zip(names, opened, measured, strict=True):
        gap = None if done is measured[0] else paired(measured[0].verdicts, done.verdicts)
        rows.append(
            [
                name,
                str(run.record["command"]),
                share(asdict(done.accuracy)),
                f"{done.mean_tokens:.1f}",
                points(asdict(gap)) if gap else "–",
                f"{gap.p:.2g}" if gap else "–",
            ]
        )
    title = f"the same {len(common)} test questions, 95 % intervals; points beside the first"
    return Table(title, HEADS, rows)
