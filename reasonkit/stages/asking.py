"""How questions are put for each way of sampling, to whom, and what ranks the completions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

from reasonkit import console
from reasonkit.config import VoteConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.pool import Pool
from reasonkit.generation.store import Store
from reasonkit.prompts import THINK_FIRST, ask
from reasonkit.rewards import parse
from reasonkit.rewards.guard import Guard
from reasonkit.stages.refusals import named
from reasonkit.stages.sources import Source, drawn_by, greedy_by
from reasonkit.types import Example
from reasonkit.voting.drawing import Asking, Score
from reasonkit.voting.strategies import Rules, Way


def rules_of(config: VoteConfig) -> Rules:
    """The numbers that strategies go by, from resolved settings."""
    assert config.n
    return Rules(
        config.n,
        top_k=config.top_k,
        stop_at=config.stop_at,
        round_size=config.round_size,
        quick=config.quick,
        sure_at=config.sure_at,
    )


def askings(source: Source, store: Store, score: Score | None) -> dict[Way, Asking]:
    """How each way of sampling puts a question, and to whom.

    Args:
        store: of the source's samples; those that are made in a special way get one beside it.
    """
    config = source.config
    drawn, greedy = drawn_by(config), greedy_by(config)
    pool = Pool(store, source.engine) if not source.recorded else source.engine
    worded = partial(ask, wording=config.wording)
    made: dict[Way, Asking] = {
        "asked": Asking(pool, drawn, worded if config.step_by_step else _as_it_is),
        "thinking": Asking(pool, drawn, worded),
        "at-once": Asking(pool, drawn, partial(_at_once, words=config.at_once or "")),
        "greedy": Asking(pool, greedy, _as_it_is),
        "greedy-thinking": Asking(pool, greedy, worded),
    }
    if any(strategy.name == "budget" for strategy in named(config)):
        made["budget"] = Asking(_budget(source, store), greedy, worded)
    if any(strategy.name == "beam" for strategy in named(config)):
        assert score is not None
        made["beam"] = Asking(_beam(source, store, score), drawn, made["asked"].ask)
    return made


def _budget(source: Source, store: Store) -> Pool:
    from reasonkit.generation.budget import BudgetEngine
    from reasonkit.generation.local import LocalEngine

    config = source.config
    assert isinstance(source.engine, LocalEngine)
    assert config.thought_tokens and config.wait_text is not None
    engine = BudgetEngine(source.engine, config.thought_tokens, config.waits, config.wait_text)
    forced = {name: getattr(config, name) for name in ("thought_tokens", "waits", "wait_text")}
    beside = Store(store.path.with_name("samples-budget.jsonl"), source.origin | forced)
    return Pool(beside, engine)


def _beam(source: Source, store: Store, score: Score) -> Pool:
    from reasonkit.generation.beam import BeamEngine
    from reasonkit.generation.local import LocalEngine

    config = source.config
    assert isinstance(source.engine, LocalEngine) and config.step_ends
    engine = BeamEngine(source.engine, score, config.beam_width, config.step_ends)
    searched = {name: getattr(config, name) for name in ("verifier", "beam_width", "step_ends")}
    beside = Store(store.path.with_name("samples-beam.jsonl"), source.origin | searched)
    return Pool(beside, engine)


def tokens_sampled(ways: Mapping[Way, Asking]) -> int:
    """Of all samples that are kept; 0 where nothing is sampled but read."""
    pools = {id(a.engine): a.engine for a in ways.values() if isinstance(a.engine, Pool)}
    return sum(pool.store.tokens for pool in pools.values())


def _as_it_is(example: Example) -> Example:
    return example


def _at_once(example: Example, words: str) -> Example:
    """The question without the registry's call for thoughts, and with words that do without."""
    *before, last = (m for m in example.messages if m["content"] != THINK_FIRST)
    asked = {**last, "content": f"{last['content']} {words}".strip()}
    return dataclasses.replace(example, messages=(*before, asked))


def _verifier(source: Source, name: str) -> Score:
    from reasonkit import verifying

    config = source.config
    known = getattr(source.engine, "tokenizer", None)
    verifier = verifying.load(name, str(config.device), str(config.dtype), known)
    verifier.require_fit(source.splits.test)
    if not verifier.by_token and any(s.name == "beam" for s in named(config)):
        raise RefusedError(
            f"--verifier {name} scores whole completions only, and --strategy beam needs scores of "
            "steps: pass one for token classification"
        )
    return verifier.score


def is_scored(source: Source, score: Score | None) -> bool:
    """Whether there is something to rank completions by."""
    return score is not None or source.engine.gives_logprobs()


def score_of(source: Source) -> Score | None:
    """What ranks completions; None for their confidence."""
    config = source.config
    if config.reward:
        guard = Guard(parse(config.reward, str(config.device)), config.reward_timeout)
        return lambda group: guard.total(guard.score(group))
    if config.verifier:
        return _verifier(source, config.verifier)
    recorded = {found.group.example.id: found.scores for found in source.recorded}
    if not any(recorded.values()):
        return None
    if min(min(scores) for scores in recorded.values()) < 0:
        console.warn(
            "some of the recorded scores are below 0: in `weighted` such a vote counts against "
            "its answer"
        )
    return lambda group: recorded[group.example.id][: len(group.completions)]
