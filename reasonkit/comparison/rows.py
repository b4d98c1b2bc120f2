"""The rows of a comparison: accuracy and cost of each way, from what the parts' runs hold.

Every row is about the same test questions. Where a part was run with several seeds, a question
counts with its mean over them, and the interval is one over questions; what the seeds came to apart
stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from reasonkit.comparison.costs import Spent, cheaper_from, sampled, trained
from reasonkit.comparison.parts import BASE, PARTS, STUDENT, Part, Shown
from reasonkit.evaluation import Evaluation, paired
from reasonkit.runs import Run
from reasonkit.statistics import Accuracy, interval_of_means, wilson_of_means


@dataclass(frozen=True, slots=True)
class Probed:
    """How a row's model does on what it was not trained on."""

    accuracy: float
    low: float
    high: float
    n: int
    mean_tokens: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy less that of another row on the same questions; p is None over several seeds."""

    difference: float
    low: float
    high: float
    p: float | None


@dataclass(frozen=True, slots=True)
class Apart:
    """Training that a row rests on and that is not counted in it; None is not known."""

    what: str
    flops: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """A way and what it came to.

    Attributes:
        name: unique in a comparison.
        group: the model that it starts from.
        way: as of `parts.Shown`.
        part: name of the part that has made it.
        accuracy: share of right answers, with its 95 % interval from ``low`` to ``high``.
        n: test questions.
        by_seed: accuracy with each seed.
        completion_tokens: mean length of one completion.
        format: share of completions in the think-answer format.
        question_tokens: tokens sampled a question.
        question_seconds: seconds a question, at the pace at which all were answered.
        question_flops: FLOPs a question.
        training: what was spent once.
        apart: what was spent once by others.
        memory_bytes: the most that the process held that has trained or sampled.
        verdicts: paths of the evaluations, from the comparison's run.
        longer: expressions that are longer than any that was trained on.
        requests: everyday requests.
        to_base: less the group's base, asked directly.
        to_best: less the best row of the group.
        best: whether it is that.
        cheaper_from: queries from which it costs less than ``cheaper_than``, training included.
        cheaper_than: the best vote on the group's base.
    """

    name: str
    group: str
    way: str
    part: str
    accuracy: float
    low: float
    high: float
    n: int
    by_seed: list[float]
    completion_tokens: float
    format: float
    question_tokens: float
    question_seconds: float
    question_flops: float
    training: Spent
    memory_bytes: int
    verdicts: list[str]
    apart: list[Apart] = field(default_factory=list)
    longer: Probed | None = None
    requests: Probed | None = None
    to_base: Difference | None = None
    to_best: Difference | None = None
    best: bool = False
    cheaper_from: int | None = None
    cheaper_than: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that is done.

    Attributes:
        part: the entry of the table.
        run: what it has left.
        peak_memory_bytes: of its process, as the system counts it.
        trained_by: the job that trained its model, where another one has.
        verifier: the job that trained its verifier, where it has one.
    """

    part: Part
    run: Run
    peak_memory_bytes: int = 0
    trained_by: Finished | None = None
    verifier: Finished | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """Its ``summary.json``."""
        return dict(json.loads((self.run.path / "summary.json").read_text(encoding="utf-8")))

    @property
    def memory_bytes(self) -> int:
        """On the GPU where there is one, else of its process."""
        return int(self.summary.get("peak_memory_bytes") or self.peak_memory_bytes)


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a comparison, with their parameters.

    Attributes:
        base: its name.
        student: that of the smaller one; empty for none.
        teacher: that of the teacher; empty for none.
        parameters: of each, by name; 0 where that isn't known.
        teacher_spent: what it took to train the teacher, where that is known.
    """

    base: str
    student: str
    teacher: str
    parameters: Mapping[str, int]
    teacher_spent: Spent | None = None


def rows(done: Sequence[Finished], models: Models, root: Path) -> list[Row]:
    """All rows, in the order of the table of parts.

    Args:
        done: every finished job; those of one part are its seeds.
        root: the comparison's run directory.
    """
    by_part: dict[str, list[Finished]] = {}
    for finished in done:
        by_part.setdefault(finished.part.name, []).append(finished)
    made: list[Row] = []
    for name in (name for name in PARTS if name in by_part):
        seeds = by_part[name]
        made += [r for s in PARTS[name].shown if (r := _row(seeds, s, models, root)) is not None]
        # Where programs are asked for there is no vote that measures the base.
        if not any(r.way == "base" and r.group == group_of(PARTS[name], models) for r in made):
            before = (
                Shown("{model}, asked directly", "before", "base"),
                Shown("{model}, step by step", "before-step-by-step", "base"),
            )
            found = [r for s in before if (r := _row(seeds, s, models, root)) is not None]
            made = [*made[: -len(PARTS[name].shown)], *found, *made[-len(PARTS[name].shown) :]]
    return _compared(_distinct(made), root)


def _distinct(made: Sequence[Row]) -> list[Row]:
    """The first row of each name: a teacher that two parts have measured is one row."""
    kept: dict[str, Row] = {}
    for r in made:
        kept.setdefault(r.name, r)
    return list(kept.values())


def group_of(part: Part, models: Models) -> str:
    """The name of the model that a part starts from, in the end."""
    root = part
    while root.model not in (BASE, STUDENT):
        root = PARTS[root.model]
    return models.student if root.model == STUDENT else models.base


def _row(seeds: Sequence[Finished], shown: Shown, models: Models, root: Path) -> Row | None:
    paths = [f.run.evaluations / f"{shown.evaluation}.json" for f in seeds]
    if not all(path.exists() for path in paths):
        return None
    evaluations = [Evaluation.load(path) for path in paths]
    part, summaries = seeds[0].part, [f.summary for f in seeds]
    group = group_of(part, models)
    answers = models.teacher if shown.way == "teacher" else group
    parameters = models.parameters[answers]
    accuracy, tokens = _accuracy(evaluations), fmean(e.mean_tokens for e in evaluations)
    scored = shown.evaluation == "best-of-n" and seeds[0].verifier is not None
    label = shown.label.format(
        model=group, n=summaries[0].get("n"), teacher=models.teacher.rstrip("/").rpartition("/")[2]
    )
    if shown.evaluation == "best-of-n":
        label += ", by a verifier" if scored else ", by confidence"
    flops = sampled(parameters, tokens) * (2 if scored else 1)
    seconds = [_seconds(e, s) for e, s in zip(evaluations, summaries, strict=True)]
    return Row(
        name=label,
        group=group,
        way=shown.way,
        part=part.name,
        **asdict(accuracy),
        by_seed=[e.accuracy.accuracy for e in evaluations],
        completion_tokens=_completion_tokens(shown, tokens, summaries),
        format=fmean(e.format for e in evaluations),
        question_tokens=tokens,
        question_seconds=fmean(seconds),
        question_flops=flops,
        training=_mean([spent_on(f, models) for f in seeds]) if shown.trained else Spent(),
        apart=_apart(seeds[0], shown, models, scored),
        memory_bytes=max(f.memory_bytes for f in seeds),
        verdicts=[path.relative_to(root).as_posix() for path in paths],
        longer=_probed(seeds, shown, "longer"),
        requests=_probed(seeds, shown, "requests"),
    )


def _accuracy(evaluations: Sequence[Evaluation]) -> Accuracy:
    if len(evaluations) == 1:
        return evaluations[0].accuracy
    values = [fmean(each) for each in _right(evaluations)]
    return wilson_of_means(values, len(evaluations))


def _right(evaluations: Sequence[Evaluation]) -> list[tuple[bool, ...]]:
    """For each question whether it was right, by seed."""
    columns = [[v.correct for v in e.verdicts] for e in evaluations]
    return list(zip(*columns, strict=True))


def _seconds(evaluation: Evaluation, summary: Mapping[str, Any]) -> float:
    if evaluation.seconds:
        return evaluation.seconds / len(evaluation.verdicts)
    # A vote's samples are drawn for all its strategies together: its pace is that of its run.
    return float(evaluation.mean_tokens * summary["seconds"] / max(summary["tokens_sampled"], 1))


def _completion_tokens(
    shown: Shown, tokens: float, summaries: Sequence[Mapping[str, Any]]
) -> float:
    if "vote" not in shown.way:
        return tokens
    one = [
        row["tokens"]
        for summary in summaries
        for row in summary["strategies"]
        if row["name"] == "majority" and row["n"] == 1
    ]
    return fmean(one) if one else tokens


def spent_on(finished: Finished, models: Models) -> Spent:
    """What training the model of a job has cost."""
    job = finished.trained_by or finished
    parameters = models.parameters[group_of(job.part, models)]
    sampler = models.parameters[models.teacher] if job.part.taught else parameters
    return spent_by(job.run, job.summary, parameters, sampler)


def spent_by(run: Run, summary: Mapping[str, Any], parameters: int, sampler: int) -> Spent:
    """What a run of a command that trains has spent.

    Args:
        parameters: of what it trains.
        sampler: parameters of what it samples from.
    """
    seconds = run.record["seconds"]["training"]
    if summary["command"] == "distill":
        seconds += summary["rollout_seconds"]
    drawn, learned = summary["tokens_sampled"], summary["tokens_trained"]
    flops = sampled(sampler, drawn) + trained(parameters, learned)
    return Spent(drawn, learned, seconds, flops)


def _mean(spent: Sequence[Spent]) -> Spent:
    columns = [list(asdict(each).values()) for each in spent]
    return Spent(*(fmean(values) for values in zip(*columns, strict=True)))


def _apart(finished: Finished, shown: Shown, models: Models, scored: bool) -> list[Apart]:
    job = finished.trained_by or finished
    found = []
    if job.part.taught and shown.way != "base":
        known = models.teacher_spent
        teacher = f"the training of {models.teacher}"
        found.append(Apart(teacher, *((known.flops, known.seconds) if known else (None, None))))
    if scored:
        assert finished.verifier is not None
        made = finished.verifier
        summary = made.summary
        parameters = models.parameters[models.base]
        flops = sampled(parameters, summary["tokens_sampled"])
        flops += trained(parameters, summary["tokens_trained"])
        found.append(Apart("the training of the verifier", flops, summary["seconds"]))
    return found


def _probed(seeds: Sequence[Finished], shown: Shown, name: str) -> Probed | None:
    file = probe_name(name, shown)
    paths = [finished.run.evaluations / f"{file}.json" for finished in seeds]
    if not shown.probed or not all(path.exists() for path in paths):
        return None
    found = [Evaluation.load(path) for path in paths]
    accuracy = _accuracy(found)
    return Probed(**asdict(accuracy), mean_tokens=fmean(e.mean_tokens for e in found))


def probe_name(name: str, shown: Shown) -> str:
    """The name of a probe's evaluation in the run of a part."""
    return f"{name}-{shown.wording}" if shown.wording else name


