"""Where the completions of a vote come from, how questions are put to it, and what ranks them.

A model in this process, a server, or a file. Leaves out what becomes of the completions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from reasonkit import console
from reasonkit.config import VoteConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.beam import BeamEngine, Kind
from reasonkit.generation.budget import BudgetEngine
from reasonkit.generation.engine import (
    Engine,
    Sampling,
    TokenEngine,
    TokenSampler,
    drawn_by,
    open_engine,
    open_replay,
    open_server,
)
from reasonkit.generation.paid import PaidEngine, ServerEngine
from reasonkit.generation.pool import Pool
from reasonkit.generation.replay import Recorded
from reasonkit.generation.selecting import SelectingEngine
from reasonkit.generation.store import Store
from reasonkit.generation.watching import WatchingEngine
from reasonkit.models.loading import load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.plan import Plan, policy
from reasonkit.plan.vote import VotePlan, named
from reasonkit.prompts import THINK_FIRST, ask
from reasonkit.rewards import parse
from reasonkit.rewards.guard import Guard
from reasonkit.tasks import Splits
from reasonkit.types import Example, Weighing
from reasonkit.voting import routing
from reasonkit.voting.drawing import Asking, Score
from reasonkit.voting.strategies import Rules, Way

KINDS: tuple[Kind, ...] = get_args(Kind)
"""Searches, which are strategies and ways of sampling."""

GREEDY = ("greedy", "step-by-step")
"""Strategies that take one greedy completion; measured beside every other as baselines."""


LACKS: dict[Weighing, str] = {
    "scores": "log-probabilities and scores: pass --reward, --verifier or --fields scores=FIELD",
    "steady": "the log-probabilities of the likeliest tokens",
    "certainty": "the probabilities of the whole vocabulary, which only --engine local tells",
}
"""What completions come without that can't be ranked."""


@dataclass(frozen=True, slots=True)
class Source:
    """Completions that can be had.

    Attributes:
        config: fully resolved.
        splits: the questions; of the test split alone where there is nothing else.
        engine: gives the completions.
        origin: plain values that settle them, beside prompts and sampling.
        known: what votes can weigh.
        score: what ranks completions; None for their confidence.
        scores_steps: whether it ranks beginnings of them too.
    """

    config: VoteConfig
    splits: Splits
    engine: Engine
    origin: dict[str, Any]
    known: frozenset[Weighing]
    score: Score | None = None
    scores_steps: bool = False

    @property
    def watches(self) -> bool:
        """Whether completions can be looked at while they are drawn."""
        return isinstance(self.engine, TokenEngine) and self.engine.watches


def open_source(plan: VotePlan) -> Source:
    """Loads the weights, or asks the server what it can do; and what ranks completions.

    Raises:
        RefusedError: they can't be loaded, the server can't be used, no prompt is short enough, or
            there is nothing to rank by.
    """
    config = plan.config
    if plan.recorded:
        replay, origin = open_replay(plan.recorded), {"completions": config.completions}
        source = Source(config, plan.splits, replay, origin, frozenset())
    else:
        source = _from_server(plan) if config.endpoint else _from_model(plan)
    score, steps = _score(source, plan.recorded)
    known = set(source.known)
    if score or "confidence" in known:
        known.add("scores")
    for strategy in named(source.config):
        if strategy.weighing not in {"confidence", *known}:
            raise RefusedError(
                f"--strategy {strategy.name} ranks completions, and these come without "
                f"{LACKS[strategy.weighing]}"
            )
        if strategy.watches and not source.watches:
            raise RefusedError(
                f"--strategy {strategy.name} stops samples half-way, which --engine local does"
            )
    return dataclasses.replace(source, score=score, scores_steps=steps, known=frozenset(known))


def _from_model(plan: VotePlan) -> Source:
    config = plan.config
    assert plan.model is not None
    loaded, tokenizer, weights = policy.load(
        Plan(config, plan.model, plan.splits, []), config.dtype, trains=False
    )
    engine = open_engine(loaded.config, weights, tokenizer, sure=True, columns=loaded.columns)
    origin = {"model": config.model, **engine.origin}
    return Source(loaded.config, loaded.splits, engine, origin, engine.tells)


