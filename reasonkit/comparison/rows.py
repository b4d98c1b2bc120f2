"""The rows of a comparison: accuracy and cost of each way, from what the parts' runs hold.

Every row is about the same test questions. Where a part was run with several seeds, a question
counts with its mean over them, and the interval is one over questions; what the seeds came to apart
stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from reasonkit.comparison.costs import cheaper_from, sampled, spent
from reasonkit.comparison.parts import PARTS, STUDENT, TRAINING, Part, Shown
from reasonkit.evaluation import Evaluation, paired
from reasonkit.files import read_records
from reasonkit.runs import Run
from reasonkit.statistics import Accuracy, interval_of_means, wilson_of_means

Row = dict[str, Any]
"""A way and what it came to, as it stands in ``summary.json``. Its keys:

name, group, way, part: unique in a comparison; the model that it starts from; as of `parts.Shown`;
    the part that has made it.
accuracy, low, high, n, by_seed: of the test questions, with its 95 % interval; with each seed.
completion_tokens, format: mean length of one completion; share in the think-answer format.
question_tokens, question_seconds, question_flops: sampled a question; seconds at the pace at which
    all were answered.
training, apart: what was spent once, and by others (with ``what``; None is not known).
memory_bytes: the most that the process held that has trained or sampled.
verdicts: paths of the evaluations, from the comparison's run.
longer, requests: accuracy and mean_tokens on what was not trained on, or None.
to_base, to_best, best: accuracy less that of the group's base, asked directly, and less that of its
    best row, as of `difference`; whether it is that.
cheaper_from, cheaper_than: queries from which it costs less than the best vote on the group's base,
    training included, and the name of that.
