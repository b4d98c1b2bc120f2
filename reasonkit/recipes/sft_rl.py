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

from reasonkit import console, running, runs
from reasonkit.config import (
    DistillConfig,
    DType,
    GrpoConfig,
    Invocation,
    SftRlConfig,
    to_mapping,
)
from reasonkit.errors import RefusedError
from reasonkit.files import write_atomically
from reasonkit.models.loading import load_model, resolve
from reasonkit.plan import Plan, load_policy, settle, without_overlong
from reasonkit.provenance import fingerprint
from reasonkit.rewards.guard import Guard
from reasonkit.stages import (
    appraisal,
    lessons,
    nested,
    pipeline,
    reinforcement,
    supervision,
    teacher,
)
from reasonkit.stages.pipeline import Inputs, Stage
from reasonkit.tasks import generated, recorded

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
    if running.is_done(config, invocation):
        return
    plan = resolve_settings(config)
    chats = plan.config.general_chats
    data = fingerprint(plan.data, recorded.read(Path(chats), ()) if chats else [])
    running.require_same_data(invocation, data)
    console.err.print(console.table("plan", ("", ""), _rows(plan)))
    if invocation.dry_run:
        return
    if not invocation.resume:
        runs.require_free(invocation.run_dir)
    from reasonkit.training import adapters

    tokenizer, base = load_policy(plan)
    for settings in _stages(plan):
        adapters.adapter(settings, plan.model.entry.lora_targets, base)
    plan = without_overlong(plan, tokenizer)
    made = running.begin(COMMAND, plan.config, invocation, data)
    made.write_config(to_mapping(plan.config))
    running.carry_out(made, lambda: _make(made, plan, tokenizer, base), invocation.json)


def resolve_settings(config: SftRlConfig) -> Plan[SftRlConfig]:
    """The plan, once all that any stage needs has been found and read.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    plan = settle(config)
    usual = plan.config.reward or []
    filled = dataclasses.replace(
        plan.config, reward=usual if config.reward else pipeline.with_language(usual)
    )
    if filled.general_task:
        second = reinforcement.second_task(filled, filled.general_task, filled.general_reward)
        filled = dataclasses.replace(filled, general_reward=second.named)
        rewards = [*plan.rewards, *second.rewards]
        plan = dataclasses.replace(plan, rewards=rewards, general=second.splits)
    elif filled.general_reward:
        raise RefusedError("--general-reward needs --general-task: rewards of which prompts?")
    if filled.general_chats:
        recorded.read(Path(filled.general_chats), ())
    inputs = Inputs(filled.model, filled.model, filled.general_chats)
    for stage in pipeline.chosen(filled):
        planned = pipeline.settings(filled, stage, plan.model.entry, inputs)
        if isinstance(planned, GrpoConfig):
            reinforcement.resolve_settings(planned)
        else:
            supervision.resolve_settings(planned)
            teacher.find(planned)
    return dataclasses.replace(plan, config=filled)


def _rows(plan: Plan[SftRlConfig]) -> list[tuple[str, str]]:
    config = plan.config
    counts = [
        f"{len(getattr(plan.splits, f.name))} {f.name}" for f in dataclasses.fields(plan.splits)
    ]
    return [
        ("model", config.model),
        ("examples", ", ".join(counts)),
        ("rewards", ", ".join(config.reward or [])),
        ("general", ", ".join([config.general_task, *(config.general_reward or [])]) or "none"),
        *((str(stage.name), stage.summary) for stage in pipeline.chosen(config)),
    ]


def _make(
    made: runs.Run,
    plan: Plan[SftRlConfig],
    tokenizer: PreTrainedTokenizerBase,
    base: PreTrainedModel,
) -> dict[str, Any]:
    from reasonkit.generation.local import LocalEngine
    from reasonkit.training import final

    config, test = plan.config, plan.splits.test
    assert config.max_completion_tokens
    longest, products = config.max_completion_tokens, _products(plan)
    engine, weaker = LocalEngine(base, tokenizer, products=products), plan.allow_weaker
    before = running.measure_before(made, engine, test, longest, config.baselines, weaker)
    general = {"before": appraisal.general(made, "general-before", engine, plan, "test")}
    rows = [{"name": "base", **appraisal.appraise(made, "base", engine, plan)}]
    # The stages load what they begin with; whoever still holds this one holds no weights.
    base.to("meta")
    written = _write_chats(made, config)
    policy, last = config.model, ""
    for stage in pipeline.chosen(config):
        done = _do(made, plan, stage, Inputs(config.model, policy, written), last)
        rows.append({"name": str(stage.name), **done["stage"]})
        policy = str((made.stages / stage.name).absolute())
        last = nested.fingerprint(made.stages / stage.name / "final")
    _forget_another_end(made, last)
    model = load_model(resolve(policy), str(config.device), str(DType.float32))
    engine = LocalEngine(model, tokenizer, products=products)
    after = running.measure(made, "after", engine, test, longest, allow_weaker=weaker)
    general["after"] = appraisal.general(made, "general-after", engine, plan, "test")
    measured = (*before.all, after)
    spent = {
        name: sum(row[name] for row in rows[1:])
        for name in ("tokens_sampled", "tokens_trained", "seconds")
    }
    summary: dict[str, Any] = {
        "command": COMMAND,
        "model": config.model,
        "task": config.task,
        **before.compared(after),
        "form": {"before": appraisal.form(before.asked), "after": appraisal.form(after)},
        "general": {
            when: {reward: dataclasses.asdict(mean) for reward, mean in means.items()}
            for when, means in general.items()
        },
        "stages": rows,
        **spent,
        "seconds": spent["seconds"] + sum(e.seconds for e in measured),
        "tokens_evaluated": sum(e.tokens for e in measured),
        "peak_memory_bytes": running.peak_memory(),
    }
    if not made.final.exists():
        final.save(model, tokenizer, made.final, final.model_card(summary, to_mapping(config)))
    made.update(
        seconds={"total": summary["seconds"], "training": spent["seconds"]},
        tokens={"sampled": spent["tokens_sampled"], "trained": spent["tokens_trained"]},
    )
    return summary


def _products(plan: Plan[SftRlConfig]) -> torch.dtype | None:
    """What the base and every stage's policy are measured in, to be compared with each other."""
    from reasonkit.models import precision

    adapted = any(settings.lora for settings in _stages(plan))
    return None if adapted else precision.products(plan.config)


