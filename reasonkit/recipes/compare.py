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

from rich.status import Status
from rich.text import Text

from reasonkit import console, measuring, running, runs
from reasonkit.comparison import budget, findings, probes
from reasonkit.comparison.budget import COINS, Budget, Prices
from reasonkit.comparison.costs import Spent, parameters_of, sampled, trained
from reasonkit.comparison.curves import curve
from reasonkit.comparison.parts import BASE, STUDENT
from reasonkit.comparison.planning import Job, data_of, jobs, key_of, left_out, resolved
from reasonkit.comparison.process import Workshop
from reasonkit.comparison.rows import Finished, Models, probe_name, rows, spent_by
from reasonkit.config import CompareConfig, Invocation
from reasonkit.errors import RefusedError
from reasonkit.evaluation import Evaluation
from reasonkit.models.loading import ResolvedModel, load_tokenizer, resolve
from reasonkit.plan import Plan, by_model, settle
from reasonkit.plan.policy import load_policy, prompt_room, quiet
from reasonkit.prompts import led_by
from reasonkit.provenance import fingerprint
from reasonkit.types import Example

COMMAND = "compare"
PROBES = 200
QUICK_PROBES = 100
"""Questions of each kind that models are asked beyond the task."""


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before a run is made.

    Attributes:
        plan: of the comparison's own settings.
        jobs: in the order in which they are run.
        models: with their sizes.
        budget: what each way may spend; None for its usual settings.
        data: a hash of all that its parts read.
    """

    plan: Plan[CompareConfig]
    jobs: list[Job]
    models: Models
    budget: Budget | None
    data: str


def run(config: CompareConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run, of which it keeps what is done.

    Raises:
        RefusedError: before anything is made.
        RunError: when a part can't go on.
    """
    if running.is_done(config, invocation):
        return
    prepared = _prepare(config)
    running.require_usable(invocation, prepared.data)
    if not invocation.resume:
        _look_ahead(prepared)
    if invocation.dry_run:
        return
    made = running.begin(COMMAND, prepared.plan.config, invocation, prepared.data)
    running.carry_out(made, lambda: _compare(made, prepared), invocation.json)


def _prepare(config: CompareConfig) -> Prepared:
    spending = budget.parse(config.budget) if config.budget else None
    config = resolved(config)
    # Kept as it is asked for: what a registry fills in for the base isn't what it does for others.
    plan = dataclasses.replace(settle(config), config=config)
    programs = any(example.tests for example in plan.splits.test)
    if programs and spending is not None:
        raise RefusedError(
            f"--budget: it goes by the length of the base's answers, which no part measures where "
            f"programs are asked for, as of {config.task}: pass --set instead"
        )
    found = {name: resolve(name) for name in (config.model, config.teacher, config.student) if name}
    quiet()
    for model in found.values():
        load_tokenizer(model)
        prompt_room(model, by_model(config, model.entry))
    made = jobs(config, programs)
    teacher = config.teacher or ""
    models = Models(
        config.model,
        config.student or "",
        teacher,
        {name: parameters_of(model) for name, model in found.items()},
        _teacher_spent(found[teacher], Path(teacher)) if teacher else None,
    )
    unknown = [name for name, parameters in models.parameters.items() if not parameters]
    if unknown and spending is not None:
        raise RefusedError(f"--budget: nobody knows how many parameters {unknown[0]} has")
    data = fingerprint(plan.data, data_of(made))
    return Prepared(plan, made, models, spending, data)


def _teacher_spent(model: ResolvedModel, path: Path) -> Spent | None:
    """What the teacher's training cost, where its entry or its run tells."""
    parameters = parameters_of(model)
    if model.entry.made is not None:
        drawn, learned, seconds = model.entry.made
        return Spent(
            drawn, learned, seconds, sampled(parameters, drawn) + trained(parameters, learned)
        )
    summary = path / "summary.json"
    if not summary.exists() or not (path / "run.json").exists():
        return None
    found = json.loads(summary.read_text(encoding="utf-8"))
    if found["command"] not in ("grpo", "sft-rl"):
        return None
    return spent_by(runs.open_run(path), found, parameters, parameters)


def _look_ahead(prepared: Prepared) -> None:
    config = prepared.plan.config
    listed = [(job.name, f"reasonkit {job.part.command}", job.part.what) for job in prepared.jobs]
    console.err.print(console.table("parts", ("part", "command", "what it is"), listed))
    programs = any(example.tests for example in prepared.plan.splits.test)
    for name, reason in left_out(config, programs).items():
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
    workshop = Workshop(made.path.absolute() / "parts")
    done: dict[str, Finished] = {}
    keys: dict[str, str] = {}
    bought: dict[str, str] = {}
    for number, job in enumerate(prepared.jobs, start=1):
        settings = dict(job.settings)
        if (
            prepared.budget is not None
            and job.part.command in COINS
            and "base" not in job.part.name
        ):
            settings |= _within(job, prepared, done, bought)
        keys[job.name] = key_of(job, settings, keys)
        for part, name in job.needs.items():
            place = "verifier" if part == job.part.verifier else "model"
            settings[place] = str(workshop.run_of(name))
        started = time.monotonic()
        with console.status(f"{number}/{len(prepared.jobs)} {job.name}") as status:

            def show(line: str, status: Status = status, title: str = job.name) -> None:
                status.update(Text(f"{title}: {line[:100]}"))

            worked = workshop.carry_out(job, settings, keys[job.name], show)
        took = f"{time.monotonic() - started:.0f} s" if worked else "is there already"
        console.note(f"{number}/{len(prepared.jobs)} {job.name}: {took}")
        done[job.name] = _finished(job, workshop, done)
    _probe(prepared, list(done.values()))
    return _summary(made, prepared, list(done.values()), bought)


