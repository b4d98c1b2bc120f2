"""``reasonkit distill``: a student learns from a teacher's traces (DeepSeek-R1, section 2.4).

The order of things: names are resolved, data is read and checked, the teacher answers a few
questions; only then is a run made, teacher and untrained student are measured, traces sampled and
filtered, the student trained on them, and measured again on the same test questions.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import console, running, runs
from reasonkit.config import Distillation, DistillConfig, Invocation, Only, to_mapping
from reasonkit.errors import DataError, RefusedError
from reasonkit.generation import Engine
from reasonkit.models import chat
from reasonkit.models.loading import load_tokenizer
from reasonkit.plan import Plan, load_policy, without_overlong
from reasonkit.provenance import fingerprint
from reasonkit.stages import filtering, lessons, teacher, traces
from reasonkit.stages.filtering import Sifted
from reasonkit.stages.lessons import Lessons
from reasonkit.stages.supervision import learn_on_policy, resolve_settings, supervise
from reasonkit.stages.teacher import Teacher
from reasonkit.tasks import describe, recorded, usual_rewards
from reasonkit.types import Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.evaluation import Evaluation

COMMAND = "distill"


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that is known before a run is made.

    Attributes:
        plan: its prompts are as the student sees them.
        tokenizer: the student's.
        model: the student.
        teacher: None where the traces are there already and no teacher is named.
        groups: traces that are there already; None where they have to be sampled.
        data: a hash of all that was read.
    """

    plan: Plan[DistillConfig]
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    teacher: Teacher | None
    groups: list[Group] | None
    data: str


