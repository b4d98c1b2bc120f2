"""``reasonkit distill``: a student learns from a teacher's worked answers (R1-Distill).

The order of things: names are resolved, data and given traces are read, the teacher answers a few
questions; only then is a run made, teacher and untrained student are measured, traces sampled and
filtered, the student trained on them, and measured again on the same test questions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import console, learning, measuring, processes, resuming, running
from reasonkit.config import Distillation, DistillConfig, EngineName, Invocation, Only
from reasonkit.errors import DataError
from reasonkit.evaluation import Evaluation, gap_closed, paired
from reasonkit.generation.engine import Engine, TokenEngine, open_engine
from reasonkit.generation.store import count_failures
from reasonkit.plan import Plan, fitting, policy
from reasonkit.plan import distill as planning
from reasonkit.provenance import fingerprint
from reasonkit.runs import Run
from reasonkit.tasks import describe, recorded, usual_rewards
from reasonkit.traces import lessons, sampling, teacher
from reasonkit.traces.filters import Sifted, sift, thresholds
from reasonkit.traces.lessons import Lessons
from reasonkit.traces.teacher import Teacher
from reasonkit.types import Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
    if resuming.is_done(config, invocation):
        return
    prepared = _prepare(config, invocation)
    if not invocation.resume:
        groups = _first_traces(prepared)
        if processes.is_main():
            _look_ahead(prepared, groups)
    if invocation.dry_run:
        return
    made = running.begin(
        COMMAND, prepared.plan.config, invocation, prepared.data, prepared.plan.model.made_from
    )
    running.carry_out(made, lambda: _teach(made, prepared), invocation.json)


def _prepare(config: DistillConfig, invocation: Invocation) -> Prepared:
    """Finds the teacher, reads traces and chats that are given, loads the student."""
    plan = planning.settle(config)
    found = teacher.find(config)
    groups = None if config.traces is None else lessons.given(Path(config.traces), plan, found)
    chats = [] if config.general is None else recorded.read(Path(config.general), ())
    data = fingerprint(plan.data, groups, chats)
    resuming.require_usable(invocation, data)
    # What takes long to import comes once names and data are known to be good.
    from reasonkit.training import adapters, fused_logits

    keep = config.keep or _usual_filters(plan, found)
    reads_answers = any(r.needs_answer for r, _ in thresholds(keep, str(config.device)))
    if groups is not None and reads_answers and not any(g.example.answer for g in groups):
        raise DataError(
            f"{config.traces}: no trace has a reference answer, and its question is none of "
            f"{config.task}: pass --keep with rewards that read none, as in --keep format=1"
        )
    named = dataclasses.replace(plan.config, teacher=found.name if found else None, keep=keep)
    plan, tokenizer, model = policy.load(dataclasses.replace(plan, config=named))
    adapters.adapter(named, plan.model.entry.lora_targets, model)
    if config.objective == Distillation.on_policy:
        assert found is not None
        teacher.require_same_tokens(found, tokenizer, model)
        fused_logits.require_fused_right(model, config.model)
        fused_logits.require_fused_right(found.weights(config), found.name)
        from reasonkit.training import on_policy

        on_policy.batches(plan.config, len(plan.splits.train[: plan.config.questions]))
    if config.general is not None:
        lessons.general(config.general, plan, tokenizer)
    return Prepared(plan, tokenizer, model, found, groups, data)


def _usual_filters(plan: Plan[DistillConfig], found: Teacher | None) -> list[str]:
    usual = usual_rewards(describe(plan.config.task), plan.splits)
    rewards = [name for name, _ in usual if name != "format"]
    asked = found is not None and found.asked_for_format
    return [f"{name}=1" for name in (*rewards, *(["format"] if asked else []))]


def _first_traces(prepared: Prepared) -> list[Group]:
    """The teacher's answers to a few questions; none where it isn't asked, or not by this process.

    A server is asked by the first process alone; vLLM is opened by all together.
    """
    config, found = prepared.plan.config, prepared.teacher
    if found is None or prepared.groups is not None or config.objective != Distillation.traces:
        return []
    if not processes.is_main() and (found.server or config.engine != EngineName.vllm):
        return []
    return teacher.look_ahead(found, prepared.plan.splits.train, config)


def _look_ahead(prepared: Prepared, groups: Sequence[Group]) -> None:
    """Sifts the first traces, or those that are given, and shows the plan."""
    from reasonkit.models import precision

    plan, found = prepared.plan, prepared.teacher
    config = plan.config
    rows = [
        ("student", policy.size_of(config, prepared.model)),
        ("teacher", found.name if found else "none is named, so none is measured"),
        plan.rows()[0],
        ("kept", ", ".join(config.keep or [])),
        *precision.table(config, plan.model.source),
    ]
    seen: Sifted | None = None
    if prepared.groups is not None:
        _, seen = lessons.fitting(sift(plan, prepared.groups), plan, prepared.tokenizer)
        rows.append(("traces", f"{len(seen.traces)} of the {seen.steps[0].left} are kept"))
        if not seen.traces:
            raise DataError(f"{config.traces}: {seen.complaint}")
    elif config.objective == Distillation.traces:
        assert found is not None and config.questions
        seen = sift(plan, groups)
        asked = f"{min(config.questions, len(plan.splits.train))} questions × {config.samples}"
        first = f"{len(seen.traces)} of the first {seen.steps[0].left} would be kept"
        rows.append(("traces", f"{asked}; {first}"))
    console.err.print(console.table("plan", ("", ""), rows))
    fitting.show(plan)
    if seen is not None and not seen.traces:
        console.warn(f"of the first few questions, {seen.complaint}")


def _teach(made: Run, prepared: Prepared) -> dict[str, Any]:
    from reasonkit.models import precision
    from reasonkit.training import final

    plan, found, tokenizer = prepared.plan, prepared.teacher, prepared.tokenizer
    config, products = plan.config, precision.measured(plan.config)
    taught = None
    if found is not None:
        taught_by = sampling.pool(made, found.engine(config), found.origin(config))
        taught = _taught(made, "teacher", plan, found, taught_by)
    if config.only == Only.traces:
        assert found is not None
        return _told(made, prepared, lessons.gather(made, plan, tokenizer, found), taught)
    with precision.in_float32(prepared.model):
        student = open_engine(config, prepared.model, tokenizer, products, columns=plan.columns)
        before = measuring.measure_before(made, student, plan)
    if found is not None:
        _warn_of_a_weak_teacher(made, prepared, student, found, taught_by)
    learned, ending = None, before.asked.seconds
    if config.objective == Distillation.on_policy:
        assert found is not None
        weights = found.weights(config)
        tuned = learning.learn_on_policy(made, plan, student, prepared.model, weights, ending)
    else:
        source = found if prepared.groups is None else prepared.groups
        assert source is not None
        learned = lessons.gather(made, plan, tokenizer, source)
        if found is not None:
            found.release()
        tuned = learning.supervise(made, plan, student, prepared.model, learned.rows, ending)
    trained = final.to_measure(tuned.policy, made.final, config.keep_adapter and made.leads)
    student.use(trained, products)
    after = measuring.measure(made, "after", student, plan, plan.splits.test)
    told, counters = _told(made, prepared, learned, taught), tuned.counters
    lengths = [len(row.ids) for row in learned.rows] if learned else []
    compared = before.compared(after, *([taught] if taught else []))
    beside = beside_the_teacher(config, before.asked, after, taught)
    summary = {
        **told,
        **compared,
        **beside,
        "remarks": [*told["remarks"], *beside["remarks"]],
        "seconds": counters.seconds + told["rollout_seconds"] + compared["evaluation_seconds"],
        "training_seconds": counters.seconds,
        "tokens_sampled": counters.tokens_sampled + told["tokens_sampled"],
        "tokens_trained": counters.tokens_trained,
        "rollout_seconds": told["rollout_seconds"] + counters.rollout_seconds,
        "epoch_kept": tuned.epoch,
        "memory": fitting.beside(fitting.predicted(plan, lengths), tuned.memory),
    }
    learning.save(made, trained, tokenizer, summary)
    return summary


def _taught(
    made: Run, name: str, plan: Plan[DistillConfig], found: Teacher, engine: Engine
) -> Evaluation:
    """The teacher on test, or on validation, asked as it is asked for traces."""
    examples = plan.splits.test if name == "teacher" else plan.splits.validation
    asked = found.ask(examples, plan.config.wording)
    heat = found.temperature(plan.longest)
    return measuring.measure(made, name, engine, plan, asked, temperature=heat)


def _warn_of_a_weak_teacher(
    made: Run, prepared: Prepared, student: TokenEngine, found: Teacher, taught_by: Engine
) -> None:
    """Says, before anything is spent on training, if the teacher is the weaker one.

    By the validation split: the test split decides nothing.
    """
    from reasonkit.models import precision

    plan = prepared.plan
    # The student's own look is the first of training, and computed as those are.
    student.use(prepared.model, precision.products(plan.config))
    own = measuring.measure(made, "epoch-0", student, plan, plan.splits.validation).accuracy
    other = _taught(made, "teacher-validation", plan, found, taught_by).accuracy
    if other.accuracy <= own.accuracy:
        console.warn(
            f"the teacher is not the better one: {found.name} is right in {other.accuracy:.1%} of "
            f"{other.n} validation questions, the student in {own.accuracy:.1%}; what it learns "
            "may make it worse"
        )


def _told(
    made: Run, prepared: Prepared, learned: Lessons | None, taught: Evaluation | None
) -> dict[str, Any]:
    """What is known once the traces are there; on-policy there are none."""
    plan, found = prepared.plan, prepared.teacher
    remarks = []
    if found is not None and (heat := found.temperature(plan.longest)):
        remarks.append(
            f"{found.name} is measured at temperature {heat:g}: its server takes no temperature 0."
        )
    seconds = learned.seconds if learned else 0.0
    return {
        "teacher_name": plan.config.teacher,
        "teacher": taught and taught.to_summary(),
        "objective": str(plan.config.objective),
        "filters": learned.sifted.rows() if learned else [],
        "traces": len(learned.rows) if learned else 0,
        "reward_failures": learned.sifted.failures if learned else {},
        "failed_samples": count_failures(made.path / sampling.SAMPLES),
        "remarks": remarks,
        "seconds": seconds + (taught.seconds if taught else 0.0),
        "tokens_sampled": learned.tokens if learned else 0,
        "tokens_trained": 0,
        "rollout_seconds": seconds,
        "peak_memory_bytes": measuring.peak_memory(),
    }


def beside_the_teacher(
    config: DistillConfig, before: Evaluation, after: Evaluation, taught: Evaluation | None
) -> dict[str, Any]:
    """The student beside its teacher, and what is to be said of it."""
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
