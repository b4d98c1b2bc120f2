"""From settings to a plan: names, data and rewards, resolved and checked before weights are loaded.

Every command begins here, so that a wrong name or a broken row costs nothing. What belongs to one
command alone is settled in the file of its name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from reasonkit import console, processes
from reasonkit.answers.comparison import check_reference
from reasonkit.config import (
    CommonConfig,
    Config,
    DistillConfig,
)
from reasonkit.errors import DataError, RefusedError
from reasonkit.models import Model
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.plan.machine import require_packages
from reasonkit.provenance import fingerprint
from reasonkit.rewards import WeightedReward, allow_weaker, parse
from reasonkit.rewards.guard import Guard
from reasonkit.sandbox import isolation
from reasonkit.tasks import Splits, describe, load, require_trainable, usual_rewards
from reasonkit.tasks.rows import named_columns

if TYPE_CHECKING:
    from reasonkit.plan.room import Room

FEW = 20
"""Validation questions, below which a model is hardly told from a better one."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[Config]):
    """Everything that is settled before weights are loaded.

    Attributes:
        config: with every setting that was left open filled in.
        model: found, not loaded.
        splits: the task's examples.
        rewards: with their weights.
        general: the examples of a second task that is mixed in; None where there is none.
        room: what memory depends on; None until the model is loaded.
    """

    config: Config
    model: ResolvedModel
    splits: Splits
    rewards: list[WeightedReward]
    general: Splits | None = None
    room: Room | None = None

    @property
    def columns(self) -> int:
        """Tokens of the longest prompt and completion; 0 until the model is loaded."""
        return self.room.prompt + self.longest if self.room else 0

    @property
    def longest(self) -> int:
        """Tokens of a completion, at most."""
        assert self.config.max_completion_tokens
        return self.config.max_completion_tokens

    @property
    def allow_weaker(self) -> bool:
        """Whether programs may run in whatever isolation there is."""
        return allow_weaker(self.rewards)

    @property
    def data(self) -> str:
        """A hash of the examples, and of a GGUF file's model, as they are now."""
        return fingerprint(self.splits, self.general, *filter(None, [self.model.made_from]))

    def rows(self) -> list[tuple[str, str]]:
        """The examples and the rewards, for a table of the plan."""
        names = [f.name for f in dataclasses.fields(self.splits)]
        counts = [f"{len(getattr(self.splits, name))} {name}" for name in names]
        rewards = ", ".join(self.config.reward or [])
        return [("examples", ", ".join(counts)), ("rewards", rewards)]


def settle(config: Config) -> Plan[Config]:
    """Resolves all names, fills in what the registries know, reads and checks the data.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    require_packages(config)
    model = resolve(config.model)
    task = describe(config.task)
    rewards = parse(config.reward or [], str(config.device))
    splits = load_splits(config)
    require_trainable(config.task, splits)
    named = config.reward or [f"{name}={w:g}" for name, w in usual_rewards(task, splits)]
    rewards = rewards or parse(named, str(config.device))
    check_examples(config.task, splits, rewards)
    if getattr(config, "curriculum", False) and Guard(rewards).verifier is None:
        raise RefusedError(
            "--curriculum goes by what is right, and no reward tells: "
            "add one that reads the answer, or leave --curriculum out"
        )
    if len(splits.validation) < min(FEW, config.validation_size):
        console.warn(
            f"{len(splits.validation)} validation questions say which weights are best: that is a "
            "matter of luck"
        )
    filled = dataclasses.replace(by_model(config, model.entry), reward=named)
    return Plan(filled, model, splits, rewards)


def load_splits(config: CommonConfig) -> Splits:
    """The examples of the settings' task.

    Raises:
        RefusedError: they can't be read.
    """
    return load(
        config.task,
        columns=named_columns(config.columns),
        validation=config.validation_size,
        test=config.test_size,
        tell=True,
    )


def by_model(config: Config, entry: Model) -> Config:
    """The settings with those filled in that depend on the model which is trained or asked."""
    drawn = {} if isinstance(config, DistillConfig) else {"temperature": entry.temperature}
    return filled(
        config,
        system_prompt=entry.system_prompt or "",
        max_completion_tokens=entry.rl.max_completion_tokens,
        **{name: value for name, value in drawn.items() if hasattr(config, name)},
    )


def filled(config: Config, **values: object) -> Config:
    """The settings with these values where they leave them open."""
    held = {name: getattr(config, name) for name in values}
    open_ones = {name: values[name] for name, value in held.items() if value in (None, [])}
    return dataclasses.replace(config, **open_ones)  # type: ignore[arg-type]


def evenly(flag: str, whole: int) -> int:
    """The part of a process, of what all processes have an equal part of.

    Raises:
        RefusedError: they can't.
    """
    part, left = divmod(whole, processes.size())
    if left:
        raise RefusedError(
            f"{flag} {whole} can't be shared out evenly among {processes.size()} processes: "
            f"try {(part + 1) * processes.size()}"
        )
    return part


def divisor(flag: str, asked: int | None, usual: int, whole: int, of: str) -> int:
    """The settings' micro-batch, or the largest up to the usual one that divides the whole.

    Raises:
        RefusedError: the one that is asked for doesn't.
    """
    if asked and processes.size() > 1:
        # A run that fewer processes have begun goes on.
        asked = min(asked, whole)
    fits = max(d for d in range(1, min(asked or usual, whole) + 1) if whole % d == 0)
    if asked and fits != asked:
        raise RefusedError(f"{flag} {asked} does not divide {of}: try {fits}")
    return fits


def check_references(task: str, splits: Splits) -> None:
    """Makes sure that answers can be compared with every reference answer.

    Raises:
        DataError: one of them can't be parsed.
    """
    for example in (*splits.train, *splits.validation, *splits.test):
        try:
            if not example.tests:
                check_reference(example.answer)
        except DataError as error:
            raise DataError(f"{example.where or f'{task}: {example.id}'}: {error}") from error


def check_examples(task: str, splits: Splits, rewards: Sequence[WeightedReward]) -> None:
    """Makes sure that the rewards can check every example.

    Raises:
        RefusedError: they can't, or the sandbox is too weak for programs.
        DataError: a reference answer can't be parsed.
    """
    names = {weighted.reward.name for weighted in rewards}
    examples = (*splits.train, *splits.validation, *splits.test)
    if any(example.tests for example in examples):
        if "answer" in names:
            raise RefusedError(f"task {task!r} is checked by running programs: use --reward code=1")
        if "code" not in names:
            parse(["code"])
        console.note(f"sandbox: {isolation()}")
    elif "code" in names:
        raise RefusedError(
            f"task {task!r} has no tests to run programs against: leave out --reward code"
        )
    reading = [weighted.reward.name for weighted in rewards if weighted.reward.needs_answer]
    if reading:
        try:
            check_references(task, splits)
        except DataError as error:
            raise DataError(
                f"{error}; reward {reading[0]!r} reads it: mend it, or leave that reward out"
            ) from error
