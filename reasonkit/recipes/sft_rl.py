"""``reasonkit sft-rl``: the full R1 recipe (DeepSeek-AI, arXiv:2501.12948, section 2.3).

The order of things: names are resolved, data is read and checked; only then is a run made, the
untrained model measured on the test questions, the stages done one after the other, each a run of
its own under ``stages/`` that begins with what the one before has saved, and the last policy
measured on the same test questions. Between them only the validation split is looked at.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import console, learning, measuring, processes, resuming, running
from reasonkit.config import (
    DistillConfig,
    DType,
    GrpoConfig,
    Invocation,
    SftRlConfig,
    TrainingConfig,
    to_mapping,
)
from reasonkit.generation.engine import TokenEngine, open_engine
from reasonkit.models.loading import load_model
from reasonkit.models.resolving import resolve
from reasonkit.plan import Plan, distill, fitting, grpo, policy
from reasonkit.plan import sft_rl as planning
from reasonkit.plan.sft_rl import Stage
from reasonkit.provenance import fingerprint
from reasonkit.report.card import model_card
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.tasks import generated, recorded
from reasonkit.traces import lessons, teacher
from reasonkit.traces.sampling import write_lines
from reasonkit.training.checkpoints import MANIFEST

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

COMMAND = "sft-rl"
CHATS, GENERAL = 50, "general"
"""How many general chats the rejection stage learns where they are not the user's own, and the
task that they are of."""


def run(config: SftRlConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run, at its first unfinished stage.

    Raises:
        RefusedError: before anything is made.
        RunError: when it can't go on.
    """
    if resuming.is_done(config, invocation):
        return
    plan = planning.settle(config)
    given = plan.config.general_chats
    chats = recorded.read(Path(given), ()) if given else []
    traces = [lessons.given(Path(config.traces), plan, None)] if config.traces else []
    data = fingerprint(plan.data, chats, *traces)
    resuming.require_usable(invocation, data)
    general = [plan.config.general_task or "none", *(plan.config.general_reward or [])]
    stages = [(str(stage.name), stage.summary) for stage in planning.chosen(plan.config)]
    rows = [("model", plan.config.model), *plan.rows(), ("general", ", ".join(general))]
    console.err.print(console.table("plan", ("", ""), [*rows, *stages]))
    if invocation.dry_run:
        return
    # What takes long to import comes once names and data are known to be good.
    from reasonkit.training import adapters

    plan, tokenizer, base = policy.load(plan)
    for settings in planning.all_settings(plan):
        adapters.adapter(settings, plan.model.entry.lora_targets, base)
    made = running.begin(COMMAND, plan.config, invocation, data, plan.model.made_from)
    made.write_config(to_mapping(plan.config))
    engine = open_engine(plan.config, base, tokenizer, trains=True, columns=plan.columns)
    running.carry_out(made, lambda: _make(made, plan, engine, base), invocation.json)


def _make(
    made: Run,
    plan: Plan[SftRlConfig],
    engine: TokenEngine,
    base: PreTrainedModel,
) -> dict[str, Any]:
    config = plan.config
    engine.use(base, _products(plan))
    before = measuring.measure_before(made, engine, plan)
    general = {"before": measuring.general(made, "general-before", engine, plan, "test")}
    rows = [{"name": "base", **measuring.appraise(made, "base", engine, plan)}]
    written = _write_chats(made, plan, engine)
    # The stages load what they begin with; whoever still holds this one holds no weights.
    base.to("meta")
    start, last = config.model, ""
    for stage in planning.chosen(plan.config):
        done = _do(made, plan, engine, stage, start, last, written)
        rows.append({"name": str(stage.name), **done["stage"]})
        start = str((made.stages / stage.name).absolute())
        last = processes.from_main(partial(_fingerprint, made.stages / stage.name / "final"))
    processes.from_main(lambda: _forget_another_end(made, last))
    model = load_model(resolve(start), policy.place(config), str(DType.float32))
    engine.use(model, _products(plan))
    after = measuring.measure(made, "after", engine, plan, plan.splits.test)
    general["after"] = measuring.general(made, "general-after", engine, plan, "test")
    spent = {
        name: sum(row[name] for row in rows[1:])
        for name in ("tokens_sampled", "tokens_trained", "seconds")
    }
    compared = before.compared(after)
    summary = {
        **compared,
        "form": {"before": measuring.form(before.asked), "after": measuring.form(after)},
        "general": {
            when: {reward: dataclasses.asdict(mean) for reward, mean in means.items()}
            for when, means in general.items()
        },
        "manner": {when: measuring.manner(made, f"general-{when}") for when in general},
        "stages": rows,
        **spent,
        "seconds": spent["seconds"] + compared["evaluation_seconds"],
        "training_seconds": spent["seconds"],
    }
    learning.save(made, model, engine.tokenizer, summary)
    return summary


def _fingerprint(final: Path) -> str:
    """A hash of what a stage has made, but for its card, which tells what that took."""
    files = json.loads((final / MANIFEST).read_bytes())["files"]
    files.pop("README.md", None)
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _products(plan: Plan[SftRlConfig]) -> torch.dtype | None:
    """What the base and each stage's policy are measured in: alike, to be compared."""
    from reasonkit.models import precision

    adapted = any(settings.lora for settings in planning.all_settings(plan))
    return None if adapted else precision.products(plan.config)


