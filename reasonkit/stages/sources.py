"""Where the completions of a vote come from: a model in this process, a server, or a file.

Names and data are settled first (`settle`); weights are loaded and servers asked only then
(`open_engine`). Leaves out what becomes of the completions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit import console
from reasonkit.config import VoteConfig
from reasonkit.errors import DataError, RefusedError
from reasonkit.generation import Engine, Sampling
from reasonkit.generation.replay import Recorded, ReplayEngine, parse_fields, read_completions
from reasonkit.models import MODELS, OTHER, Model, entry_for
from reasonkit.models.loading import ResolvedModel, load_tokenizer, resolve
from reasonkit.plan import (
    Plan,
    by_model,
    check_references,
    drop_overlong,
    load_policy,
    load_splits,
    prompt_tokens,
    without_overlong,
)
from reasonkit.prompts import led_by
from reasonkit.tasks import Splits
from reasonkit.types import Example
from reasonkit.voting.ballots import BLANK, cast

if TYPE_CHECKING:
    from reasonkit.generation.endpoint import EndpointEngine

RECORDED, QUESTION = "recorded", "question"
"""What stands for the model of recorded completions, and for the task of a single question."""

SAMPLES = 16
"""Samples a question, where nothing else says how many."""

AT_ONCE = "Answer at once: give only the final answer, between <answer> and </answer>."
"""Asks a model that thinks when it is told to for an answer without a thought."""


GREEDY = ("greedy", "step-by-step")
"""Strategies that take one greedy completion; measured beside every other as baselines."""


@dataclass(frozen=True, slots=True)
class Source:
    """Completions that can be had.

    Attributes:
        config: fully resolved.
        splits: the questions; of the test split alone where there is nothing else.
        engine: gives the completions.
        origin: plain values that settle them, beside prompts and sampling.
        recorded: the rows of a file; empty for a model.
    """

    config: VoteConfig
    splits: Splits
    engine: Engine
    origin: dict[str, Any]
    recorded: tuple[Recorded, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """A source whose names and data are known to be good, but whose engine isn't there yet.

    Attributes:
        config: with everything filled in but the name of a server's only model.
        splits: the questions, without a system prompt.
        model: the model in this process; None where there is none.
        recorded: the rows of a file; empty for a model.
    """

    config: VoteConfig
    splits: Splits
    model: ResolvedModel | None = None
    recorded: tuple[Recorded, ...] = ()


def settle(config: VoteConfig) -> Settled:
    """Resolves all names, reads and checks the data.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    if config.completions is not None:
        return _from_file(config, config.completions)
    model = None if config.endpoint else resolve(config.model)
    entry = model.entry if model else _served(config.model)
    if config.question is not None:
        splits = Splits([], [], [_example(config.question)])
        config = dataclasses.replace(config, task=QUESTION)
    else:
        splits = load_splits(config)
        if any(example.tests for example in splits.test):
            raise RefusedError(
                f"task {config.task!r} is checked by running code: its answers can't be counted as "
                "votes"
            )
        check_references(config.task, splits)
    thinks = entry.system_prompt is not None
    config = by_model(config, entry)
    assert config.max_completion_tokens
    filled = dataclasses.replace(
        config,
        n=config.n or SAMPLES,
        at_once=(AT_ONCE if thinks else "") if config.at_once is None else config.at_once,
        thought_tokens=config.thought_tokens or max(1, config.max_completion_tokens * 3 // 4),
        wait_text=entry.wait if config.wait_text is None else config.wait_text,
        step_ends=config.step_ends or list(entry.verifier.step_ends),
        longer=model is not None if config.longer is None else config.longer,
    )
    return Settled(filled, splits, model)


def open_engine(settled: Settled) -> Source:
    """Loads the weights, or asks the server what it can do.

    Raises:
        RefusedError: they can't be loaded, the server can't be used, or no prompt is short enough.
    """
    config, splits = settled.config, settled.splits
    if settled.recorded:
        replay = ReplayEngine(settled.recorded)
        return Source(config, splits, replay, {"completions": config.completions}, settled.recorded)
    if config.endpoint:
        return _from_server(config, splits)
    assert settled.model is not None
    from reasonkit.generation.local import LocalEngine

    plan = Plan(config, settled.model, splits, [])
    tokenizer, weights = load_policy(plan, config.dtype)
    plan = without_overlong(plan, tokenizer)
    origin = {"model": config.model, "device": str(weights.device), "dtype": str(weights.dtype)}
    return Source(config, plan.splits, LocalEngine(weights, tokenizer), origin)


def drawn_by(config: VoteConfig) -> Sampling:
    """How the samples of a vote are drawn, by resolved settings."""
    assert config.max_completion_tokens
    return Sampling(
        config.max_completion_tokens, config.temperature, top_p=config.top_p, seed=config.seed
    )


def greedy_by(config: VoteConfig) -> Sampling:
    """How a greedy completion is sampled, by resolved settings."""
    assert config.max_completion_tokens
    return Sampling(config.max_completion_tokens, temperature=0)


def _from_file(config: VoteConfig, path: str) -> Settled:
    fields = parse_fields(config.fields) if config.fields else {}
    recorded = tuple(read_completions(Path(path), fields))
    engine = ReplayEngine(recorded)
    if all((cast(found.group).classes == BLANK).all() for found in recorded):
        raise DataError(
            f"{path}: no completion holds a final answer: is `completions` the right field? "
            "pass --fields completions=FIELD"
        )
    if config.n and config.n > engine.smallest:
        raise RefusedError(
            f"{path}: --n {config.n}, but of some question only {engine.smallest} are recorded"
        )
    if "tokens" not in fields:
        console.note(f"{path} doesn't tell tokens: words are counted in their place")
    filled = dataclasses.replace(
        by_model(config, OTHER),
        model=RECORDED,
        task=path,
        system_prompt="",
        n=config.n or engine.smallest,
        at_once="",
        baselines=False,
        longer=False,
    )
    return Settled(filled, Splits([], [], engine.examples), None, recorded)


def _from_server(config: VoteConfig, splits: Splits) -> Source:
    from reasonkit.stages.servers import connect

    engine = connect(config, None if config.model == VoteConfig.model else config.model)
    tuned_on, voted_on = splits.validation if config.tune else [], splits.test
    led = Splits([], *(led_by(config.system_prompt, part) for part in (tuned_on, voted_on)))
    filled = dataclasses.replace(config, model=engine.model)
    engine.require(drawn_by(filled))
    origin = {"endpoint": config.endpoint, "model": engine.model}
    fitting = _without_overlong(filled, engine, led)
    return Source(_without_greedy(filled, engine), fitting, engine, origin)


def _without_overlong(config: VoteConfig, engine: EndpointEngine, splits: Splits) -> Splits:
    """The splits without overlong prompts, where there is a way to count their tokens.

    Raises:
        RefusedError: there is none, and the settings set a limit of their own.
        DataError: nothing is left of a split.
    """
    count: Callable[[Sequence[Example]], Sequence[int]] = engine.prompt_tokens
    if not engine.counts_prompt_tokens(splits.test[0]):
        if not Path(engine.model).is_dir():
            return _as_they_are(config, splits)
        count = partial(prompt_tokens, load_tokenizer(resolve(engine.model))[0])
    return drop_overlong(splits, config.task, config.max_prompt_tokens, count)


def _as_they_are(config: VoteConfig, splits: Splits) -> Splits:
    silent = f"{config.endpoint} doesn't tell how many tokens a prompt has"
    if config.max_prompt_tokens != VoteConfig.max_prompt_tokens:
        raise RefusedError(
            f"--max-prompt-tokens {config.max_prompt_tokens}: {silent}: leave it out; a prompt "
            "that the server finds too long counts as without an answer"
        )
    console.note(f"{silent}: prompts of any length are sent")
    return splits


def _without_greedy(config: VoteConfig, engine: EndpointEngine) -> VoteConfig:
    """The settings without what needs greedy samples, where the server gives none.

    Raises:
        RefusedError: the strategies themselves need some.
    """
    names = {config.strategy, *(config.also or [])} & set(GREEDY)
    if not (names or config.baselines) or engine.takes(greedy_by(config)):
        return config
    why = f"{config.endpoint} takes no temperature 0"
    if names:
        raise RefusedError(f"--strategy {min(names)} is greedy, and {why}: choose another")
    console.warn(f"{why}: no greedy completion is measured beside the vote")
    return dataclasses.replace(config, baselines=False)


def _served(name: str) -> Model:
    return MODELS[name] if name in MODELS else entry_for(name)


def _example(question: str) -> Example:
    if not question.strip():
        raise RefusedError("the question is empty")
    message = {"role": "user", "content": question.strip()}
    return Example(QUESTION, QUESTION, (message,), "")
