"""The plan of a vote: names resolved, data read, and what can't be meant refused."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from reasonkit import console
from reasonkit.config import VoteConfig
from reasonkit.errors import DataError, RefusedError, UnknownNameError
from reasonkit.generation.engine import seed_of
from reasonkit.generation.replay import FIELDS, Recorded, fewest, read_completions
from reasonkit.models import OTHER, entry_for
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.plan import by_model, check_references, filled, load_splits
from reasonkit.prompts import require_known
from reasonkit.rewards import parse
from reasonkit.sandbox import require_isolation
from reasonkit.tasks import Splits
from reasonkit.tasks.rows import named_columns
from reasonkit.types import Example
from reasonkit.voting import routing
from reasonkit.voting.ballots import BLANK, WINDOW, cast
from reasonkit.voting.behaviour import calls
from reasonkit.voting.strategies import STRATEGIES, Strategy

RECORDED, QUESTION = "recorded", "question"
"""What stands for the model of recorded completions, and for the task of a single question."""

SAMPLES = 16
"""Samples a question, where nothing else says how many."""

AT_ONCE = "Answer at once: give only the final answer, between <answer> and </answer>."
"""Asks a model that thinks when it is told to for an answer without a thought."""


@dataclass(frozen=True, slots=True)
class VotePlan:
    """A vote whose names and data are known to be good.

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


def settle(config: VoteConfig) -> VotePlan:
    """Resolves all names, reads and checks the data.

    Raises:
        RefusedError: for whatever can't be used or meant, by name.
    """
    _require_possible(config)
    config = as_learned(config)
    plan = _recorded(config) if config.completions is not None else _asked(config)
    config = plan.config
    sampled = [strategy.name for strategy in named(config) if not strategy.single]
    if config.temperature == 0 and config.n != 1 and sampled and not config.completions:
        raise RefusedError(
            f"--temperature 0 gives the same completion {config.n} times, and {sampled[0]} would "
            "count it as often: raise the temperature, or pass --n 1"
        )
    learns = "--tune" if config.tune else "--strategy auto" if learns_policy(config) else None
    if learns and not plan.splits.validation:
        raise RefusedError(f"{learns}: {config.task} has no validation split")
    return plan


def learns_policy(config: VoteConfig) -> bool:
    """Whether there is a policy to learn before anything is measured."""
    return not config.policy and any(strategy.name == "auto" for strategy in named(config))


def as_learned(config: VoteConfig) -> VoteConfig:
    """The settings with questions put as they were when the policy was learned, if there is one.

    Raises:
        RefusedError: the settings put them otherwise.
        UnknownNameError: it has a wording that there isn't.
        DataError: it is no policy.
    """
    words = dict(routing.read(Path(config.policy)).words) if config.policy else {}
    for name, learned in words.items():
        if getattr(config, name) not in (getattr(VoteConfig, name), learned):
            flag = f"--{name.replace('_', '-')}"
            raise RefusedError(
                f"{flag}: {config.policy} was learned with {learned!r}: leave it out"
            )
    require_known(words.get("wording"))
    return dataclasses.replace(config, **words)  # type: ignore[arg-type]


def named(config: VoteConfig) -> list[Strategy]:
    """The chosen strategy, then those that are to be measured too."""
    names = dict.fromkeys([config.strategy, *(config.also or [])])
    for name in names:
        if name not in STRATEGIES:
            raise UnknownNameError("strategy", name, STRATEGIES)
    return [STRATEGIES[name] for name in names]


