"""The plan's model, loaded, and the prompts as it is asked them.

The system prompt is put before each question here, and prompts that leave no room are dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from reasonkit import console, processes
from reasonkit.config import CommonConfig, Config, DType, EngineName, Shard
from reasonkit.errors import DataError, RefusedError, RunError
from reasonkit.generation import engine
from reasonkit.models import chat
from reasonkit.models.loading import (
    NOWHERE,
    load_model,
    load_tokenizer,
    read_config,
    require_device,
)
from reasonkit.models.resolving import ResolvedModel
from reasonkit.objectives import Importance
from reasonkit.plan import Plan, filled, fitting
from reasonkit.prompts import led_by
from reasonkit.tasks import Splits
from reasonkit.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOOKED_AT = 64
"""Prompts whose tokens are counted, of those that are alike, or that have the most characters."""


def load(
    plan: Plan[Config], dtype: DType | None = None, trains: bool = True
) -> tuple[Plan[Config], PreTrainedTokenizerBase, PreTrainedModel]:
    """The plan as its model is asked (`without_overlong`) and sampled, with what is loaded.

    Arguments and errors are those of `load_policy`, but for these.

    Args:
        trains: whether the weights are needed where an engine has its own.

    Raises:
        RefusedError: the engine that is asked for isn't there, or can't run this model.
    """
    from reasonkit.models import precision
    from reasonkit.training import memory

    # Which weights this process needs the engine settles, and that is chosen by the model.
    cut = getattr(plan.config, "shard", Shard.none) == Shard.fsdp
    later = engine.may_keep_weights(plan.config) and (cut or not trains)
    before = memory.process(precision.device(plan.config.device))
    tokenizer = _tokenizer(plan)
    model = _weights(plan, tokenizer, dtype, NOWHERE if later else None)
    config, why = engine.settle(plan.config, model.config, model.num_parameters())
    console.note(f"{config.engine} samples: {why}")
    spared = later and not trains and config.engine != EngineName.local
    if later and not spared:
        model = _weights(dataclasses.replace(plan, config=config), tokenizer, dtype)
    if hasattr(config, "importance"):
        same = config.engine == EngineName.local and precision.products(config) is None
        config = filled(config, importance=Importance.off if same else Importance.token_truncate)
    plan = without_overlong(dataclasses.replace(plan, config=config), tokenizer)
    if spared:
        return plan, tokenizer, model
    most = round(fmean(prompt_tokens(tokenizer, plan.splits.train[:LOOKED_AT]) or [0]))
    fitted = fitting.settle(plan, model, (longest_prompt(plan, tokenizer), most), before)
    formats = [precision.formats(one.config, plan.model.source).weights for one in (plan, fitted)]
    if formats[0] != formats[1]:
        del model
        model = _weights(fitted, tokenizer, dtype)
    return fitted, tokenizer, model


def load_policy(
    plan: Plan[Config], dtype: DType | None = None
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """The tokenizer and the weights of the plan's model.

    Args:
        dtype: of the weights; by default as `reasonkit.models.precision` has those to be trained.

    Raises:
        RefusedError: they can't be read or don't fit each other, or the device isn't there.
    """
    tokenizer = _tokenizer(plan)
    return tokenizer, _weights(plan, tokenizer, dtype)


def _tokenizer(plan: Plan[Config]) -> PreTrainedTokenizerBase:
    tokenizer, remark = load_tokenizer(plan.model)
    if remark:
        console.note(remark)
    return tokenizer


def _weights(
    plan: Plan[Config],
    tokenizer: PreTrainedTokenizerBase,
    dtype: DType | None,
    device: str | None = None,
) -> PreTrainedModel:
    from reasonkit.models import precision

    config = plan.config
    kept = str(dtype) if dtype else precision.formats(config, plan.model.source).weights
    model = load_model(plan.model, device or place(config), kept, attention=str(config.attention))
    if not device and getattr(config, "on_first", False):
        _tie_as_first(model)
    chat.save_ends(model, tokenizer)
    return model


def _tie_as_first(model: PreTrainedModel) -> None:
    """Ties what the first process has tied, whose files may have both, with the same values.

    Raises:
        RunError: the processes have other weights even so.
    """
    names = [name for name, _ in model.named_parameters()]
    first = processes.from_main(lambda: names)
    if names != first:
        model.tie_weights()
        names = [name for name, _ in model.named_parameters()]
    if not all(processes.gathered(names == first)):
        raise RunError("process 0 has loaded other weights than the others: pass --engine local")


def place(config: CommonConfig) -> str:
    """Where this process has the weights of a policy, outside of training.

    Raises:
        RefusedError: the device that it is to be trained on isn't there.
    """
    if not getattr(config, "on_first", False):
        return str(config.device)
    from reasonkit.models import precision

    require_device(precision.device(config.device))
    return "cpu" if processes.is_main() else NOWHERE


def size_of(config: CommonConfig, model: PreTrainedModel) -> str:
    """A loaded model in words."""
    from reasonkit.models import precision

    where = precision.device(config.device) if getattr(config, "on_first", False) else model.device
    return f"{config.model}, {model.num_parameters() / 1e6:,.1f}M parameters on {where}"


def without_overlong(plan: Plan[Config], tokenizer: PreTrainedTokenizerBase) -> Plan[Config]:
    """The plan with the system prompt put before each question, and overlong prompts dropped.

    Those are also the ones that leave the model no room for a completion.

    Raises:
        RefusedError: no prompt does, or the model's chat template can't write one.
        DataError: nothing is left of a split.
    """
    limit = prompt_room(plan.model, plan.config)
    count = partial(prompt_tokens, tokenizer, limit=limit)
    config = dataclasses.replace(plan.config, max_prompt_tokens=limit)

    def fitting(splits: Splits, task: str) -> Splits:
        return drop_overlong(splits, config.system_prompt, task, limit, count)

    general = plan.general and fitting(plan.general, "general")
    splits = fitting(plan.splits, config.task)
    return dataclasses.replace(plan, config=config, splits=splits, general=general)


def longest_prompt(plan: Plan[Config], tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the plan's longest prompt."""
    splits = [plan.splits, *([plan.general] if plan.general else [])]
    examples = [e for split in splits for e in (*split.train, *split.validation, *split.test)]
    return longest_of(examples, tokenizer)


