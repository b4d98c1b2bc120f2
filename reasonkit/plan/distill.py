"""The plan of supervised fine-tuning; what needs the teacher is settled where it is found."""

from __future__ import annotations

import dataclasses

from reasonkit.config import Distillation, DistillConfig, Only
from reasonkit.errors import RefusedError
from reasonkit.models import DEFAULT_TEACHER, Model, entry_for
from reasonkit.models.resolving import resolve
from reasonkit.plan import Plan, filled
from reasonkit.plan import settle as settle_names
from reasonkit.plan.machine import require_trackers
from reasonkit.prompts import require_known
from reasonkit.tasks import half


def settle(config: DistillConfig) -> Plan[DistillConfig]:
    """The plan, with every setting that was left open filled in, but those that need the teacher.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    _require_consistent(config)
    require_trackers(config.report_to)
    require_known(config.wording)
    plan = settle_names(config)
    settled = filled(by_entry(plan.config, plan.model.entry), temperature=_drawn_at(plan))
    splits = half(config.task, plan.splits, config.part)
    return dataclasses.replace(plan, config=settled, splits=splits)


def by_entry(config: DistillConfig, entry: Model) -> DistillConfig:
    """The settings with those filled in that the student settles."""
    # A teacher's grades of the student's own samples are as noisy as a reward.
    rates = entry.rl if config.objective == Distillation.on_policy else entry.sft
    return filled(
        config,
        questions=entry.sft.questions,
        epochs=entry.sft.epochs,
        batch_tokens=entry.sft.batch_tokens,
        micro_batch_tokens=entry.sft.micro_batch_tokens,
        learning_rate=rates.lora_learning_rate if config.lora else rates.learning_rate,
    )


def _drawn_at(plan: Plan[DistillConfig]) -> float:
    """The temperature that suits whose samples are learned from."""
    config = plan.config
    if config.objective == Distillation.on_policy:
        return plan.model.entry.temperature
    if config.endpoint is not None or config.traces is not None:
        return entry_for(config.teacher or "").temperature
    return resolve(config.teacher or DEFAULT_TEACHER).entry.temperature


def _require_consistent(config: DistillConfig) -> None:
    if config.only == Only.train and config.traces is None:
        raise RefusedError("--only train needs --traces: a file, or a run that has sampled some")
    if config.only == Only.traces and config.traces is not None:
        raise RefusedError("--only traces samples traces: leave out --traces, which are there")
    if config.objective == Distillation.on_policy:
        for name in ("traces", "only", "general", "wording"):
            if getattr(config, name) is not None:
                raise RefusedError(f"--objective on-policy samples no traces: leave out --{name}")
