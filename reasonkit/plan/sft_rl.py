"""The plan of the full R1 recipe: its stages (DeepSeek-AI, arXiv:2501.12948, section 2.3).

A stage is a run of ``distill`` or of ``grpo``, and what makes it this stage are its settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasonkit.config import (
    DistillConfig,
    GrpoConfig,
    SftRlConfig,
    SharedConfig,
    StageName,
    Start,
    field_types,
    from_mapping,
    read_assignment,
    require_known,
    to_mapping,
)
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.models import Model
from reasonkit.plan import Plan, distill, filled, grpo
from reasonkit.plan import settle as settle_names
from reasonkit.rewards import parse
from reasonkit.tasks import recorded
from reasonkit.traces import teacher

LANGUAGE = "language=0.2"
"""What the R1 recipe adds to the rewards of a task (section 2.3.2)."""

WORDING = "step-by-step"
"""How the model is asked for cold-start traces, where it writes them itself."""

SPENT = {StageName.rl: 0.5, StageName.final_rl: 0.5}
"""How the steps that the registry gives to reinforcement learning are shared out."""

ONE = ("engine", "tensor_parallel")
"""Settings that no stage can have of its own."""

COMMANDS: dict[str, type[DistillConfig] | type[GrpoConfig]] = {
    "distill": DistillConfig,
    "grpo": GrpoConfig,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage.

    Attributes:
        name: as on the command line.
        command: what it is a run of.
        summary: what it does, in a line.
        settings: in which it differs from its command's defaults, whatever model and task.
    """

    name: StageName
    command: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=dict)


STAGES: dict[StageName, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            StageName.cold_start,
            "distill",
            "fine-tune the base on a few hundred readable traces",
            {"part": "sft", "questions": 600, "samples": 4, "per_question": 1, "epochs": 2},
        ),
        Stage(
            StageName.rl,
            "grpo",
            "reinforce right answers in the format and in one language",
            {"part": "rl"},
        ),
        Stage(
            StageName.rejection,
            "distill",
            "fine-tune on the policy's best traces and on general chats",
            {"part": "sft", "questions": 1500, "samples": 4, "per_question": 1, "epochs": 3},
        ),
        Stage(
            StageName.final_rl,
            "grpo",
            "reinforce by rules on reasoning, by preference on general prompts",
            {"part": "rl", "general_share": 0.5},
        ),
    )
}


def settle(config: SftRlConfig) -> Plan[SftRlConfig]:
    """The plan, once all that any stage needs has been found and read.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    plan = settle_names(config)
    rewards = config.reward or [*(plan.config.reward or []), LANGUAGE]
    config = filled(plan.config, general_task=plan.model.entry.general_task)
    config = dataclasses.replace(config, reward=rewards)
    plan = dataclasses.replace(plan, config=config)
    if config.general_task:
        plan = grpo.with_general(plan, config.general_task, config.general_reward)
    elif config.general_reward:
        raise RefusedError("--general-reward needs --general-task: rewards of which prompts?")
    if config.general_chats:
        recorded.read(Path(config.general_chats), ())
    for settings in all_settings(plan):
        if isinstance(settings, GrpoConfig):
            grpo.settle(settings)
        else:
            distill.settle(settings)
            teacher.find(settings)
    return plan


def chosen(config: SftRlConfig) -> list[Stage]:
    """The stages that are done, in their order.

    Raises:
        UnknownNameError: a stage to skip that there isn't.
        RefusedError: all are skipped.
    """
    skipped = config.skip or []
    for name in skipped:
        if name not in STAGES:
            raise UnknownNameError("stage", name, list(STAGES))
    names = list(STAGES)
    wanted = names[: names.index(config.until) + 1]
    stages = [STAGES[name] for name in wanted if name not in skipped]
    if not stages:
        raise RefusedError("--skip leaves no stage to do: skip fewer, or let --until reach further")
    return stages


def all_settings(plan: Plan[SftRlConfig]) -> list[DistillConfig | GrpoConfig]:
    """The settings of all stages, as far as they are known before the first is done."""
    config, entry = plan.config, plan.model.entry
    return [
        stage_settings(config, stage, entry, config.model, config.general_chats)
        for stage in chosen(config)
    ]


def stage_settings(
    config: SftRlConfig, stage: Stage, entry: Model, policy: str, chats: str | None
) -> DistillConfig | GrpoConfig:
    """The settings of a stage, as of the command that it is a run of.

    Args:
        config: with its rewards filled in.
        entry: the registry's, of the base.
        policy: what the stages before have made of the base; the base where there are none.
        chats: the file of general chats; None where there are none.

    Raises:
        RefusedError: ``--set`` names a setting that there isn't, or a value that doesn't fit.
    """
    shared = {f.name for f in dataclasses.fields(SharedConfig)}
    values = {name: value for name, value in to_mapping(config).items() if name in shared}
    values |= stage.settings
    if stage.command == "grpo":
        values |= {"model": policy, "steps": max(1, round(SPENT[stage.name] * entry.rl.steps))}
        if stage.name == StageName.final_rl and config.general_task:
            values["general_task"] = config.general_task
            values["general_reward"] = config.general_reward
    else:
        values["keep"] = _filters(config.reward or [], str(config.device))
        if stage.name == StageName.cold_start:
            itself = not (config.teacher or config.traces)
            values["teacher"] = config.model if itself else config.teacher
            values["wording"] = WORDING if itself else None
            values["traces"] = config.traces
        else:
            start = config.model if config.rejection_from == Start.base else policy
            values |= {"model": start, "teacher": policy, "general": chats}
    return from_mapping(COMMANDS[stage.command], values | _set(config, stage), "--set")


def _filters(rewards: Sequence[str], device: str) -> list[str]:
    """What a trace must be: right, in the format, in one language, and written out.

    A program's steps are expressions and state nothing, so that they aren't held to the last.
    """
    known = [weighted.reward for weighted in parse(rewards, device)]
    keep = [f"{r.name}={r.range[1]:g}" for r in known if r.claim != "shaping"]
    form = ["language"] if any(r.name == "code" for r in known) else ["language", "readability"]
    return keep + [f"{name}=1" for name in form]


def _set(config: SftRlConfig, stage: Stage) -> dict[str, Any]:
    """What ``--set`` says of a stage; what it says of this stage alone wins."""
    own: dict[str, Any] = {}
    everywhere: dict[str, Any] = {}
    for spec in config.set or []:
        at, setting, value = read_assignment(spec)
        if at and at not in STAGES:
            raise UnknownNameError("stage", at, list(STAGES), f"(--set {spec})")
        commands = [STAGES[StageName(at)].command] if at else list(COMMANDS)
        known = {name for command in commands for name in field_types(COMMANDS[command])}
        require_known({setting: value}, known, f"--set {spec}")
        if setting in ONE:
            flag = setting.replace("_", "-")
            raise RefusedError(f"--set {spec}: all stages are sampled alike: pass --{flag} {value}")
        if setting == "vllm_server":
            raise RefusedError(f"--set {spec}: servers are for grpo: all stages are sampled here")
        if at == stage.name:
            own[setting] = value
        elif not at and setting in field_types(COMMANDS[stage.command]):
            everywhere[setting] = value
    return everywhere | own
