"""The settings of every command, declared once.

A field's annotation is at once the flag, the YAML key, the documentation and the bounds. A flag
wins over the YAML file, which wins over the default. A default of None is filled in from the
model's or the task's registry entry, so that what a run records is fully resolved.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import typer
import yaml

from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.objectives import PRESETS, KlForm, LossType, RatioLevel, RewardScaling


class Device(enum.StrEnum):
    """Where the model lives."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class OnCollapse(enum.StrEnum):
    """What is done when validation accuracy falls below its best and stays there."""

    rollback = "rollback"
    stop = "stop"
    ignore = "ignore"


class DType(enum.StrEnum):
    """The number format of the forward pass."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def _flag(panel: str, help: str, **bounds: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=panel, **bounds)


DATA, ROLLOUT, OBJECTIVE, UPDATE, MACHINE, EVALUATION = (
    "Model, task and rewards",
    "Rollouts",
    "Objective",
    "Updates",
    "Machine",
    "Evaluation and checkpoints",
)
BY_MODEL = "(default: by model)"
BY_PRESET = "(default: by preset)"


@dataclass(frozen=True)
class GrpoConfig:
    """Settings of ``reasonkit grpo``."""

    model: Annotated[str, _flag(DATA, "Registry name, hub id, local folder or earlier run.")] = (
        "abacus"
    )
    task: Annotated[
        str,
        _flag(
            DATA, "Registry name, gym:NAME, a JSONL/CSV/Parquet file, a folder or a hub data set."
        ),
    ] = "arithmetic"
    reward: Annotated[
        list[str] | None,
        _flag(DATA, "NAME=WEIGHT or FILE.py:FUNCTION=WEIGHT; may be repeated. (default: by task)"),
    ] = None
    columns: Annotated[
        list[str] | None,
        _flag(DATA, "question=COLUMN or answer=COLUMN of a data set. (default: guessed)"),
    ] = None
    system_prompt: Annotated[
        str | None, _flag(DATA, f"Put before each question; empty for none. {BY_MODEL}")
    ] = None
    max_prompt_tokens: Annotated[
        int, _flag(DATA, "Longer prompts are dropped and counted.", min=1)
    ] = 1024
    group_size: Annotated[
        int | None, _flag(ROLLOUT, f"G: completions a prompt. {BY_MODEL}", min=2)
    ] = None
    prompts_per_step: Annotated[
        int | None, _flag(ROLLOUT, f"Prompts a rollout. {BY_MODEL}", min=1)
    ] = None
    temperature: Annotated[float, _flag(ROLLOUT, "Of the rollouts.", min=0.01, max=5.0)] = 1.0
    max_completion_tokens: Annotated[
        int | None, _flag(ROLLOUT, f"A completion is cut off here. {BY_MODEL}", min=2)
    ] = None
    curriculum: Annotated[
        bool, _flag(ROLLOUT, "Prefer prompts that are sometimes solved, by observed pass rate.")
    ] = False
    resample: Annotated[
        int | None,
        _flag(ROLLOUT, f"Rounds in which groups without spread are replaced. {BY_PRESET}", min=0),
    ] = None
    steps: Annotated[
        int | None, _flag(UPDATE, f"Rollouts, each followed by its updates. {BY_MODEL}", min=1)
    ] = None
    updates_per_rollout: Annotated[
        int, _flag(UPDATE, "μ: passes over each rollout; above 1 the clip matters.", min=1)
    ] = 1
    learning_rate: Annotated[
        float | None, _flag(UPDATE, f"Peak of AdamW's. {BY_MODEL}", min=0.0)
    ] = None
    warmup_steps: Annotated[int, _flag(UPDATE, "Updates until the peak is reached.", min=0)] = 3
    preset: Annotated[str, _flag(OBJECTIVE, f"One of {', '.join(PRESETS)}.")] = "token-mean"
    loss_type: Annotated[
        LossType | None,
        _flag(OBJECTIVE, f"What is clipped and how token losses are averaged. {BY_PRESET}"),
    ] = None
    reward_scaling: Annotated[
        RewardScaling | None,
        _flag(OBJECTIVE, f"What centred rewards are divided by. {BY_PRESET}"),
    ] = None
    epsilon_low: Annotated[
        float | None, _flag(OBJECTIVE, f"ε: lower clip of the ratio. {BY_PRESET}", min=0.0)
    ] = None
    epsilon_high: Annotated[
        float | None, _flag(OBJECTIVE, f"Upper clip of the ratio. {BY_PRESET}", min=0.0)
    ] = None
    kl_coefficient: Annotated[
        float | None,
        _flag(OBJECTIVE, f"β: how strongly the reference model holds on. {BY_PRESET}", min=0.0),
    ] = None
    kl_form: Annotated[
        KlForm | None, _flag(OBJECTIVE, f"Estimator of the KL penalty. {BY_PRESET}")
    ] = None
    ratio_level: Annotated[
        RatioLevel | None, _flag(OBJECTIVE, f"Whose probability ratio is clipped. {BY_PRESET}")
    ] = None
    mask_truncated: Annotated[
        bool | None,
        _flag(OBJECTIVE, f"Leave completions that were cut off out of the loss. {BY_PRESET}"),
    ] = None
    max_grad_norm: Annotated[float, _flag(UPDATE, "Gradients are clipped here.", min=0.0)] = 1.0
    lora: Annotated[bool, _flag(UPDATE, "Train low-rank adapters, not all weights.")] = False
    lora_rank: Annotated[int, _flag(UPDATE, "Rank of the adapters.", min=1)] = 16
    keep_adapter: Annotated[bool, _flag(UPDATE, "Save the adapter beside the merged weights.")] = (
        False
    )
    micro_batch: Annotated[
        int | None, _flag(MACHINE, f"Completions a forward and backward pass. {BY_MODEL}", min=1)
    ] = None
    device: Annotated[Device, _flag(MACHINE, "Where to run.")] = Device.auto
    dtype: Annotated[DType, _flag(MACHINE, "Format of the forward pass.")] = DType.auto
    seed: Annotated[int, _flag(MACHINE, "Of prompts, rollouts and adapters.", min=0)] = 0
    reward_timeout: Annotated[
        float, _flag(MACHINE, "Seconds that one reward may take for one group.", min=0.1)
    ] = 30.0
    validate_every: Annotated[
        int, _flag(EVALUATION, "Steps between looks at the validation split; 0 is never.", min=0)
    ] = 10
    on_collapse: Annotated[
        OnCollapse, _flag(EVALUATION, "When validation falls and stays below its best.")
    ] = OnCollapse.rollback
    validation_size: Annotated[int, _flag(EVALUATION, "Validation examples.", min=1)] = 100
    test_size: Annotated[int, _flag(EVALUATION, "Test examples, at most.", min=1)] = 500
    baselines: Annotated[
        bool, _flag(EVALUATION, "Measure the untrained model with step-by-step wordings too.")
    ] = True
    save_every: Annotated[
        int, _flag(EVALUATION, "Steps between checkpoints; 0 is never.", min=0)
    ] = 20
    keep_checkpoints: Annotated[
        int, _flag(EVALUATION, "Newest checkpoints kept, beside the best.", min=1)
    ] = 2
    report_to: Annotated[
        list[str] | None, _flag(EVALUATION, "tensorboard, trackio or wandb; may be repeated.")
    ] = None


@dataclass(frozen=True)
class Invocation:
    """What belongs to one call of a command and not to its settings."""

    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; flags win over it.")
    ] = None
    run_dir: Annotated[
        Path | None, typer.Option(help="Run directory. (default: a new one under runs/)")
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with --run-dir, with its own settings.")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan and stop.")
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help="Print summary.json instead of the table.")
    ] = False


Config = TypeVar("Config", bound=GrpoConfig)


def field_types(config: type) -> dict[str, Any]:
    """Field name → its type without the Option."""
    return get_type_hints(config)


def from_mapping(config: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """A config from YAML-like values.

    Raises:
        UnknownNameError: for a key that is no field.
        RefusedError: for a value of the wrong type or out of bounds.
    """
    hints, annotated = field_types(config), get_type_hints(config, include_extras=True)
    read: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in hints:
            raise UnknownNameError("setting", key, hints, f"(in {where})")
        read[name] = _read(value, hints[name], annotated[name], f"{where}: {key}")
    return config(**read)


def _read(value: Any, hint: Any, annotated: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    if get_origin(hint) is list:
        items = value if isinstance(value, list) else [value]
        return [str(item) for item in items]
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        if value not in list(hint):
            raise UnknownNameError("value", str(value), list(hint), f"({where})")
        return hint(value)
    fits = isinstance(value, (int, float) if hint is float else hint)
    if not fits or (isinstance(value, bool) and hint is not bool):
        raise RefusedError(f"{where}: expected {hint.__name__}, got {value!r}")
    option = annotated.__metadata__[0]
    if option.min is not None and value < option.min:
        raise RefusedError(f"{where}: {value} is below {option.min}")
    if option.max is not None and value > option.max:
        raise RefusedError(f"{where}: {value} is above {option.max}")
    return hint(value)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        RefusedError: when it can't be read, or is no mapping.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RefusedError(
            f"{path}: {error.strerror}; `reasonkit recipes ls` names the ones inside"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise RefusedError(f"{path}:{mark.line + 1 if mark else 1}: not YAML") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise RefusedError(f"{path}: expected `setting: value` lines")
    return loaded


def to_mapping(config: GrpoConfig) -> dict[str, Any]:
    """Plain values, as they stand in config.yaml."""
    values = dataclasses.asdict(config)
    return {k: str(v) if isinstance(v, enum.StrEnum) else v for k, v in values.items()}
