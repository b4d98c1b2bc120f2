"""The settings that every command has, and the words that their flags are declared with."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


class Device(enum.StrEnum):
    """Where the model lives."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class DType(enum.StrEnum):
    """The number format of the forward pass."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


def flag(panel: str, help: str, **bounds: Any) -> Any:
    """A flag of a settings field: its panel in ``--help``, what it does, and its bounds."""
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


@dataclass(frozen=True)
class CommonConfig:
    """Settings that every command has; a command's own class adds to them."""

    model: Annotated[str, flag(DATA, "Registry name, hub id, local folder or earlier run.")] = (
        "abacus"
    )
    task: Annotated[
        str,
        flag(
            DATA, "Registry name, gym:NAME, a JSONL/CSV/Parquet file, a folder or a hub data set."
        ),
    ] = "arithmetic"
    reward: Annotated[
        list[str] | None,
        flag(DATA, "NAME=WEIGHT or FILE.py:FUNCTION=WEIGHT; may be repeated. (default: by task)"),
    ] = None
    columns: Annotated[
        list[str] | None,
        flag(DATA, "question=, answer=, tests= or entry_point=COLUMN of data. (default: guessed)"),
    ] = None
    system_prompt: Annotated[
        str | None, flag(DATA, f"Put before each question; empty for none. {BY_MODEL}")
    ] = None
    max_prompt_tokens: Annotated[
        int, flag(DATA, "Longer prompts are dropped and counted.", min=1)
    ] = 1024
    max_completion_tokens: Annotated[
        int | None, flag(ROLLOUT, f"A completion is cut off here. {BY_MODEL}", min=2)
    ] = None
    reward_timeout: Annotated[
        float, flag(MACHINE, "Seconds that one reward may take for one group.", min=0.1)
    ] = 30.0
    device: Annotated[Device, flag(MACHINE, "Where to run.")] = Device.auto
    dtype: Annotated[DType, flag(MACHINE, "Format of the forward pass.")] = DType.auto
    seed: Annotated[int, flag(MACHINE, "Of prompts, rollouts and adapters.", min=0)] = 0
    validation_size: Annotated[int, flag(EVALUATION, "Validation examples.", min=1)] = 100
    test_size: Annotated[int, flag(EVALUATION, "Test examples, at most.", min=1)] = 500


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
