"""Supervised fine-tuning of a plan's model on traces, watched on its validation split.

Leaves out where the traces come from: `reasonkit.stages.traces` and `reasonkit.stages.filtering`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reasonkit import console
from reasonkit.config import Distillation, DistillConfig
from reasonkit.live import Training
from reasonkit.plan import Plan, require_trackers, settle
from reasonkit.running import measure
from reasonkit.runs import Run
from reasonkit.tasks import half
from reasonkit.tasks.wordings import require_known

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.generation.local import LocalEngine
    from reasonkit.training.encoding import Row
    from reasonkit.training.trainer import Trained


def resolve_settings(config: DistillConfig) -> Plan[DistillConfig]:
    """The plan, with every setting that was left open filled in, but those that need the teacher.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    require_trackers(config.report_to or [])
    require_known(config.wording)
    plan = settle(config)
    plan = dataclasses.replace(plan, splits=half(config.task, plan.splits, config.part))
    config, defaults = plan.config, plan.model.entry.sft
    # A teacher's grades of the student's own samples are as noisy as a reward.
    rates = plan.model.entry.rl if config.objective == Distillation.on_policy else defaults
    rate = rates.lora_learning_rate if config.lora else rates.learning_rate
    filled = dataclasses.replace(
        config,
        questions=config.questions or defaults.questions,
        epochs=config.epochs or defaults.epochs,
        batch_tokens=config.batch_tokens or defaults.batch_tokens,
        micro_batch_tokens=config.micro_batch_tokens or defaults.micro_batch_tokens,
        learning_rate=rate if config.learning_rate is None else config.learning_rate,
    )
    return dataclasses.replace(plan, config=filled)


def supervise(
    run: Run,
    plan: Plan[DistillConfig],
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    rows: Sequence[Row],
) -> Trained:
    """Trains the model on traces, from the run's newest checkpoint if it has one.

    Args:
        plan: its validation examples have the system prompt (`reasonkit.plan.without_overlong`).

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C and has saved where it was.
        RunError: a trace would not be learned to its end, or the best checkpoint is damaged.
    """
    from reasonkit.training import encoding, sft

    console.note("one row; what is learned is green:")
    console.err.print(encoding.coloured(tokenizer, rows[0]), soft_wrap=True)
    targets, validate = plan.model.entry.lora_targets, _validation(run, plan)
    with _view(plan) as view:
        tuned = sft.train(model, tokenizer, rows, plan.config, run, targets, validate, view.update)
    return _uninterrupted(tuned)


def learn_on_policy(
    run: Run,
    plan: Plan[DistillConfig],
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    teacher: PreTrainedModel,
) -> Trained:
    """Trains the model on its own completions, graded by a teacher with the same tokenizer.

    From the run's newest checkpoint if it has one. Arguments and errors are those of `supervise`.
    """
    from reasonkit.training import on_policy

    config, examples = plan.config, plan.splits.train[: plan.config.questions]
    targets, validate = plan.model.entry.lora_targets, _validation(run, plan)
    with _view(plan) as view:
        tuned = on_policy.train(
            model, teacher, tokenizer, examples, config, run, targets, validate, view.update
        )
    return _uninterrupted(tuned)


def _validation(
    run: Run, plan: Plan[DistillConfig]
) -> Callable[[int, LocalEngine], dict[str, float]]:
    """Measures the student on the validation split after an epoch."""
    longest = plan.config.max_completion_tokens
    assert longest

    def validate(epoch: int, engine: LocalEngine) -> dict[str, float]:
        examples = plan.splits.validation
        done = measure(
            run, f"epoch-{epoch}", engine, examples, longest, allow_weaker=plan.allow_weaker
        )
        return {
            "validation": done.accuracy.accuracy,
            "validation_low": done.accuracy.low,
            "validation_high": done.accuracy.high,
            "validation_tokens": done.mean_tokens,
        }

    return validate


def _view(plan: Plan[DistillConfig]) -> Training:
    config = plan.config
    assert config.epochs
    return Training(f"{config.model} on {config.task}", config.epochs, unit="epoch")


def _uninterrupted(tuned: Trained) -> Trained:
    if tuned.interrupted:
        raise KeyboardInterrupt
    return tuned
