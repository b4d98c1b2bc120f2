"""Reinforcement learning on a plan's train split, watched on its validation split."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from reasonkit import console, processes
from reasonkit.config import CommonConfig, GrpoConfig
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.live import Training
from reasonkit.objectives import PRESETS, Objective
from reasonkit.plan import Plan, check_examples, require_trackers, settle
from reasonkit.rewards import WeightedReward, parse
from reasonkit.rewards.guard import Guard
from reasonkit.running import measure
from reasonkit.runs import Run
from reasonkit.stages import appraisal
from reasonkit.tasks import Splits, describe, half, load, require_trainable, usual_rewards

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.generation.local import LocalEngine
    from reasonkit.training.signs import Sign
    from reasonkit.training.trainer import Trained


def resolve_settings(config: GrpoConfig) -> Plan[GrpoConfig]:
    """The plan, with every setting that was left open filled in.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    require_trackers(config.report_to or [])
    if config.preset not in PRESETS:
        raise UnknownNameError("preset", config.preset, PRESETS)
    plan = settle(_with_objective(config, PRESETS[config.preset]))
    plan = dataclasses.replace(plan, splits=half(config.task, plan.splits, config.part))
    plan = _with_general(plan)
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
    if plan.general is not None and not filled.general_prompts:
        raise RefusedError(
            f"--general-share {config.general_share:g} of {filled.prompts_per_step} prompts a step "
            "is less than one: raise one of the two"
        )
    prompts, left = divmod(filled.prompts_per_step, processes.size())
    if left:
        raise RefusedError(
            f"--prompts-per-step {filled.prompts_per_step} can't be shared out evenly among "
            f"{processes.size()} processes: try {(prompts + 1) * processes.size()}"
        )
    completions = filled.group_size * prompts
    wanted = min(config.micro_batch or defaults.micro_batch, completions)
    fits = max(d for d in range(1, wanted + 1) if completions % d == 0)
    if config.micro_batch and fits != config.micro_batch:
        raise RefusedError(
            f"--micro-batch {config.micro_batch} does not divide the {completions} completions of "
            f"a step in a process ({prompts} prompts × {filled.group_size}): try {fits}"
        )
    settled = dataclasses.replace(filled, micro_batch=fits)
    return dataclasses.replace(plan, config=settled)


def _with_general(plan: Plan[GrpoConfig]) -> Plan[GrpoConfig]:
    """The plan with the examples and the rewards of a second task, if the settings name one."""
    config = plan.config
    if config.general_task is None:
        if config.general_reward:
            raise RefusedError("--general-reward needs --general-task: rewards of which prompts?")
        return plan
    name = config.general_task
    second = second_task(config, name, config.general_reward)
    named, theirs = second.named, second.rewards
    ours = [dataclasses.replace(w, task=config.task) for w in plan.rewards]
    twice = {w.reward.name for w in ours} & {w.reward.name for w in theirs}
    if twice:
        raise RefusedError(
            f"reward {min(twice)!r} is given for {config.task} and for {name}: give it for one"
        )
    return dataclasses.replace(
        plan,
        config=dataclasses.replace(config, general_reward=named),
        rewards=[*ours, *theirs],
        general=half(name, second.splits, config.part),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class SecondTask:
    """A task whose prompts are mixed in.

    Attributes:
        splits: its examples.
        named: its rewards, as on the command line.
        rewards: the same, which score its examples only.
    """

    splits: Splits
    named: list[str]
    rewards: list[WeightedReward]


def second_task(config: CommonConfig, name: str, reward: list[str] | None) -> SecondTask:
    """The task of this name beside that of the settings.

    Args:
        reward: as on the command line; None for the task's own.

    Raises:
        RefusedError: it can't be used.
    """
    if name == config.task:
        raise RefusedError(f"--general-task {name} is the task itself: name another one")
    splits = load(name, validation=config.validation_size, test=config.test_size)
    require_trainable(name, splits)
    if len(splits.validation) < 2:
        raise RefusedError(f"--general-task {name} has too few prompts to validate on: add some")
    named = reward or [f"{n}={w:g}" for n, w in usual_rewards(describe(name), splits)]
    rewards = [
        dataclasses.replace(weighted, task=name) for weighted in parse(named, str(config.device))
    ]
    check_examples(name, splits, rewards)
    return SecondTask(splits, named, rewards)


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


def _score(shares: Sequence[tuple[float, float]]) -> dict[str, float]:
    """What a validation is judged by where it takes general prompts in: the mean of all shares.

    Args:
        shares: each with the lower end of its interval.
    """
    score, low = (fmean(column) for column in zip(*shares, strict=True))
    return {"validation_score": score, "validation_score_low": low}


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
        done = measure(
            run, f"step-{step}", engine, examples, longest, allow_weaker=plan.allow_weaker
        )
        validation = {
            "validation": done.accuracy.accuracy,
            "validation_low": done.accuracy.low,
            "validation_high": done.accuracy.high,
            "validation_tokens": done.mean_tokens,
        }
        if plan.general is not None:
            means = appraisal.general(run, f"general-{step}", engine, plan, "validation")
            validation |= {f"validation/{name}": mean.mean for name, mean in means.items()}
            shares = [
                means[w.reward.name]
                for w in plan.rewards
                if w.reward.name in means and w.reward.range == (0.0, 1.0)
            ]
            validation |= _score(
                [
                    (done.accuracy.accuracy, done.accuracy.low),
                    *((share.mean, share.low) for share in shares),
                ]
            )
        return validation

    def alarm(step: int, sign: Sign) -> None:
        signs = [s for s in run.record.get("signs", []) if s["name"] != sign.name]
        run.update(signs=[*signs, {"step": step, **dataclasses.asdict(sign)}])
        console.warn(f"step {step}: {sign.message}; for example: {sign.example[:300]!r}")

    with Training(f"{config.model} on {config.task}", config.steps) as view:
        trained = grpo.train(
            model,
            tokenizer,
            plan.splits.train,
            plan.general.train if plan.general else [],
            config,
            guard,
            run,
            plan.model.entry.lora_targets,
            validate,
            view.update,
            alarm,
        )
    if trained.interrupted:
        raise KeyboardInterrupt
    return trained
