"""The settings that every command has, and the words that their flags are declared with."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from reasonkit.types import Part

Device = enum.StrEnum("Device", ["auto", "cpu", "cuda", "mps"])
"""Where the model lives."""

DType = enum.StrEnum("DType", ["auto", "float32", "bfloat16", "float16"])
"""The number format of the forward pass."""

EngineName = enum.StrEnum("EngineName", ["auto", "local", "vllm"])
"""What samples completions of a model here: our own sampler, or vLLM in this process."""
Optimizer = enum.StrEnum(
    "Optimizer", ["adamw", "adamw_8bit", "paged_adamw_8bit", "adafactor", "muon"]
)
"""What takes updates."""

LrSchedule = enum.StrEnum("LrSchedule", ["linear", "constant"])
"""What the learning rate does once it is at its peak: it falls to 0 by the last update, or stays.
"""


Shard = enum.StrEnum("Shard", ["none", "fsdp", "zero2", "zero3"])
"""What of a model each of several processes holds: all of it, a part by FSDP2, or by DeepSpeed a
part of all but the weights (zero2) or of those too (zero3)."""

ZERO = {Shard.zero2: 2, Shard.zero3: 3}
"""Stages of DeepSpeed's ZeRO."""


class More(int):
    """So many more than an earlier run has."""


def more_or_all(text: str) -> int:
    """A number, or `More` where it is written with a plus.

    Raises:
        ValueError: it is none.
    """
    try:
        return More(text) if text.startswith("+") else int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no whole number, nor one after a plus") from None


Attention = enum.StrEnum(
    "Attention",
    ["auto", "sdpa", "eager", "flash_attention_2", "flash_attention_3", "flex_attention"],
)
"""Transformers' implementations; ``auto`` is its own choice."""


def flag(panel: str | None, help: str, default: Any = None, **more: Any) -> Any:
    """A settings field that is a flag.

    Args:
        panel: under which it stands in ``--help``.
        more: ``min`` and ``max``; ``one_way`` for a flag without ``--no-``; ``argument`` for one
            that is given by its place.
    """
    return field(default=default, metadata={"panel": panel, "help": help, **more})


DATA, ROLLOUT, OBJECTIVE = "Model, task and rewards", "Rollouts", "Objective"
UPDATE, MACHINE, EVALUATION = "Updates", "Machine", "Evaluation and checkpoints"
RUN, SERVER = "This run", "A server in place of a model here"
BY_MODEL = "(default: by model)"
TRACKERS = ("tensorboard", "trackio", "wandb")


@dataclass(frozen=True)
class CommonConfig:
    """Settings that every command has; a command's own class adds to them.

    Attributes:
        FIRST: the settings of a command that matter most, which ``--help`` shows first.
    """

    FIRST: ClassVar[tuple[str, ...]] = ()

    model: str = flag(
        DATA, "Registry name, hub id, local folder, .gguf file or earlier run.", "abacus"
    )
    task: str = flag(
        DATA,
        "Registry name, with settings as in arithmetic:digits=2; a JSONL, CSV or "
        "Parquet file, a folder, FILE.py:NAME, a hub data set or gym:NAME.",
        "arithmetic",
    )
    reward: list[str] | None = flag(
        DATA, "NAME=WEIGHT or FILE.py:NAME=WEIGHT; may be repeated. (default: by task)"
    )
    columns: list[str] | None = flag(
        DATA, "question=, answer=, tests= or entry_point=COLUMN of data. (default: guessed)"
    )
    system_prompt: str | None = flag(DATA, f"Put before each question; empty for none. {BY_MODEL}")
    max_prompt_tokens: int = flag(DATA, "Longer prompts are dropped and counted.", 1024, min=1)
    max_completion_tokens: int | None = flag(
        ROLLOUT, f"A completion is cut off here. {BY_MODEL}", min=2
    )
    engine: EngineName = flag(
        MACHINE, "What samples: auto is vllm on a GPU that has it, else local.", EngineName.auto
    )
    reward_timeout: float = flag(
        MACHINE, "Seconds that one reward may take for one group.", 30.0, min=0.1
    )
    device: Device = flag(MACHINE, "Where to run.", Device.auto)
    dtype: DType = flag(MACHINE, "Format of the forward pass.", DType.auto)
    attention: Attention = flag(MACHINE, "Implementation, by transformers' name.", Attention.auto)
    rows: int | None = flag(
        MACHINE,
        "Completions sampled here at once. (default: 384, or what memory has room for)",
        min=1,
    )
    seed: int = flag(MACHINE, "Of prompts, rollouts and adapters.", 0, min=0)
    validation_size: int = flag(EVALUATION, "Validation examples.", 100, min=1)
    test_size: int = flag(EVALUATION, "Test examples, at most.", 500, min=1)