def _stages(plan: Plan[SftRlConfig]) -> list[DistillConfig | GrpoConfig]:
    """The settings of all stages, as far as they are known before the first is done."""
    config = plan.config
    inputs = Inputs(config.model, config.model, config.general_chats)
    return [
        pipeline.settings(config, stage, plan.model.entry, inputs)
        for stage in pipeline.chosen(config)
    ]


def _write_chats(made: runs.Run, config: SftRlConfig) -> str | None:
    """The file of general chats; our own are written into the run."""
    if config.general_chats or config.general_task != GENERAL:
        return config.general_chats
    path = made.path / "chats.jsonl"
    lines = [json.dumps({"messages": chat}, ensure_ascii=False) for chat in generated.chats(CHATS)]
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
    return str(path)


def _forget_another_end(made: runs.Run, last: str) -> None:
    """Drops what was measured and saved of a policy that is no longer the last stage's."""
    if made.record.get("end_of", last) != last:
        for path in (made.evaluations / "after.json", made.evaluations / "general-after.json"):
            path.unlink(missing_ok=True)
        shutil.rmtree(made.final, ignore_errors=True)
    made.update(end_of=last)


def _do(
    made: runs.Run, plan: Plan[SftRlConfig], stage: Stage, inputs: Inputs, last: str
) -> dict[str, Any]:
    """Does a stage, as far as it isn't done; its ``summary.json``.

    Args:
        last: fingerprint of the policy in ``inputs``; empty where it is the base.
    """
    settings = pipeline.settings(plan.config, stage, plan.model.entry, inputs)
    hashes = {inputs.policy: last} if last else {}
    console.note(f"{stage.name}: {stage.summary}")
    work: Callable[[runs.Run], dict[str, Any]]
    if isinstance(settings, GrpoConfig):
        rl = reinforcement.resolve_settings(settings)
        work, data = partial(_reinforced, plan=plan, settings=settings, own=rl), rl.data
    else:
        if settings.general is not None:
            chats = Path(settings.general).read_bytes()
            hashes[settings.general] = hashlib.sha256(chats).hexdigest()
        sft = supervision.resolve_settings(settings)
        work, data = partial(_supervised, plan=plan, settings=settings, own=sft), sft.data
    digest = nested.digest(settings, hashes, data)
    return nested.do(made, stage.name, stage.command, settings, digest, work)


def _supervised(
    run: runs.Run, plan: Plan[SftRlConfig], settings: DistillConfig, own: Plan[DistillConfig]
) -> dict[str, Any]:
    tokenizer, model = load_policy(own)
    own = without_overlong(own, tokenizer)
    found = teacher.find(own.config)
    assert found is not None
    learned = lessons.gather(run, own, tokenizer, found)
    found.release()
    tuned = supervision.supervise(run, own, tokenizer, model, learned.rows)
    return {
        "filters": learned.sifted.rows(),
        "traces": len(learned.rows),
        **_finished(
            run,
            plan,
            settings,
            tokenizer,
            tuned.policy,
            tokens_sampled=learned.tokens,
            tokens_trained=tuned.counters.tokens_trained,
            seconds=learned.seconds + tuned.counters.seconds,
        ),
    }


def _reinforced(
    run: runs.Run, plan: Plan[SftRlConfig], settings: GrpoConfig, own: Plan[GrpoConfig]
) -> dict[str, Any]:
    tokenizer, model = load_policy(own)
    own = without_overlong(own, tokenizer)
    guard = Guard(own.rewards, own.config.reward_timeout)
    trained = reinforcement.reinforce(run, own, tokenizer, model, guard)
    return _finished(
        run,
        plan,
        settings,
        tokenizer,
        trained.policy,
        tokens_sampled=trained.counters.tokens_sampled,
        tokens_trained=trained.counters.tokens_trained,
        seconds=trained.counters.seconds,
    )


def _finished(
    run: runs.Run,
    plan: Plan[SftRlConfig],
    settings: DistillConfig | GrpoConfig,
    tokenizer: PreTrainedTokenizerBase,
    policy: PreTrainedModel,
    **spent: float,
) -> dict[str, Any]:
    """Appraises what a stage has made, saves it, and says what it took."""
    from reasonkit.generation.local import LocalEngine
    from reasonkit.training import final

    model = final.to_measure(policy, run.final, settings.keep_adapter)
    engine = LocalEngine(model, tokenizer, products=_products(plan))
    row = {**appraisal.appraise(run, "validation", engine, plan), **spent}
    if not run.final.exists():
        card = final.stage_card(run.path.name, COMMAND, row, to_mapping(settings))
        final.save(model, tokenizer, run.final, card)
    return {
        "command": run.record["command"],
        "model": settings.model,
        "task": settings.task,
        "stage": row,
        **spent,
        "peak_memory_bytes": running.peak_memory(),
    }
