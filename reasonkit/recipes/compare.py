"""``reasonkit compare``: the ways side by side, from one base, on the same test questions.

The order of things: names are resolved, data and every part's settings are checked; only then is a
run made, and each part carried out by a process of its own inside of it. What their models were not
trained on is asked last. Rows and findings come from the files of the parts alone.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from statistics import fmean
from typing import Any

from reasonkit import console, resuming, running, runs
from reasonkit.comparison import costs, findings, probes
from reasonkit.comparison.costs import COINS, Budget, Prices
from reasonkit.comparison.parts import ABACUS, Job, data_of, jobs, key_of, left_out, resolved
from reasonkit.comparison.process import carry_out
from reasonkit.comparison.rows import Finished, Models, curve, rows, spent_by
from reasonkit.config import CompareConfig, Invocation
from reasonkit.errors import RefusedError
from reasonkit.evaluation import Evaluation
from reasonkit.models.loading import load_tokenizer
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.plan import Plan, by_model, settle
from reasonkit.plan.policy import prompt_room
from reasonkit.provenance import fingerprint

COMMAND = "compare"
PROBES, QUICK_PROBES = 200, 100
"""Questions of each kind that models are asked beyond the task."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before a run is made; no budget means the usual settings."""

    plan: Plan[CompareConfig]
    programs: bool
    jobs: list[Job]
    models: Models
    budget: Budget | None