def _require_possible(config: VoteConfig) -> None:
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
        if config.completions and not strategy.pooled and strategy.name != "auto":
            raise RefusedError(f"--strategy {strategy.name} asks a model: leave out --completions")
        if config.endpoint and strategy.searches:
            raise RefusedError(
                f"--strategy {strategy.name} goes on with half-written completions, which a "
                "server isn't asked for: leave out --endpoint"
            )
        if strategy.searches and not config.verifier:
            raise RefusedError(f"--strategy {strategy.name} needs a --verifier that scores steps")
    auto = any(strategy.name == "auto" for strategy in named(config))
    if not auto and (config.policy or config.budget):
        raise RefusedError("--policy and --budget are for --strategy auto: pass that, or neither")
    if config.policy and config.budget:
        raise RefusedError("--policy is learned already, for its own budget: leave out --budget")
    if auto and config.question is not None and not config.policy:
        raise RefusedError(
            "--strategy auto learns on a task what to spend: run it with --task first, then pass "
            "--policy RUN with the question"
        )
    if config.tune and config.strategy not in ("adaptive", "cascade"):
        raise RefusedError(f"--tune: {config.strategy} has no threshold to choose")
    if config.tune and (config.completions or config.question is not None):
        raise RefusedError("--tune needs a task, for its validation split")


def _asked(config: VoteConfig) -> VotePlan:
    """Questions to a model here or behind a server."""
    model = None if config.endpoint else resolve(config.model)
    entry = model.entry if model else entry_for(config.model)
    if config.question is not None:
        splits = Splits([], [], [asked(config.question)])
        config = dataclasses.replace(config, task=QUESTION)
    else:
        splits = load_splits(config)
        programs = [example for example in splits.test if example.tests]
        if programs:
            require_isolation()
        if programs and not any(calls(example) for example in programs):
            raise RefusedError(
                f"task {config.task!r} wants programs that read standard input, or whose question "
                "shows no call: nothing tells which of them do the same"
            )
        check_references(config.task, splits)
    config = by_model(config, entry)
    assert config.max_completion_tokens
    settled = filled(
        config,
        n=SAMPLES,
        at_once=AT_ONCE if entry.system_prompt is not None else "",
        thought_tokens=max(1, config.max_completion_tokens * 3 // 4),
        wait_text=entry.wait,
        window=max(1, min(WINDOW, config.max_completion_tokens // 8)),
        step_ends=list(entry.verifier.step_ends),
        longer=model is not None,
    )
    return VotePlan(settled, splits, model)


def _recorded(config: VoteConfig) -> VotePlan:
    """The completions of a file."""
    path = str(config.completions)
    pairs = ",".join(config.fields).split(",") if config.fields else []
    fields = named_columns(map(str.strip, pairs), FIELDS, "field")
    recorded = tuple(read_completions(Path(path), fields))
    if all((cast(found.group).classes == BLANK).all() for found in recorded):
        raise DataError(
            f"{path}: no completion holds a final answer: is `completions` the right field? "
            "pass --fields completions=FIELD"
        )
    if config.n and config.n > fewest(recorded):
        raise RefusedError(
            f"{path}: --n {config.n}, but of some question only {fewest(recorded)} are recorded"
        )
    if "tokens" not in fields:
        console.note(f"{path} doesn't tell tokens: words are counted in their place")
    settled = dataclasses.replace(
        by_model(config, OTHER),
        model=RECORDED,
        task=path,
        system_prompt="",
        n=config.n or fewest(recorded),
        at_once="",
        window=config.window or WINDOW,
        baselines=False,
        longer=False,
    )
    examples = [found.group.example for found in recorded]
    learned_from = [e for e in examples if learns_policy(config) and seed_of(e.id) % 2]
    if learned_from:
        console.note(f"{path}: {len(learned_from)} of {len(examples)} questions are learned from")
    measured = [example for example in examples if example not in learned_from]
    return VotePlan(settled, Splits([], learned_from, measured), None, recorded)


def asked(question: str) -> Example:
    """A question that somebody asks, which has no reference answer.

    Raises:
        RefusedError: it is empty.
    """
    if not question.strip():
        raise RefusedError("the question is empty")
    message = {"role": "user", "content": question.strip()}
    return Example(QUESTION, QUESTION, (message,), "")