def run(config: DistillConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run.

    Raises:
        RefusedError: before anything is made.
        RunError: when it can't go on.
    """
    if running.is_done(config, invocation):
        return
    _require_consistent(config)
    prepared = _prepare(config, invocation)
    if not invocation.resume:
        _look_ahead(prepared)
    if invocation.dry_run:
        return
    made = running.begin(COMMAND, prepared.plan.config, invocation, prepared.data)
    running.carry_out(made, lambda: _teach(made, prepared), invocation.json)


def _require_consistent(config: DistillConfig) -> None:
    if config.only == Only.train and config.traces is None:
        raise RefusedError("--only train needs --traces: a file, or a run that has sampled some")
    if config.only == Only.traces and config.traces is not None:
        raise RefusedError("--only traces samples traces: leave out --traces, which are there")
    if config.objective == Distillation.on_policy:
        for name, value in (
            ("traces", config.traces),
            ("only", config.only),
            ("general", config.general),
            ("wording", config.wording),
        ):
            if value is not None:
                raise RefusedError(f"--objective on-policy samples no traces: leave out --{name}")


def _prepare(config: DistillConfig, invocation: Invocation) -> Prepared:
    from reasonkit.training import adapters, head

    plan = resolve_settings(config)
    found = teacher.find(config)
    groups = None
    if config.traces is not None:
        groups = _given(Path(config.traces), plan, found)
    chats = [] if config.general is None else recorded.read(Path(config.general), ())
    data = fingerprint(plan.data, groups, chats)
    running.require_same_data(invocation, data)
    keep = config.keep or _usual_filters(plan, found)
    filters = filtering.thresholds(keep, str(config.device))
    reads_answers = any(threshold.reward.needs_answer for threshold in filters)
    if groups is not None and reads_answers and not any(g.example.answer for g in groups):
        raise DataError(
            f"{config.traces}: no trace has a reference answer, and its question is none of "
            f"{config.task}: pass --keep with rewards that read none, as in --keep format=1"
        )
    if not (invocation.dry_run or invocation.resume):
        runs.require_free(invocation.run_dir)
    tokenizer, model = load_policy(plan)
    adapters.adapter(plan.config, plan.model.entry.lora_targets, model)
    if config.objective == Distillation.on_policy:
        assert found is not None
        teacher.require_same_tokens(found, tokenizer, model)
        head.require_fused_right(model, plan.config.model)
        head.require_fused_right(found.weights(plan.config), found.name)
    filled = dataclasses.replace(plan.config, teacher=found.name if found else None, keep=keep)
    plan = without_overlong(dataclasses.replace(plan, config=filled), tokenizer)
    if config.general is not None:
        lessons.general(config.general, plan, tokenizer)
    return Prepared(plan, tokenizer, model, found, groups, data)


def _given(path: Path, plan: Plan[DistillConfig], found: Teacher | None) -> list[Group]:
    """The traces of a file or of an earlier run."""
    if path.is_dir():
        return traces.of_run(path)
    splits = plan.splits
    ends = [chat.end_of_turn(load_tokenizer(plan.model)[0])]
    if found is not None and found.model is not None:
        ends.append(chat.end_of_turn(found.tokenizer()))
    return recorded.read(path, (*splits.train, *splits.validation, *splits.test), ends)


def _usual_filters(plan: Plan[DistillConfig], found: Teacher | None) -> list[str]:
    usual = usual_rewards(describe(plan.config.task), plan.splits)
    rewards = [name for name, _ in usual if name != "format"]
    asked = found is not None and found.asked_for_format
    return [f"{name}=1" for name in (*rewards, *(["format"] if asked else []))]


def _look_ahead(prepared: Prepared) -> None:
    config, splits, found = prepared.plan.config, prepared.plan.splits, prepared.teacher
    counts = [f"{len(getattr(splits, f.name))} {f.name}" for f in dataclasses.fields(splits)]
    parameters = prepared.model.num_parameters() / 1e6
    rows = [
        ("student", f"{config.model}, {parameters:,.1f}M parameters on {prepared.model.device}"),
        ("teacher", found.name if found else "none is named, so none is measured"),
        ("examples", ", ".join(counts)),
        ("kept", ", ".join(config.keep or [])),
    ]
    seen: Sifted | None = None
    if prepared.groups is not None:
        sifted = filtering.sift(prepared.plan, prepared.groups)
        _, seen = lessons.fitting(sifted, prepared.plan, prepared.tokenizer)
        rows.append(("traces", f"{len(seen.traces)} of the {seen.steps[0].left} are kept"))
        if not seen.traces:
            raise DataError(f"{config.traces}: {seen.complaint}")
    elif config.objective == Distillation.traces:
        assert found is not None and config.questions
        seen = filtering.sift(prepared.plan, teacher.look_ahead(found, splits.train, config))
        asked = f"{min(config.questions, len(splits.train))} questions × {config.samples}"
        first = f"{len(seen.traces)} of the first {seen.steps[0].left} would be kept"
        rows.append(("traces", f"{asked}; {first}"))
    console.err.print(console.table("plan", ("", ""), rows))
    if seen is not None and not seen.traces:
        console.warn(f"of the first few questions, {seen.complaint}")


def _teach(made: runs.Run, prepared: Prepared) -> dict[str, Any]:
    from reasonkit.generation.local import LocalEngine
    from reasonkit.models import precision
    from reasonkit.training import final

    plan, config, found = prepared.plan, prepared.plan.config, prepared.teacher
    tokenizer, test = prepared.tokenizer, plan.splits.test
    assert config.max_completion_tokens
    longest = config.max_completion_tokens
    taught = None
    if found is not None:
        engine = traces.pool(made, found.engine(config), found.origin(config))
        asked, heat = found.ask(test, config.wording), found.temperature(longest)
        taught = running.measure(
            made,
            "teacher",
            engine,
            asked,
            longest,
            allow_weaker=plan.allow_weaker,
            temperature=heat,
        )
    if config.only == Only.traces:
        assert found is not None
        return _told(made, prepared, lessons.gather(made, plan, tokenizer, found), taught)
    products, weaker = precision.measured(config), plan.allow_weaker
    with precision.in_float32(prepared.model):
        student = LocalEngine(prepared.model, tokenizer, products=products)
        before = running.measure_before(made, student, test, longest, config.baselines, weaker)
    if found is not None:
        # The student's own look is the first of training, and computed as those are.
        student = LocalEngine(prepared.model, tokenizer, products=precision.products(config))
        _warn_of_a_weak_teacher(made, prepared, found, engine, student)
    learned = None
    if config.objective == Distillation.on_policy:
        assert found is not None
        tuned = learn_on_policy(made, plan, tokenizer, prepared.model, found.weights(config))
    else:
        source = found if prepared.groups is None else prepared.groups
        assert source is not None
        learned = lessons.gather(made, plan, tokenizer, source)
        if found is not None:
            found.release()
        tuned = supervise(made, plan, tokenizer, prepared.model, learned.rows)
    policy = final.to_measure(tuned.policy, made.final, config.keep_adapter)
    student = LocalEngine(policy, tokenizer, products=products)
    after = running.measure(made, "after", student, test, longest, allow_weaker=weaker)
    measured = [*before.all, after, *([taught] if taught else [])]
    counters = tuned.counters
    told = _told(made, prepared, learned, taught)
    beside = beside_the_teacher(config, before.asked, after, taught)
    seconds = counters.seconds + told["rollout_seconds"] + sum(e.seconds for e in measured)
    tokens = counters.tokens_sampled + told["tokens_sampled"]
    summary = {
        **told,
        **before.compared(after),
        **beside,
        "remarks": [*told["remarks"], *beside["remarks"]],
        "seconds": seconds,
        "tokens_sampled": tokens,
        "rollout_seconds": told["rollout_seconds"] + counters.rollout_seconds,
        "tokens_trained": counters.tokens_trained,
        "tokens_evaluated": sum(e.tokens for e in measured),
        "peak_memory_bytes": running.peak_memory(),
        "epoch_kept": tuned.epoch,
    }
    if not made.final.exists():
        card = final.model_card(summary, to_mapping(config))
        final.save(policy, tokenizer, made.final, card)
    made.update(
        seconds={"total": seconds, "training": counters.seconds},
        tokens={"sampled": tokens, "trained": counters.tokens_trained},
    )
    return summary


def _told(
    made: runs.Run, prepared: Prepared, learned: Lessons | None, taught: Evaluation | None
) -> dict[str, Any]:
    """What is known once the traces are there; on-policy there are none."""
    config, found = prepared.plan.config, prepared.teacher
    assert config.max_completion_tokens
    remarks = []
    if found is not None and (heat := found.temperature(config.max_completion_tokens)):
        remarks.append(
            f"{found.name} is measured at temperature {heat:g}: its server takes no temperature 0."
        )
    seconds = learned.seconds if learned else 0.0
    return {
        "command": COMMAND,
        "model": config.model,
        "task": config.task,
        "teacher_name": config.teacher,
        "teacher": taught and taught.to_summary(),
        "objective": str(config.objective),
        "filters": learned.sifted.rows() if learned else [],
        "traces": len(learned.rows) if learned else 0,
        "reward_failures": learned.sifted.failures if learned else {},
        "failed_samples": traces.failures(made),
        "remarks": remarks,
        "seconds": seconds + (taught.seconds if taught else 0.0),
        "tokens_sampled": learned.tokens if learned else 0,
        "tokens_trained": 0,
        "rollout_seconds": seconds,
        "peak_memory_bytes": running.peak_memory(),
    }


def _warn_of_a_weak_teacher(
    made: runs.Run, prepared: Prepared, found: Teacher, taught: Engine, student: Engine
) -> None:
    """Says, before anything is spent on training, if the teacher is the weaker one.

    By the validation split: the test split decides nothing.
    """
    config, examples = prepared.plan.config, prepared.plan.splits.validation
    assert config.max_completion_tokens
    longest = config.max_completion_tokens
    weaker, asked = prepared.plan.allow_weaker, found.ask(examples, config.wording)
    own = running.measure(made, "epoch-0", student, examples, longest, allow_weaker=weaker)
    other = running.measure(
        made,
        "teacher-validation",
        taught,
        asked,
        longest,
        allow_weaker=weaker,
        temperature=found.temperature(longest),
    )
    if other.accuracy.accuracy <= own.accuracy.accuracy:
        console.warn(
            f"the teacher is not the better one: {found.name} is right in "
            f"{other.accuracy.accuracy:.1%} of {other.accuracy.n} validation questions, the "
            f"student in {own.accuracy.accuracy:.1%}; what it learns may make it worse"
        )


def beside_the_teacher(
    config: DistillConfig, before: Evaluation, after: Evaluation, taught: Evaluation | None
) -> dict[str, Any]:
    """The student beside its teacher, and what is to be said of it."""
    from reasonkit.evaluation import gap_closed, paired

    if taught is None:
        return {"paired_with_teacher": None, "gap_closed": None, "remarks": []}
    pair = paired(taught.verdicts, after.verdicts)
    gap = gap_closed(before.verdicts, after.verdicts, taught.verdicts)
    remarks = []
    if pair.low > 0:
        why = (
            "it learned only from traces that passed "
            f"{' and '.join(config.keep or [])}, while its teacher also says what would not pass"
            if config.objective == Distillation.traces
            else "it was drawn towards all that its teacher holds likely, on its own completions, "
            "while its teacher is measured by its likeliest answer"
        )
        remarks.append(
            f"The student is above its teacher by {pair.difference * 100:.1f} points, on the same "
            f"questions and beyond the interval: {why}."
        )
    if gap is None:
        remarks.append("The teacher is not above the untrained student: there is no gap to close.")
    return {
        "paired_with_teacher": dataclasses.asdict(pair),
        "gap_closed": gap and dataclasses.asdict(gap),
        "remarks": remarks,
    }
