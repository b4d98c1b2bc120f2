"""What is settled before weights are loaded: names, data and rewards, resolved and checked.

Every command begins here, so that a wrong name or a broken row costs nothing. Leaves out the
settings that belong to one command alone; those its recipe fills in.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic

from reasonkit import console
from reasonkit.answers.comparison import check_reference
from reasonkit.config import CommonConfig, Config, DType
from reasonkit.errors import DataError, RefusedError, UnknownNameError
from reasonkit.models import Model, chat
from reasonkit.models.loading import (
    ResolvedModel,
    load_model,
    load_tokenizer,
    read_config,
    resolve,
)
from reasonkit.prompts import led_by
from reasonkit.provenance import fingerprint
from reasonkit.rewards import WeightedReward, allow_weaker, parse
from reasonkit.rewards.guard import Guard
from reasonkit.sandbox import isolation
from reasonkit.tasks import Splits, describe, load, require_trainable, usual_rewards
from reasonkit.tasks.rows import ROLES
from reasonkit.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


TRACKERS = ("tensorboard", "trackio", "wandb")


@dataclass(frozen=True, slots=True)
class Plan(Generic[Config]):
    """Everything that is settled before weights are loaded.

    Attributes:
        config: with the common settings filled in.
        model: found, not loaded.
        splits: the task's examples.
        rewards: with their weights.
        general: the examples of a second task that is mixed in; None where there is none.
    """

    config: Config
    model: ResolvedModel
    splits: Splits
    rewards: list[WeightedReward]
    general: Splits | None = None

    @property
    def allow_weaker(self) -> bool:
        """Whether programs may run in whatever isolation there is."""
        return allow_weaker(self.rewards)

    @property
    def data(self) -> str:
        """A hash of the examples as they are now."""
        return fingerprint(self.splits, self.general)


def settle(config: Config, trains: bool = True) -> Plan[Config]:
    """Resolves all names, fills in what the registries know, reads and checks the data.

    Args:
        trains: whether the command trains on the task; then it needs more than a test split.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    model = resolve(config.model)
    task = describe(config.task)
    rewards = parse(config.reward or [], str(config.device))
    splits = load_splits(config)
    if trains:
        require_trainable(config.task, splits)
    named = config.reward or [f"{name}={w:g}" for name, w in usual_rewards(task, splits)]
    rewards = rewards or parse(named, str(config.device))
    check_examples(config.task, splits, rewards)
    if getattr(config, "curriculum", False) and Guard(rewards).verifier is None:
        raise RefusedError(
            "--curriculum goes by what is right, and no reward tells: "
            "add one that reads the answer, or leave --curriculum out"
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
    )


def by_model(config: Config, entry: Model) -> Config:
    """The settings with those filled in that depend on the model."""
    prompt = entry.system_prompt if config.system_prompt is None else config.system_prompt
    return dataclasses.replace(
        config,
        system_prompt=prompt or "",
        max_completion_tokens=config.max_completion_tokens or entry.rl.max_completion_tokens,
    )


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


def named_columns(pairs: Sequence[str] | None) -> dict[str, str] | None:
    """What ``ROLE=COLUMN`` pairs say; None where there are none.

    Raises:
        RefusedError: a pair that is none, or a role that there isn't.
    """
    if not pairs:
        return None
    split = [pair.partition("=") for pair in pairs]
    for pair, (left, equals, right) in zip(pairs, split, strict=True):
        if not (left in ROLES and equals and right):
            raise RefusedError(f"--columns {pair}: expected {'=, '.join(ROLES)}=COLUMN")
    return {left: right for left, _, right in split}


def require_trackers(names: Sequence[str]) -> None:
    """Refuses a tracker that isn't one of `TRACKERS`, or isn't installed.

    Raises:
        RefusedError: says how to install it.
    """
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        if importlib.util.find_spec(name) is None:
            raise RefusedError(f"--report-to {name}: pip install 'reasonkit[{name}]'")


