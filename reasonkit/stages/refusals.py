"""Refuses a vote that can't be meant, before anything is made.

Leaves out wrong names of models, tasks and fields: what resolves them refuses them.
"""

from __future__ import annotations

from reasonkit.config import VoteConfig
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.prompts import require_known
from reasonkit.rewards import parse
from reasonkit.tasks import Splits
from reasonkit.voting.strategies import STRATEGIES, Strategy


def named(config: VoteConfig) -> list[Strategy]:
    """The chosen strategy, then those that are to be measured too."""
    names = dict.fromkeys([config.strategy, *(config.also or [])])
    for name in names:
        if name not in STRATEGIES:
            raise UnknownNameError("strategy", name, STRATEGIES)
    return [STRATEGIES[name] for name in names]


def require_possible(config: VoteConfig) -> None:
    """Refuses, before any data is read, what can't be meant."""
    require_known(config.wording)
    given = {"--completions": config.completions, "--endpoint": config.endpoint}
    if config.question is not None:
        given = {"a question": config.question, "--completions": config.completions}
    if all(given.values()):
        raise RefusedError(f"{' and '.join(given)} exclude each other: leave one out")
    if config.reward and config.verifier:
        raise RefusedError("--reward and --verifier both rank completions: leave one out")
    for weighted in parse(config.reward or [], str(config.device)):
        if weighted.reward.needs_answer:
            raise RefusedError(
                f"--reward {weighted.reward.name} reads the reference answer: a vote that does is "
                "an oracle, not a result; rank by a verifier, by confidence, or by a reward that "
                "doesn't read it"
            )
    if config.step_by_step and config.strategy == "greedy":
        raise RefusedError("--strategy greedy --step-by-step is what step-by-step does: pass that")
    for strategy in named(config):
        if config.completions and strategy.select is None:
            raise RefusedError(f"--strategy {strategy.name} asks a model: leave out --completions")
        if config.endpoint and strategy.name in ("budget", "beam"):
            raise RefusedError(
                f"--strategy {strategy.name} goes on with half-written completions, which a "
                "server doesn't: leave out --endpoint"
            )
        if strategy.name == "beam" and not config.verifier:
            raise RefusedError("--strategy beam needs a --verifier that scores steps")
        if config.tune and config.strategy not in ("adaptive", "cascade"):
            raise RefusedError(f"--tune: {config.strategy} has no threshold to choose")
    if config.tune and (config.completions or config.question is not None):
        raise RefusedError("--tune needs a task, for its validation split")


def require_enough(config: VoteConfig, splits: Splits) -> None:
    """Refuses what would give n equal samples, or tune on nothing."""
    several = ("cascade", "beam")
    sampled = [s.name for s in named(config) if s.select is not None or s.name in several]
    if config.temperature == 0 and config.n != 1 and sampled and not config.completions:
        raise RefusedError(
            f"--temperature 0 gives the same completion {config.n} times, and {sampled[0]} would "
            "count it as often: raise the temperature, or pass --n 1"
        )
    if config.tune and not splits.validation:
        raise RefusedError(f"--tune: {config.task} has no validation split")


def require_scores(config: VoteConfig, is_scored: bool) -> None:
    """Refuses a ranking where there is nothing to rank by."""
    for strategy in named(config):
        if strategy.weighing == "scores" and not is_scored:
            raise RefusedError(
                f"--strategy {strategy.name} ranks completions, and these come without "
                "log-probabilities and scores: pass --reward, --verifier or --fields scores=FIELD"
            )