def _write_chats(made: Run, plan: Plan[SftRlConfig], engine: TokenEngine) -> str | None:
    """The file of general chats; those that aren't the user's own are written into the run.

    What the base says itself, learned again, is what it would else forget (Li and Hoiem,
    arXiv:1606.09282, for classes); answers that are cut off aren't.
    """
    config, path = plan.config, made.path / "chats.jsonl"
    if config.general_chats or plan.general is None:
        return config.general_chats
    chats: list[list[dict[str, Any]]] = []
    if config.general_task == GENERAL:
        chats = generated.chats(CHATS)
    elif not processes.from_main(path.exists):
        for group in measuring.answered(engine, plan.general.train, plan.longest):
            said = group.completions[0]
            if said.finish_reason == "stop":
                answer = {"role": "assistant", "content": said.text}
                chats.append([*group.example.messages, answer])

    def keep() -> None:
        if chats or not path.exists():
            write_lines(path, [{"messages": chat} for chat in chats])

    processes.from_main(keep)
    return str(path) if path.read_bytes() else None


def _forget_another_end(made: Run, last: str) -> None:
    """Drops what was measured and saved of a policy that is no longer the last stage's."""
    if made.record.get("end_of", last) != last:
        for path in (made.evaluations / "after.json", made.evaluations / "general-after.json"):
            path.unlink(missing_ok=True)
        shutil.rmtree(made.final, ignore_errors=True)
    made.update(end_of=last)


def _do(
    made: Run,
    plan: Plan[SftRlConfig],
    engine: TokenEngine,
    stage: Stage,
    start: str,
    last: str,
    written: str | None,
) -> dict[str, Any]:
    """Does a stage, as far as it isn't done; its ``summary.json``.

    Args:
        start: the policy that it begins with.
        last: a hash of that policy; empty where it is the base.
        written: the file of general chats.
    """
    entry = plan.model.entry
    settings = planning.stage_settings(plan.config, stage, entry, start, written)
    hashes = {start: last} if last else {}
    console.note(f"{stage.name}: {stage.summary}")
    own: Plan[Any]
    work: Callable[[Run], dict[str, Any]]
    if isinstance(settings, GrpoConfig):
        own = grpo.settle(settings)
        work = partial(_reinforced, plan=plan, own=own, engine=engine)
    else:
        if settings.general is not None:
            general = Path(settings.general).read_bytes()
            hashes[settings.general] = hashlib.sha256(general).hexdigest()
        own = distill.settle(settings)
        if settings.traces is not None:
            traces = lessons.given(Path(settings.traces), own, None)
            hashes[settings.traces] = fingerprint(traces)
        work = partial(_supervised, plan=plan, own=own, engine=engine)
    digest = running.digest(settings, hashes, own.data)
    return running.do_stage(made, stage.name, stage.command, settings, digest, work)


def _supervised(
    run: Run, plan: Plan[SftRlConfig], own: Plan[DistillConfig], engine: TokenEngine
) -> dict[str, Any]:
    """Traces of the teacher or the policy so far, filtered, and a policy that learns them."""
    own, tokenizer, model = policy.load(own)
    found = teacher.find(own.config)
    traces = own.config.traces
    given = lessons.given(Path(traces), own, None) if traces else []
    learned = lessons.gather(run, own, tokenizer, found or given)
    if found is not None:
        found.release()
    tuned = learning.supervise(run, own, engine, model, learned.rows)
    spent = {
        "tokens_sampled": learned.tokens,
        "tokens_trained": tuned.counters.tokens_trained,
        "seconds": learned.seconds + tuned.counters.seconds,
    }
    finished = _finished(run, plan, own.config, engine, tuned.policy, spent)
    predicted = fitting.predicted(own, [len(row.ids) for row in learned.rows])
    memory = fitting.beside(predicted, tuned.memory)
    rows = {"filters": learned.sifted.rows(), "traces": len(learned.rows)}
    return {**rows, **finished, "memory": memory}


def _reinforced(
    run: Run, plan: Plan[SftRlConfig], own: Plan[GrpoConfig], engine: TokenEngine
) -> dict[str, Any]:
    """Reinforcement of the policy so far."""
    own, _, model = policy.load(own)
    guard = Guard(own.rewards, own.config.reward_timeout)
    trained = learning.reinforce(run, own, engine, model, guard)
    spent = {
        "tokens_sampled": trained.counters.tokens_sampled,
        "tokens_trained": trained.counters.tokens_trained,
        "seconds": trained.counters.seconds,
    }
    finished = _finished(run, plan, own.config, engine, trained.policy, spent)
    predicted = fitting.predicted(own, fitting.longest(run.completions()))
    return {**finished, "memory": fitting.beside(predicted, trained.memory)}


def _finished(
    run: Run,
    plan: Plan[SftRlConfig],
    settings: TrainingConfig,
    engine: TokenEngine,
    trained: PreTrainedModel,
    spent: dict[str, float],
) -> dict[str, Any]:
    """Appraises what a stage has made, saves it, and says what it took."""
    from reasonkit.training import final

    model = final.to_measure(trained, run.final, settings.keep_adapter and run.leads)
    engine.use(model, _products(plan))
    row = {**measuring.appraise(run, "validation", engine, plan), **spent}
    done = {"stage": row, **spent, "peak_memory_bytes": measuring.peak_memory()}
    if run.leads and not run.final.exists():
        stage = f"{run.path.name}, a stage of `reasonkit {COMMAND}`"
        about = f"After {stage}. The test questions were not looked at."
        final.save(model, engine.tokenizer, run.final, model_card(run, done, about))
    model.to("meta")
    return done
