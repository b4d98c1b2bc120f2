"""The plan of reinforcement learning: objective, a step's sizes, a second task that is mixed in."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from reasonkit.config import Config, EngineName, GrpoConfig
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.models import Model
from reasonkit.objectives import PRESETS
from reasonkit.plan import Plan, check_examples, divisor, evenly, filled
from reasonkit.plan import settle as settle_names
from reasonkit.plan.machine import require_for_servers, require_trackers
from reasonkit.rewards import parse
from reasonkit.tasks import describe, half, load, require_trainable, usual_rewards


def settle(config: GrpoConfig) -> Plan[GrpoConfig]:
    """The plan, with every setting that was left open filled in.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    require_trackers(config.report_to)
    if config.vllm_server:
        require_for_servers(config)
        listed = Path(config.vllm_server)
        where = str(listed.absolute()) if listed.is_file() else config.vllm_server
        config = dataclasses.replace(config, engine=EngineName.vllm, vllm_server=where)
    plan = settle_names(by_preset(config))
    plan = dataclasses.replace(plan, splits=half(config.task, plan.splits, config.part))
    if config.general_task is not None:
        plan = with_general(plan, config.general_task, config.general_reward)
        assert plan.general
        part = half(config.general_task, plan.general, config.part)
        plan = dataclasses.replace(plan, general=part)
    elif config.general_reward:
        raise RefusedError("--general-reward needs --general-task: rewards of which prompts?")
    config, defaults = by_entry(plan.config, plan.model.entry), plan.model.entry.rl
    assert config.group_size and config.prompts_per_step
    if plan.general is not None and not config.general_prompts:
        raise RefusedError(
            f"--general-share {config.general_share:g} of {config.prompts_per_step} prompts a step "
            "is less than one: raise one of the two"
        )
    prompts = evenly("--prompts-per-step", config.prompts_per_step)
    whole = config.group_size * prompts
    of = f"the {whole} completions of a step in a process ({prompts} prompts × {config.group_size})"
    fits = divisor("--micro-batch", config.micro_batch, defaults.micro_batch, whole, of)
    return dataclasses.replace(plan, config=dataclasses.replace(config, micro_batch=fits))


def by_preset(config: GrpoConfig) -> GrpoConfig:
    """The settings with those filled in that a preset settles.

    Raises:
        UnknownNameError: there is no such preset.
    """
    if config.preset not in PRESETS:
        raise UnknownNameError("preset", config.preset, PRESETS)
    objective = dataclasses.asdict(PRESETS[config.preset])
    known = {f.name for f in dataclasses.fields(config)} - {"name", "summary"}
    return filled(config, **{k: v for k, v in objective.items() if k in known})


def by_entry(config: GrpoConfig, entry: Model) -> GrpoConfig:
    """The settings with those filled in that model and task settle, but for the micro-batch."""
    defaults = entry.rl
    return filled(
        config,
        group_size=defaults.group_size,
        prompts_per_step=defaults.prompts_per_step,
        steps=max(defaults.steps, describe(config.task).steps),
        learning_rate=defaults.lora_learning_rate if config.lora else defaults.learning_rate,
    )


def with_general(plan: Plan[Config], name: str, reward: list[str] | None) -> Plan[Config]:
    """The plan with the examples and the rewards of a second task.

    Args:
        reward: as on the command line; None for that task's own.

    Raises:
        RefusedError: it can't be used.
    """
    config = plan.config
    if name == config.task:
        raise RefusedError(f"--general-task {name} is the task itself: name another one")
    splits = load(name, validation=config.validation_size, test=config.test_size)
    require_trainable(name, splits)
    if len(splits.validation) < 2:
        raise RefusedError(f"--general-task {name} has too few prompts to validate on: add some")
    named = reward or [f"{n}={w:g}" for n, w in usual_rewards(describe(name), splits)]
    theirs = [dataclasses.replace(w, task=name) for w in parse(named, str(config.device))]
    check_examples(name, splits, theirs)
    ours = [dataclasses.replace(w, task=config.task) for w in plan.rewards]
    if twice := {w.reward.name for w in ours} & {w.reward.name for w in theirs}:
        raise RefusedError(
            f"reward {min(twice)!r} is given for {config.task} and for {name}: give it for one"
        )
    return dataclasses.replace(
        plan,
        config=dataclasses.replace(config, general_reward=named),  # type: ignore[call-arg]
        rewards=[*ours, *theirs],
        general=splits,
    )
