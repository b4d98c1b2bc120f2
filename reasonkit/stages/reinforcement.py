"""Reinforcement learning on a plan's train split, watched on its validation split."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from reasonkit import console
from reasonkit.config import GrpoConfig
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.live import Training
from reasonkit.objectives import PRESETS, Objective
from reasonkit.plan import Plan, require_trackers, settle
from reasonkit.rewards.guard import Guard
from reasonkit.running import measure
from reasonkit.runs import Run
from reasonkit.tasks import describe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.generation.local import LocalEngine
    from reasonkit.training.grpo import Trained
    from reasonkit.training.signs import Sign


def resolve_settings(config: GrpoConfig) -> Plan[GrpoConfig]:
    """The plan, with every setting that was left open filled in.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    require_trackers(config.report_to or [])
    if config.preset not in PRESETS:
        raise UnknownNameError("preset", config.preset, PRESETS)
    plan = settle(_with_objective(config, PRESETS[config.preset]))
    config, defaults = plan.config, plan.model.entry.rl
    rate = defaults.lora_learning_rate if config.lora else defaults.learning_rate
    filled = dataclasses.replace(
        config,
        group_size=config.group_size or defaults.group_size,
        prompts_per_step=config.prompts_per_step or defaults.prompts_per_step,
        steps=config.steps or max(defaults.steps, describe(config.task).steps),
        learning_rate=rate if config.learning_rate is None else config.learning_rate,
    )
    assert filled.group_size and filled.prompts_per_step
    completions = filled.group_size * filled.prompts_per_step
    wanted = min(config.micro_batch or defaults.micro_batch, completions)
    fits = max(d for d in range(1, wanted + 1) if completions % d == 0)
    if config.micro_batch and fits != config.micro_batch:
        raise RefusedError(
            f"--micro-batch {config.micro_batch} does not divide the {completions} completions of "
            f"a step ({filled.prompts_per_step} prompts × {filled.group_size}): try {fits}"
        )
    settled = dataclasses.replace(filled, micro_batch=fits)
    return dataclasses.replace(plan, config=settled)


def _with_objective(config: GrpoConfig, objective: Objective) -> GrpoConfig:
    """The config with the objective's settings where it leaves them open."""
    names = {field.name for field in dataclasses.fields(config)}
    settings = {f.name: getattr(objective, f.name) for f in dataclasses.fields(objective)}
    missing = {
        name: value
        for name, value in settings.items()
        if name in names and getattr(config, name) is None
    }
    return dataclasses.replace(config, **missing)


def reinforce(
    run: Run,
    plan: Plan[GrpoConfig],
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    guard: Guard,
) -> Trained:
    """Trains the model by GRPO, from the run's newest checkpoint if it has one.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C and has saved where it was.
        RunError: a reward failed too often, or the best checkpoint is damaged.
    """
    from reasonkit.training import grpo

    config = plan.config
    assert config.steps

    def validate(step: int, engine: LocalEngine) -> dict[str, float]:
        assert config.max_completion_tokens
        examples, longest = plan.splits.validation, config.max_completion_tokens
        done = measure(run, f"step-{step}", engine, examples, longest, passes=plan.passes)
        return {
            "validation": done.accuracy.accuracy,
            "validation_low": done.accuracy.low,
            "validation_high": done.accuracy.high,
            "validation_tokens": done.mean_tokens,
        }

    def alarm(step: int, sign: Sign) -> None:
        signs = [s for s in run.record.get("signs", []) if s["name"] != sign.name]
        run.update(signs=[*signs, {"step": step, **dataclasses.asdict(sign)}])
        console.warn(f"step {step}: {sign.message}; for example: {sign.example[:300]!r}")

    with Training(f"{config.model} on {config.task}", config.steps) as view:
        trained = grpo.train(
            model,
            tokenizer,
            plan.splits.train,
            config,
            guard,
            run,
            plan.model.entry.lora_targets,
            validate,
            view.update,
            alarm,
            console.warn,
        )
    if trained.interrupted:
        raise KeyboardInterrupt
    return trained