def longest_of(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the longest prompt, by those with the most characters."""

    def brevity(example: Example) -> int:
        return -sum(len(str(message["content"])) for message in example.messages)

    return max(prompt_tokens(tokenizer, sorted(examples, key=brevity)[:LOOKED_AT]))


def prompt_tokens(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], limit: int = 0
) -> list[int]:
    """How many tokens each prompt has; the limit for those that surely have no more."""
    fits = chat.surely_fits(tokenizer, limit)
    sure = [limit > 0 and fits(example) for example in examples]
    unsure = [example for example, is_sure in zip(examples, sure, strict=True) if not is_sure]
    read = (len(ids) for ids, _ in chat.each_prompt(tokenizer, unsure))
    return [limit if is_sure else next(read) for is_sure in sure]


def drop_overlong(
    splits: Splits,
    system_prompt: str | None,
    task: str,
    limit: int,
    count: Callable[[Sequence[Example]], Sequence[int]],
) -> Splits:
    """The splits led by a system prompt, without those of more than ``limit`` tokens.

    Says how many those are.

    Args:
        count: how many tokens each prompt has.

    Raises:
        DataError: nothing is left of a split.
    """
    kept: dict[str, list[Example]] = {}
    for field in dataclasses.fields(splits):
        examples = led_by(system_prompt, getattr(splits, field.name))
        lengths = count(examples) if examples else []
        fitting = [e for e, length in zip(examples, lengths, strict=True) if length <= limit]
        if dropped := len(examples) - len(fitting):
            console.warn(f"{dropped} of {len(examples)} {field.name} prompts exceed {limit} tokens")
        if examples and not fitting:
            raise DataError(
                f"{task}: no {field.name} prompt has {limit} tokens or fewer, the least of "
                "--max-prompt-tokens and of what completions leave the model to read"
            )
        kept[field.name] = fitting
    return Splits(**kept)


def prompt_room(model: ResolvedModel, config: CommonConfig) -> int:
    """Tokens that a prompt may have: as the settings say, and so that the model can read all.

    Raises:
        RefusedError: completions alone are as long as what it can read.
    """
    readable, completion = chat.readable(read_config(model)), config.max_completion_tokens
    if readable is None or completion is None:
        return config.max_prompt_tokens
    if completion >= readable:
        raise RefusedError(
            f"{model.entry.name} can read {readable} tokens, and --max-completion-tokens "
            f"{completion} leaves none of them for a prompt: pass fewer"
        )
    return min(config.max_prompt_tokens, readable - completion)