def _compared(made: Sequence[Row], root: Path) -> list[Row]:
    """The rows with their differences to base and best of their group, and the cross-overs."""
    evaluations = {r.name: [Evaluation.load(root / path) for path in r.verdicts] for r in made}
    compared = []
    for r in made:
        group = [other for other in made if other.group == r.group and other.way != "teacher"]
        base = next((other for other in group if other.way == "base"), None)
        best = max(group, key=lambda other: other.accuracy)
        votes = [other for other in group if other.way == "vote"]
        vote = max(votes, key=lambda other: (other.accuracy, -other.question_flops), default=None)
        own = evaluations[r.name]
        compared.append(
            replace(
                r,
                to_base=_difference(evaluations[base.name], own) if base else None,
                to_best=_difference(evaluations[best.name], own),
                best=r is best,
                cheaper_from=(
                    cheaper_from(r.training.flops, r.question_flops, vote.question_flops)
                    if vote and r.training.flops
                    else None
                ),
                cheaper_than=vote.name if vote and r.training.flops else None,
            )
        )
    return compared


def _difference(before: Sequence[Evaluation], after: Sequence[Evaluation]) -> Difference:
    if len(before) == len(after) == 1:
        pair = paired(before[0].verdicts, after[0].verdicts)
        return Difference(pair.difference, pair.low, pair.high, pair.p)
    gaps = [fmean(now) - fmean(was) for was, now in zip(_right(before), _right(after), strict=True)]
    over = interval_of_means(gaps)
    return Difference(over.mean, over.low, over.high, None)


def difference(one: Row, other: Row, root: Path) -> Difference:
    """A row's accuracy less another's, on the same questions."""
    before, after = ([Evaluation.load(root / path) for path in r.verdicts] for r in (other, one))
    return _difference(before, after)