def _finished(job: Job, workshop: Workshop, done: dict[str, Finished]) -> Finished:
    needs = {part: done[name] for part, name in job.needs.items()}
    return Finished(
        job.part,
        runs.open_run(workshop.run_of(job.name)),
        workshop.record(job.name)["peak_memory_bytes"],
        needs.get(job.part.model),
        needs.get(job.part.verifier or ""),
    )


def _within(
    job: Job, prepared: Prepared, done: dict[str, Finished], bought: dict[str, str]
) -> dict[str, Any]:
    """The setting that keeps a job within the budget; says so in ``bought``."""
    assert prepared.budget is not None
    base = next(finished for finished in done.values() if finished.part.name == "base")
    models, coin = prepared.models, COINS[job.part.command]
    worded = Evaluation.load(base.run.evaluations / "step-by-step.json")
    summary = base.summary
    rate = sampled(models.parameters[models.base], summary["tokens_sampled"]) / summary["seconds"]
    name = models.student if job.part.model == STUDENT else models.base
    prices = Prices(
        models.parameters[name],
        models.parameters.get(models.teacher, 0),
        worded.mean_tokens,
        fmean(len(v.question) for v in worded.verdicts) + budget.TEMPLATE,
        len(worded.verdicts),
        job.part.verifier in job.needs,
    )
    flops = prepared.budget.in_flops(rate)
    entry = resolve(name).entry
    count = budget.bought(job.name, coin, flops, prices, job.settings, entry)
    value = coin.value(count, entry)
    shown = " ".join(map(str, value)) if isinstance(value, list) else value
    bought[job.name] = f"--{coin.setting} {shown}: {flops:.2g} FLOPs; {coin.arithmetic}"
    console.note(f"{job.name}: {bought[job.name]}")
    return {coin.setting: value}


def _probe(prepared: Prepared, done: list[Finished]) -> None:
    """Asks base and trained models what the task doesn't; what was asked already is kept."""
    config = prepared.plan.config
    count = min(QUICK_PROBES if config.quick else PROBES, config.test_size)
    longer = probes.longer_expressions(count) if config.task == "arithmetic" else []
    requests = probes.requests(count)
    for finished in done:
        shown = [shown for shown in finished.part.shown if shown.probed]
        wanted = [
            finished.run.evaluations / f"{probe_name(name, row)}.json"
            for row in shown
            for name in ("requests", *(["longer"] if longer else []))
        ]
        if all(path.exists() for path in wanted):
            continue
        _ask(prepared, finished, longer, requests)


def _ask(
    prepared: Prepared, finished: Finished, longer: list[Example], requests: list[Example]
) -> None:
    from reasonkit.generation.local import LocalEngine
    from reasonkit.prompts import ask

    config, part = prepared.plan.config, finished.part
    own = {BASE: config.model, STUDENT: config.student or ""}
    untrained = part.command == "vote"
    model = resolve(own[part.model] if untrained else str(finished.run.path))
    tokenizer, weights = load_policy(dataclasses.replace(prepared.plan, model=model), config.dtype)
    engine = LocalEngine(weights, tokenizer)
    prompt = finished.run.config.get("system_prompt")
    longest = finished.run.config["max_completion_tokens"]
    for shown in (shown for shown in part.shown if shown.probed):
        if longer:
            limit = longest * probes.LONGER_TOKENS
            asked_at = dataclasses.replace(config, max_completion_tokens=limit)
            plan = dataclasses.replace(prepared.plan, config=asked_at)
            name, examples = probe_name("longer", shown), led_by(prompt, longer)
            measuring.measure(finished.run, name, engine, plan, examples, shown.wording)
        path = finished.run.evaluations / f"{probe_name('requests', shown)}.json"
        if not path.exists():
            asked = [ask(e, shown.wording) for e in requests] if shown.wording else requests
            probes.answered(engine, led_by(prompt, asked), longest).save(path)


def _summary(
    made: runs.Run, prepared: Prepared, done: list[Finished], bought: dict[str, str]
) -> dict[str, Any]:
    config = prepared.plan.config
    found = rows(done, prepared.models, made.path.absolute())
    table = findings.Table(found, made.path.absolute())
    seconds = sum(float(finished.summary["seconds"]) for finished in done)
    return {
        "seeds": config.seeds,
        "budget": config.budget,
        "bought": bought,
        "parameters": dict(prepared.models.parameters),
        "rows": [dataclasses.asdict(row) for row in found],
        "curves": {
            finished.run.path.name: points
            for finished in done
            if (points := curve(finished, prepared.models))
        },
        "findings": findings.sentences(table),
        "rules": [dataclasses.asdict(rule) for rule in findings.rules(table)],
        "parts": [
            {
                "name": finished.run.path.name,
                "command": finished.part.command,
                "what": finished.part.what,
                "seconds": finished.summary["seconds"],
                "memory_bytes": finished.memory_bytes,
            }
            for finished in done
        ],
        "seconds": seconds,
    }