def run(config: CompareConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run, of which it keeps what is done.

    Raises:
        RefusedError: before anything is made.
        RunError: when a part can't go on.
    """
    if resuming.is_done(config, invocation):
        return
    prepared = _prepare(config)
    data = fingerprint(prepared.plan.data, data_of(prepared.jobs))
    resuming.require_usable(invocation, data)
    if not invocation.resume:
        _look_ahead(prepared)
    if invocation.dry_run:
        return
    made = running.begin(COMMAND, prepared.plan.config, invocation, data)
    running.carry_out(made, lambda: _compare(made, prepared), invocation.json)


def _prepare(config: CompareConfig) -> Prepared:
    budget = costs.parse(config.budget) if config.budget else None
    config = resolved(config)
    # Kept as it is asked for: what a registry fills in for the base isn't what it does for others.
    plan = dataclasses.replace(settle(config), config=config)
    programs = any(example.tests for example in plan.splits.test)
    if programs and budget is not None:
        raise RefusedError(
            f"--budget: it goes by the length of the base's answers, which no part measures where "
            f"programs are asked for, as of {config.task}: pass --set instead"
        )
    student, teacher = config.student or "", config.teacher or ""
    found = {name: resolve(name) for name in (config.model, teacher, student) if name}
    for model in found.values():
        load_tokenizer(model)
        prompt_room(model, by_model(config, model.entry))
    sizes = {name: costs.parameters_of(model) for name, model in found.items()}
    for name, parameters in sizes.items():
        if not parameters and budget is not None:
            raise RefusedError(f"--budget: nobody knows how many parameters {name} has")
    made = jobs(config, programs)
    models = Models(config.model, student, teacher, sizes)
    if teacher:
        spent = _teacher_spent(Path(teacher), found[teacher], sizes[teacher])
        models = dataclasses.replace(models, teacher_spent=spent)
    return Prepared(plan, programs, made, models, budget)


def _teacher_spent(
    path: Path, model: ResolvedModel, parameters: int
) -> tuple[float | None, float | None]:
    """FLOPs and seconds of the teacher's training, where its entry or its run tells."""
    if model.entry.made is not None:
        drawn, learned, seconds = model.entry.made
        counted = {"tokens_sampled": drawn, "tokens_trained": learned}
        return costs.spent(counted, parameters), seconds
    summary = path / "summary.json"
    if summary.exists() and (path / "run.json").exists():
        found = json.loads(summary.read_text(encoding="utf-8"))
        if found["command"] in ("grpo", "sft-rl"):
            spent = spent_by(runs.open_run(path), found, parameters)
            return spent["flops"], spent["seconds"]
    return None, None


def _look_ahead(prepared: Prepared) -> None:
    config = prepared.plan.config
    listed = [(job.name, f"reasonkit {job.part.command}", job.part.what) for job in prepared.jobs]
    console.err.print(console.table("parts", ("part", "command", "what it is"), listed))
    for name, reason in left_out(config, prepared.programs).items():
        console.note(f"left out: {name}: {reason}")
    if prepared.budget is not None:
        console.note(
            f"each way may spend {config.budget}; a worked completion is as long as the base's, "
            "which is measured first"
        )
        for command in {job.part.command: None for job in prepared.jobs}:
            if command in COINS:
                console.note(f"{command}: --{COINS[command].setting}; {COINS[command].arithmetic}")


def _compare(made: runs.Run, prepared: Prepared) -> dict[str, Any]:
    folder = made.path.absolute() / "parts"
    done: dict[str, Finished] = {}
    keys: dict[str, str] = {}
    bought: dict[str, str] = {}
    for number, job in enumerate(prepared.jobs, start=1):
        settings = dict(job.settings)
        measured = {shown.way for shown in job.part.shown} == {"base"}
        if prepared.budget and job.part.command in COINS and not measured:
            settings |= _within(prepared.budget, job, prepared.models, done, bought)
        keys[job.name] = key_of(job, settings, keys)
        for part, name in job.needs.items():
            settings["verifier" if part == job.part.verifier else "model"] = str(folder / name)
        started = time.monotonic()
        with console.latest(f"{number}/{len(prepared.jobs)} {job.name}") as show:
            path = folder / job.name
            worked, peak = carry_out(path, job.part.command, settings, keys[job.name], show)
        took = f"{time.monotonic() - started:.0f} s" if worked else "is there already"
        console.note(f"{number}/{len(prepared.jobs)} {job.name}: {took}")
        needs = {part: done[name] for part, name in job.needs.items()}
        done[job.name] = Finished(job.part, runs.open_run(path), peak, needs)
    config = prepared.plan.config
    count = min(QUICK_PROBES if config.quick else PROBES, config.test_size)
    longer = probes.longer_expressions(count) if config.task == "arithmetic" else []
    # Others answer a request as well in other words.
    requests = probes.requests(count) if config.model in ABACUS else []
    for finished in done.values():
        probes.ask(finished, prepared.plan, {"longer": longer, "requests": requests})
    return _summary(made, prepared, list(done.values()), bought)


def _within(
    budget: Budget, job: Job, models: Models, done: dict[str, Finished], bought: dict[str, str]
) -> dict[str, Any]:
    """The setting that keeps a job within the budget; says so in ``bought``."""
    base = next(finished for finished in done.values() if finished.part.name == "base")
    coin, summary = COINS[job.part.command], base.summary
    worded = Evaluation.load(base.evaluation("step-by-step"))
    drawn = costs.sampled(models.parameters[models.base], summary["tokens_sampled"])
    flops = budget.in_flops(drawn / summary["seconds"])
    parameters, tokens = models.parameters[models.start(job.part)], worded.mean_tokens
    prompt = fmean(len(v.question) for v in worded.verdicts) + costs.TEMPLATE
    reads = len(worded.verdicts) * (2 if job.part.verifier in job.needs else 1)
    prices = Prices(
        resolve(models.start(job.part)).entry,
        drawn=costs.sampled(parameters, tokens),
        taught=costs.sampled(models.parameters.get(models.teacher, 0), tokens),
        learned=costs.trained(parameters, tokens + prompt),
        voted=costs.sampled(parameters, tokens * reads),
    )
    value = coin.bought(job.name, flops, prices, job.settings)
    shown = " ".join(value) if isinstance(value, list) else value
    bought[job.name] = f"--{coin.setting} {shown}: {flops:.2g} FLOPs; {coin.arithmetic}"
    console.note(f"{job.name}: {bought[job.name]}")
    return {coin.setting: value}


def _summary(
    made: runs.Run, prepared: Prepared, done: list[Finished], bought: dict[str, str]
) -> dict[str, Any]:
    config, root = prepared.plan.config, made.path.absolute()
    found = rows(done, prepared.models, root)
    curves = {finished.run.path.name: curve(finished, prepared.models) for finished in done}
    parts = [
        {
            "name": finished.run.path.name,
            "command": finished.part.command,
            "what": finished.part.what,
            "seconds": finished.summary["seconds"],
            "memory_bytes": finished.memory_bytes,
        }
        for finished in done
    ]
    seconds = sum(float(part["seconds"]) for part in parts)
    return {
        "seeds": config.seeds,
        "budget": config.budget,
        "bought": bought,
        "parameters": dict(prepared.models.parameters),
        "rows": found,
        "curves": {name: points for name, points in curves.items() if points},
        "findings": findings.sentences(found),
        "rules": findings.rules(found, root),
        "parts": parts,
        "seconds": seconds,
    }