def load_policy(
    plan: Plan[Config], dtype: DType | None = None
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """The tokenizer and the weights of the plan's model.

    Args:
        dtype: of the weights; by default as `reasonkit.models.precision` has those to be trained.

    Raises:
        RefusedError: they can't be read or don't fit each other, or the device isn't there.
    """
    from reasonkit.models import precision

    quiet()
    tokenizer, remark = load_tokenizer(plan.model)
    if remark:
        console.note(remark)
    dtype = dtype or precision.weights(plan.config, plan.model.source)
    model = load_model(plan.model, str(plan.config.device), str(dtype))
    chat.save_ends(model, tokenizer)
    return tokenizer, model


def quiet() -> None:
    """Keeps other libraries from talking to the user."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # Libraries deprecate among themselves; a user can't act on it.
    warnings.filterwarnings("ignore", category=FutureWarning)


def without_overlong(plan: Plan[Config], tokenizer: PreTrainedTokenizerBase) -> Plan[Config]:
    """The plan with the system prompt put before each question, and overlong prompts dropped.

    Those are also the ones that leave the model no room for a completion.

    Raises:
        RefusedError: no prompt does, or the model's chat template can't write one.
        DataError: nothing is left of a split.
    """
    config = dataclasses.replace(
        plan.config, max_prompt_tokens=prompt_room(plan.model, plan.config)
    )
    general = plan.general and _without_overlong(plan.general, "general", config, tokenizer)
    splits = _without_overlong(plan.splits, config.task, config, tokenizer)
    return dataclasses.replace(plan, config=config, splits=splits, general=general)


def _without_overlong(
    splits: Splits, task: str, config: CommonConfig, tokenizer: PreTrainedTokenizerBase
) -> Splits:
    led = Splits(
        *(
            led_by(config.system_prompt, getattr(splits, field.name))
            for field in dataclasses.fields(splits)
        )
    )
    return drop_overlong(led, task, config.max_prompt_tokens, partial(prompt_tokens, tokenizer))


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> list[int]:
    """How many tokens each prompt has."""
    return [len(ids) for ids in chat.encode_prompts(tokenizer, examples)[0]]


def drop_overlong(
    splits: Splits, task: str, limit: int, count: Callable[[Sequence[Example]], Sequence[int]]
) -> Splits:
    """The splits without the prompts of more than ``limit`` tokens; says how many those are.

    Args:
        count: how many tokens each prompt has.

    Raises:
        DataError: nothing is left of a split.
    """
    kept: dict[str, list[Example]] = {}
    for field in dataclasses.fields(splits):
        examples = getattr(splits, field.name)
        lengths = count(examples) if examples else []
        kept[field.name] = [
            e for e, length in zip(examples, lengths, strict=True) if length <= limit
        ]
        dropped = len(examples) - len(kept[field.name])
        if dropped:
            console.warn(f"{dropped} of {len(examples)} {field.name} prompts exceed {limit} tokens")
        if examples and not kept[field.name]:
            raise DataError(
                f"{task}: no {field.name} prompt has {limit} tokens or fewer, the least of "
                "--max-prompt-tokens and of what completions leave the model to read"
            )
    return Splits(**kept)


def prompt_room(model: ResolvedModel, config: CommonConfig) -> int:
    """Tokens that a prompt may have: as the settings say, and so that the model can read all.

    Raises:
        RefusedError: completions alone are as long as what it can read.
    """
    longest, completion = chat.readable(read_config(model)), config.max_completion_tokens
    if longest is None or completion is None:
        return config.max_prompt_tokens
    if completion >= longest:
        raise RefusedError(
            f"{model.entry.name} can read {longest} tokens, and --max-completion-tokens "
            f"{completion} leaves none of them for a prompt: pass fewer"
        )
    return min(config.max_prompt_tokens, longest - completion)