def _from_server(plan: VotePlan) -> Source:
    config = plan.config
    model = None if config.model == VoteConfig.model else config.model
    engine = open_server(config, model, sure=any(s.weighing == "steady" for s in named(config)))
    config = dataclasses.replace(config, model=engine.model)
    engine.require(drawn_by(config))
    if any(strategy.name == "budget" for strategy in named(config)):
        engine.require_continuing()
    origin = {"endpoint": config.endpoint, "model": engine.model}
    splits = Splits([], plan.splits.validation if config.tune else [], plan.splits.test)
    count = _counter(config, engine, splits.test[0])
    limit = config.max_prompt_tokens
    fitting = policy.drop_overlong(splits, config.system_prompt, config.task, limit, count)
    return Source(_without_greedy(config, engine), fitting, engine, origin, engine.tells)


def _counter(
    config: VoteConfig, engine: ServerEngine, example: Example
) -> Callable[[Sequence[Example]], Sequence[int]]:
    """Counts the tokens of prompts, where there is a way to.

    Raises:
        RefusedError: there is none, and the settings set a limit of their own.
    """
    if engine.counts_prompt_tokens(example):
        return engine.prompt_tokens
    if Path(engine.model).is_dir():
        return partial(policy.prompt_tokens, load_tokenizer(resolve(engine.model))[0])
    silent = f"{config.endpoint} doesn't tell how many tokens a prompt has"
    if config.max_prompt_tokens != VoteConfig.max_prompt_tokens:
        raise RefusedError(
            f"--max-prompt-tokens {config.max_prompt_tokens}: {silent}: leave it out; a prompt "
            "that the server finds too long counts as without an answer"
        )
    console.note(f"{silent}: prompts of any length are sent")
    return lambda examples: [0] * len(examples)


def _without_greedy(config: VoteConfig, engine: ServerEngine) -> VoteConfig:
    """The settings without what needs greedy samples, where the server gives none.

    Raises:
        RefusedError: the strategies themselves need some.
    """
    names = {config.strategy, *(config.also or [])} & {*GREEDY, "budget"}
    if not (names or config.baselines) or engine.takes(_greedy(config)):
        return config
    why = f"{config.endpoint} takes no temperature 0"
    if names:
        raise RefusedError(f"--strategy {min(names)} is greedy, and {why}: choose another")
    console.warn(f"{why}: no greedy completion is measured beside the vote")
    return dataclasses.replace(config, baselines=False)


def _greedy(config: VoteConfig) -> Sampling:
    assert config.max_completion_tokens
    return Sampling(config.max_completion_tokens, temperature=0)


def _score(source: Source, recorded: Sequence[Recorded]) -> tuple[Score | None, bool]:
    """What ranks completions, and whether it ranks beginnings of them too."""
    config = source.config
    if config.reward:
        guard = Guard(parse(config.reward, str(config.device)), config.reward_timeout)
        return lambda group: guard.total(guard.score(group)), False
    if config.verifier:
        return _verifier(source, config.verifier)
    scores = {found.group.example.id: found.scores for found in recorded}
    if not any(scores.values()):
        return None, False
    if min(map(min, scores.values())) < 0:
        console.warn(
            "some of the recorded scores are below 0: in `weighted` such a vote counts against "
            "its answer"
        )
    return lambda group: scores[group.example.id][: len(group.completions)], False


def _verifier(source: Source, name: str) -> tuple[Score, bool]:
    from reasonkit import verifying

    config = source.config
    known = getattr(source.engine, "tokenizer", None)
    verifier = verifying.load(name, str(config.device), str(config.dtype), known)
    verifier.require_fit(source.splits.test)
    searches = [strategy.name for strategy in named(config) if strategy.searches]
    if searches and not verifier.by_token:
        raise RefusedError(
            f"--verifier {name} scores whole completions only, and {searches[0]} needs scores of "
            "steps: pass one for token classification"
        )
    return verifier.score, verifier.by_token


def rules_of(config: VoteConfig) -> Rules:
    """What strategies go by, which are settings."""
    names = [field.name for field in dataclasses.fields(Rules) if field.name != "policy"]
    policy = routing.read(Path(config.policy)) if config.policy else None
    return Rules(**{name: getattr(config, name) for name in names}, policy=policy)