"""

NOTHING = dict.fromkeys(("tokens_sampled", "tokens_trained", "seconds", "flops"), 0.0)
"""What is spent once on a model that was not trained here."""

UNMEASURED = (
    Shown("{model}, asked directly", "before", "base"),
    Shown("{model}, step by step", "before-step-by-step", "base"),
)
"""Rows of a base that no part measures: where programs are asked for there is no vote that does."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that is done: what it has left, and the jobs that came first, by part."""

    part: Part
    run: Run
    peak_memory_bytes: int
    needs: Mapping[str, Finished]

    @property
    def summary(self) -> dict[str, Any]:
        """Its ``summary.json``."""
        return self.run.summary()

    @property
    def memory_bytes(self) -> int:
        """On the GPU where there is one, else of its process."""
        return int(self.summary.get("peak_memory_bytes") or self.peak_memory_bytes)

    def evaluation(self, name: str) -> Path:
        """Where the verdicts of that name are."""
        return self.run.evaluations / f"{name}.json"


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a comparison by name, empty for none, with their parameters, 0 for unknown.

    ``teacher_spent``: FLOPs and seconds that it took to train the teacher; None is not known.
    """

    base: str
    student: str
    teacher: str
    parameters: Mapping[str, int]
    teacher_spent: tuple[float | None, float | None] = (None, None)

    def start(self, part: Part) -> str:
        """The model that a part starts from, in the end."""
        return self.student if part.model == STUDENT else self.base


def rows(done: Sequence[Finished], models: Models, root: Path) -> list[Row]:
    """All rows, in the order of the table of parts; what two parts have measured is one row.

    Args:
        done: every finished job; those of one part are its seeds.
        root: the comparison's run directory.
    """
    made: dict[str, Row] = {}
    for part in PARTS.values():
        seeds = [finished for finished in done if finished.part is part]
        group = models.start(part)
        ways = {row["way"] for row in made.values() if row["group"] == group}
        measured = "base" in {*ways, *(shown.way for shown in part.shown)}
        for shown in (*(() if measured else UNMEASURED), *part.shown):
            if seeds and all(f.evaluation(shown.evaluation).exists() for f in seeds):
                row = _row(seeds, shown, models, root)
                made.setdefault(row["name"], row)
    for row in made.values():
        rivals = [r for r in made.values() if r["group"] == row["group"] and r["way"] != "teacher"]
        base = next((r for r in rivals if r["way"] == "base"), None)
        best = max(rivals, key=lambda r: r["accuracy"])
        votes = [r for r in rivals if r["way"] == "vote"]
        vote = max(votes, key=lambda r: (r["accuracy"], -r["question_flops"]), default=None)
        paid = row["training"]["flops"]
        row |= {
            "to_base": difference(row, base, root) if base else None,
            "to_best": difference(row, best, root),
            "best": row is best,
            "cheaper_from": (
                cheaper_from(paid, row["question_flops"], vote["question_flops"])
                if vote and paid
                else None
            ),
            "cheaper_than": vote["name"] if vote and paid else None,
        }
    return list(made.values())


def _row(seeds: Sequence[Finished], shown: Shown, models: Models, root: Path) -> Row:
    part, summaries = seeds[0].part, [f.summary for f in seeds]
    paths = [f.evaluation(shown.evaluation) for f in seeds]
    evaluations = [Evaluation.load(path) for path in paths]
    group, tokens = models.start(part), fmean(e.mean_tokens for e in evaluations)
    scored = shown.evaluation == "best-of-n" and part.verifier in seeds[0].needs
    label = shown.label.format(
        model=group, n=summaries[0].get("n"), teacher=models.teacher.rstrip("/").rpartition("/")[2]
    )
    if shown.evaluation == "best-of-n":
        label += ", by a verifier" if scored else ", by confidence"
    parameters = models.parameters[models.teacher if shown.way == "teacher" else group]
    training = [_training(f, models) if shown.way.startswith(TRAINING) else NOTHING for f in seeds]
    return {
        "name": label,
        "group": group,
        "way": shown.way,
        "part": part.name,
        **asdict(accuracy(evaluations)),
        "by_seed": [e.accuracy.accuracy for e in evaluations],
        "completion_tokens": _completion_tokens(shown, tokens, summaries),
        "format": fmean(e.format for e in evaluations),
        "question_tokens": tokens,
        "question_seconds": fmean(map(_seconds, evaluations, summaries)),
        "question_flops": sampled(parameters, tokens) * (2 if scored else 1),
        "training": {name: fmean(each[name] for each in training) for name in NOTHING},
        "memory_bytes": max(f.memory_bytes for f in seeds),
        "verdicts": [path.relative_to(root).as_posix() for path in paths],
        "apart": _apart(seeds[0], shown, models, scored),
        **{name: _probed(seeds, shown, name) for name in ("longer", "requests")},
    }


def accuracy(evaluations: Sequence[Evaluation]) -> Accuracy:
    """The accuracy over the seeds that the evaluations are of, on the same questions."""
    if len(evaluations) == 1:
        return evaluations[0].accuracy
    return wilson_of_means(_means(evaluations), len(evaluations))


def _means(evaluations: Sequence[Evaluation]) -> list[float]:
    """For each question the share of seeds that were right."""
    columns = ([verdict.correct for verdict in e.verdicts] for e in evaluations)
    return [fmean(each) for each in zip(*columns, strict=True)]


def difference(row: Row, other: Row, root: Path) -> dict[str, float | None]:
    """A row's accuracy less another's on the same questions, with its interval.

    ``p`` is McNemar's, and None over several seeds.
    """
    now, was = ([Evaluation.load(root / path) for path in r["verdicts"]] for r in (row, other))
    if len(now) == len(was) == 1:
        pair = paired(was[0].verdicts, now[0].verdicts)
        return {"difference": pair.difference, "low": pair.low, "high": pair.high, "p": pair.p}
    over = interval_of_means([a - b for a, b in zip(_means(now), _means(was), strict=True)])
    return {"difference": over.mean, "low": over.low, "high": over.high, "p": None}


def _seconds(evaluation: Evaluation, summary: Mapping[str, Any]) -> float:
    if evaluation.seconds:
        return evaluation.seconds / len(evaluation.verdicts)
    # A vote's samples are drawn for all its strategies together: its pace is that of its run.
    return float(evaluation.mean_tokens * summary["seconds"] / max(summary["tokens_sampled"], 1))


def _completion_tokens(
    shown: Shown, tokens: float, summaries: Sequence[Mapping[str, Any]]
) -> float:
    one = [
        row["tokens"]
        for summary in summaries
        for row in summary.get("strategies", ())
        if "vote" in shown.way and (row["name"], row["n"]) == ("majority", 1)
    ]
    return fmean(one) if one else tokens


def _training(finished: Finished, models: Models) -> dict[str, float]:
    """What training the model of a job has cost."""
    job = finished.needs.get(finished.part.model, finished)
    parameters = models.parameters[models.start(job.part)]
    taught = job.part.command == "distill"
    return spent_by(
        job.run, job.summary, parameters, models.parameters.get(models.teacher) if taught else None
    )


def spent_by(
    run: Run, summary: Mapping[str, Any], parameters: int, sampler: int | None = None
) -> dict[str, float]:
    """What a run of a command that trains has spent; sampler as of `costs.spent`."""
    seconds = run.record["seconds"]["training"]
    if summary["command"] == "distill":
        seconds += summary["rollout_seconds"]
    return {
        "tokens_sampled": summary["tokens_sampled"],
        "tokens_trained": summary["tokens_trained"],
        "seconds": seconds,
        "flops": spent(summary, parameters, sampler),
    }


def _apart(finished: Finished, shown: Shown, models: Models, scored: bool) -> list[dict[str, Any]]:
    found: list[tuple[str, float | None, float | None]] = []
    trainer = finished.needs.get(finished.part.model, finished)
    if models.teacher and trainer.part.command == "distill" and shown.way != "base":
        found.append((f"the training of {models.teacher}", *models.teacher_spent))
    if scored:
        made = finished.needs[finished.part.verifier].summary
        flops = spent(made, models.parameters[models.base])
        found.append(("the training of the verifier", flops, made["seconds"]))
    return [dict(zip(("what", "flops", "seconds"), each, strict=True)) for each in found]


def _probed(seeds: Sequence[Finished], shown: Shown, name: str) -> dict[str, float] | None:
    paths = [finished.evaluation(probe_name(name, shown)) for finished in seeds]
    if not shown.probed or not all(path.exists() for path in paths):
        return None
    found = [Evaluation.load(path) for path in paths]
    return {**asdict(accuracy(found)), "mean_tokens": fmean(e.mean_tokens for e in found)}


def probe_name(name: str, shown: Shown) -> str:
    """The name of a probe's evaluation in the run of a part."""
    return f"{name}-{shown.wording}" if shown.wording else name


def curve(finished: Finished, models: Models) -> list[dict[str, float]]:
    """Validation accuracy over FLOPs spent by then, each time that a run looked; [] if it can't.

    What a stage samples before it trains, such as traces, is spent before its first point.
    """
    if finished.part.command not in TRAINING:
        return []
    summary, parameters = finished.summary, models.parameters[models.start(finished.part)]
    totals = {finished.run.path: _training(finished, models)["flops"]}
    if "stages" in summary:
        # The first row is the base, which nothing was spent on.
        totals = {
            finished.run.stages / row["name"]: spent(row, parameters)
            for row in summary["stages"][1:]
        }
    points, before = [], 0.0
    for path, total in totals.items():
        records = list(read_records(path / "metrics.jsonl"))
        for record in (r for r in records if "validation" in r):
            now = before + (total - spent(records[-1], parameters) + spent(record, parameters))
            kept = {n: record[n] for n in ("validation", "validation_low", "validation_high")}
            points.append({"flops": now, **kept})
        before += total
    return points