@dataclass(frozen=True)
class SharedConfig(CommonConfig):
    """Settings of every command that several processes can share; its own class adds to them."""

    shard: Shard = flag(
        MACHINE,
        "Cut weights, gradients and the optimizer's states into a part for each process: by FSDP2 "
        "of torch, or by DeepSpeed (zero2 leaves the weights whole).",
        Shard.none,
    )

    offload: bool = flag(
        MACHINE,
        "With --shard: keep the optimizer's states in main memory, and take updates there; under "
        "fsdp the parts of weights and gradients too.",
        False,
    )

    tensor_parallel: int = flag(
        MACHINE,
        "With --engine vllm: processes of a machine that sample together, each with a part of "
        "every layer.",
        1,
        min=1,
    )

    @property
    def by_layer(self) -> bool:
        """Whether a layer is whole only while it computes: nothing samples from the policy here."""
        return self.shard == Shard.fsdp and self.engine == EngineName.vllm

    @property
    def on_first(self) -> bool:
        """Whether outside of training the first process alone has weights, in main memory."""
        # Flash and flex attention can't be tried out there.
        return self.by_layer and not self.attention.startswith("fl")


@dataclass(frozen=True)
class UpdatesConfig(SharedConfig):
    """Settings of every command that takes updates; a command's own class adds to them."""

    learning_rate: float | None = flag(
        UPDATE, f"The optimizer's, at its peak. {BY_MODEL}", min=0.0, max=1.0
    )
    optimizer: Optimizer = flag(UPDATE, "What takes updates.", Optimizer.adamw)
    max_grad_norm: float = flag(UPDATE, "Gradients are clipped here.", 1.0, min=0.0)
    gradient_checkpointing: bool = flag(UPDATE, "Save memory, compute activations twice.", False)
    compile: bool = flag(
        MACHINE, "On a GPU: compile the model of updates, by torch.compile.", False
    )
    fit: bool = flag(
        MACHINE, "Where memory is short, choose the cheapest changes that make it fit.", False
    )


@dataclass(frozen=True)
class TrainingConfig(UpdatesConfig):
    """Settings that every command has that trains a policy; its own class adds to them."""

    part: Part = flag(
        DATA, "Train questions that are used: all, or one of two disjoint halves.", Part.all
    )
    warmup_steps: int = flag(UPDATE, "Updates until the peak is reached.", 3, min=0)
    lr_schedule: LrSchedule = flag(
        UPDATE, "Let the learning rate fall to 0 or stay, once at its peak.", LrSchedule.linear
    )
    lora: bool = flag(UPDATE, "Train low-rank adapters, not all weights.", False)
    lora_rank: int = flag(UPDATE, "Rank of the adapters.", 16, min=1)
    load_in_4bit: bool = flag(UPDATE, "Keep the weights under adapters in 4 bits (QLoRA).", False)
    keep_adapter: bool = flag(UPDATE, "Save the adapter beside the merged weights.", False)
    baselines: bool = flag(
        EVALUATION, "Measure the untrained model with step-by-step wordings too.", True
    )
    save_every: int = flag(EVALUATION, "Steps between checkpoints; 0 is never.", 20, min=0)
    keep_checkpoints: int = flag(EVALUATION, "Newest checkpoints kept, beside the best.", 2, min=1)
    report_to: list[str] | None = flag(
        EVALUATION, f"{', '.join(TRACKERS[:-1])} or {TRACKERS[-1]}; may be repeated."
    )


@dataclass(frozen=True)
class ServerConfig(CommonConfig):
    """Settings of every command that can sample from a server."""

    endpoint: str | None = flag(
        SERVER,
        "URL of an OpenAI-compatible API, which ends in /v1; serves the model. Of several servers: "
        "URL,URL,… or a file with one a line, which is read again and again.",
    )
    api_key_file: str | None = flag(SERVER, "File with its API key. (default: OPENAI_API_KEY)")
    concurrency: int = flag(SERVER, "Requests under way at once.", 16, min=1)
    requests_per_minute: float | None = flag(SERVER, "At most. (default: no limit)", min=0.001)
    tokens_per_minute: float | None = flag(
        SERVER, "At most, as asked for. (default: no limit)", min=1
    )
    request_timeout: float = flag(SERVER, "Seconds that one answer may take.", 600.0, min=0.1)


@dataclass(frozen=True)
class Invocation:
    """What belongs to one call of a command and not to its settings."""

    config: Path | None = flag(
        RUN, "YAML file of settings, or a recipe that `reasonkit recipes ls` names; flags win."
    )
    run_dir: Path | None = flag(RUN, "Run directory. (default: a new one under runs/)")
    resume: bool = flag(RUN, "Go on with --run-dir, with its own settings.", False, one_way=True)
    dry_run: bool = flag(RUN, "Check everything, print the plan and stop.", False, one_way=True)
    json: bool = flag(RUN, "Print summary.json instead of the table.", False, one_way=True)
    processes: int = flag(
        RUN,
        "Processes that share training on this machine, where no launcher starts them.",
        1,
        min=1,
    )
    on: str | None = flag(
        RUN,
        "With --dry-run: memory and time on other devices, as 8xH100, or 2x8xH200 for two machines "
        "of eight.",
    )