def askings(source: Source, store: Store) -> dict[Way, Asking]:
    """How each way of sampling puts a question, and to whom.

    Args:
        store: of the source's samples; those that are made in a special way get one beside it.
    """
    config = source.config
    drawn, greedy = drawn_by(config), _greedy(config)
    pool = source.engine if config.completions else Pool(store, source.engine)
    worded = partial(_worded, wording=config.wording)
    made: dict[Way, Asking] = {
        "asked": Asking(pool, drawn, worded if config.step_by_step else _as_it_is),
        "thinking": Asking(pool, drawn, worded),
        "at-once": Asking(pool, drawn, partial(_at_once, words=config.at_once or "")),
        "greedy": Asking(pool, greedy, _as_it_is),
        "greedy-thinking": Asking(pool, greedy, worded),
    }
    names = [strategy.name for strategy in named(config)]
    if "budget" in names:
        made["budget"] = Asking(_budget(source, store), greedy, worded)
    if "self-select" in names:
        made["chosen"] = Asking(_selecting(source, store, pool, drawn), greedy, made["asked"].ask)
    if "deepconf-online" in names:
        made["watched"] = Asking(_watched(source, store, pool, drawn), drawn, made["asked"].ask)
    for kind in KINDS:
        if kind in names:
            made[kind] = Asking(_search(source, store, kind), drawn, made["asked"].ask)
    return made


def _budget(source: Source, store: Store) -> Pool:
    config, engine = source.config, _kept(source, store, "samples-thoughts.jsonl")
    assert config.thought_tokens and config.wait_text is not None
    assert isinstance(engine, TokenSampler | PaidEngine)
    forced = BudgetEngine(engine, config.thought_tokens, config.waits, config.wait_text)
    settled_by = ("thought_tokens", "waits", "wait_text")
    return _beside(source, store, "samples-budget.jsonl", settled_by, forced)


def _selecting(source: Source, store: Store, pool: Engine, drawn: Sampling) -> Pool:
    assert source.config.n
    choosing = _kept(source, store, "samples-choices.jsonl")
    engine = SelectingEngine(pool, choosing, source.config.n, drawn)
    return _beside(source, store, "samples-chosen.jsonl", ("n", "temperature", "top_p"), engine)


def _watched(source: Source, store: Store, pool: Engine, drawn: Sampling) -> Pool:
    assert source.config.window and isinstance(source.engine, TokenSampler)
    watching = WatchingEngine(pool, source.engine, source.config.window, drawn)
    settled_by = ("n", "window", "temperature", "top_p")
    return _beside(source, store, "samples-watched.jsonl", settled_by, watching)


def _search(source: Source, store: Store, kind: Kind) -> Pool:
    config = source.config
    assert isinstance(source.engine, TokenSampler) and config.step_ends and source.score
    how = config.beam_width, config.step_ends, kind
    engine = BeamEngine(source.engine, source.score, *how)
    settled_by = ("verifier", "beam_width", "step_ends")
    return _beside(source, store, f"samples-{kind}.jsonl", settled_by, engine)


def _kept(source: Source, store: Store, name: str) -> Engine:
    """The source's engine; where it is paid for, what it gives is kept as it arrives."""
    if isinstance(source.engine, PaidEngine):
        return Pool(store.beside(name, source.origin), source.engine)
    return source.engine


def _beside(
    source: Source, store: Store, name: str, settled_by: Sequence[str], engine: Engine
) -> Pool:
    settings = {setting: getattr(source.config, setting) for setting in settled_by}
    return Pool(store.beside(name, source.origin | settings), engine)


def tokens_sampled(ways: Mapping[Way, Asking]) -> int:
    """Of all samples that are kept; 0 where nothing is sampled but read."""
    pools = {id(a.engine): (w, a.engine) for w, a in ways.items() if isinstance(a.engine, Pool)}
    from reasonkit.generation.watching import warm_up

    # What is watched begins with samples of another pool, which are kept in both.
    return sum(
        pool.store.tokens_from(warm_up if way == "watched" else lambda n: 0)
        for way, pool in pools.values()
    )


def _as_it_is(example: Example) -> Example:
    return example


def _worded(example: Example, wording: str) -> Example:
    return dataclasses.replace(ask(example, wording), thinks=True)


def _at_once(example: Example, words: str) -> Example:
    """The question without the registry's call for thoughts, and with words that do without."""
    *before, last = (m for m in example.messages if m["content"] != THINK_FIRST)
    asked = {**last, "content": f"{last['content']} {words}".strip()}
    return dataclasses.replace(example, messages=(*before, asked), thinks=False)
