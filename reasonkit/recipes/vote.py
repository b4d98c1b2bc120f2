"""``reasonkit vote``: accuracy bought at inference time, with no weights changed.

The order of things: names are resolved and data is checked; then weights are loaded or a server is
asked; only then is a run made. The chosen strategy, those it is compared with and the baselines
take their samples from one pool, and what fewer samples would have given is computed from it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from reasonkit import console, resuming, running
from reasonkit.config import Invocation, VoteConfig
from reasonkit.evaluation import Evaluation, paired
from reasonkit.generation.store import Store, count_failures
from reasonkit.plan.vote import learns_policy, named, settle
from reasonkit.provenance import fingerprint
from reasonkit.runs import Run
from reasonkit.types import Example, Group, Weighing
from reasonkit.voting import routing
from reasonkit.voting.curves import Row, by_difficulty, curves, longer_against_wider, row
from reasonkit.voting.drawing import Asking, Outcome, Poll, evaluation_of
from reasonkit.voting.records import record
from reasonkit.voting.routing import Learned, Spent
from reasonkit.voting.sources import (
    GREEDY,
    Source,
    askings,
    open_source,
    rules_of,
    tokens_sampled,
)
from reasonkit.voting.strategies import STRATEGIES, Option, Policy, Rules, Way
from reasonkit.voting.tuning import Tuned, tune

COMMAND = "vote"
PLAIN, WORDED, BOTH, BY_DIFFICULTY = "as asked", "step by step", "both", "by difficulty"
"""How questions were put, in the words of tables and plots."""

PUT = {"step-by-step": WORDED, "cascade": BOTH, "auto": BY_DIFFICULTY}
"""How strategies that don't leave it to the user put questions; all others but greedy do."""


def run(config: VoteConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run.

    Raises:
        RefusedError: before anything is made.
        RunError: when sampling can't go on; what was sampled is kept.
    """
    if resuming.is_done(config, invocation):
        return
    plan = settle(config)
    made_from = plan.model.made_from if plan.model else ""
    data = fingerprint(plan.splits, plan.recorded, *filter(None, [made_from]))
    resuming.require_usable(invocation, data)
    source = open_source(plan)
    if config.question is None or invocation.dry_run:
        console.err.print(console.table("plan", ("", ""), _plan(source)))
    if invocation.dry_run:
        return
    made = running.begin(COMMAND, source.config, invocation, data, made_from)
    work = _evaluate if config.question is None else _answer
    running.carry_out(made, lambda: work(made, source), invocation.json)


def _plan(source: Source) -> list[tuple[str, str]]:
    config, splits = source.config, source.splits
    assert config.n and config.max_completion_tokens
    questions = len(splits.test)
    rows = [
        ("model", config.model),
        ("questions", f"{questions} of {config.task}" if config.question is None else "1"),
        ("strategy", f"{config.strategy}: {STRATEGIES[config.strategy].summary}"),
        ("samples a question", f"at most {config.n}, at temperature {config.temperature:g}"),
    ]
    if not config.completions:
        prompts = 1 + bool(config.longer and config.question is None)
        most = questions * config.n * prompts * config.max_completion_tokens
        rows.append(("tokens", f"at most {most:,}, baselines and comparisons aside"))
    return rows


def _progress(way: Way, total: int, groups: Iterable[Group]) -> Iterator[Group]:
    return console.counted(groups, total, f"sampling: {way}")


def _poll(source: Source, examples: Sequence[Example], ways: Mapping[Way, Asking]) -> Poll:
    assert source.config.window
    return Poll(examples, ways, source.score, _progress, source.config.window)


def _answer(made: Run, source: Source) -> dict[str, Any]:
    """One question, and what was voted."""
    config, started = source.config, time.monotonic()
    samples = made.path / "samples.jsonl"
    store = Store(samples, source.origin)
    poll = _poll(source, source.splits.test, askings(source, store))
    strategy = STRATEGIES[config.strategy]
    (outcome,) = poll.carry_out(partial(strategy.procedure, rules_of(config), "asked"))
    return {
        "strategy": strategy.name,
        **record(outcome),
        "failed_samples": count_failures(samples),
        "seconds": time.monotonic() - started,
    }


def _evaluate(made: Run, source: Source) -> dict[str, Any]:
    """A whole task, or a file of completions."""
    config, started = source.config, time.monotonic()
    samples = made.path / "samples.jsonl"
    store = Store(samples, source.origin)
    ways, rules, tuned = askings(source, store), rules_of(config), None
    if config.tune:
        tuned = _tune(_poll(source, source.splits.validation, ways), config, rules)
        rules = tuned.rules
    routed: dict[str, Any] | None = None
    if learns_policy(config):
        learned = _learn(_poll(source, source.splits.validation, ways), source, rules)
        chosen = routing.choose(learned, config.budget)
        words = tuple((name, str(getattr(config, name))) for name in routing.WORDS)
        policy = dataclasses.replace(chosen.on, words=words)
        routing.save(policy, made.path / routing.FILE)
        rules = dataclasses.replace(rules, policy=policy)
    poll = _poll(source, source.splits.test, ways)
    names = [strategy.name for strategy in named(config)]
    if config.baselines:
        names += [name for name in GREEDY if name not in names]
    outcomes: dict[str, list[Outcome]] = {}
    for name in names:
        outcomes[name] = poll.carry_out(partial(STRATEGIES[name].procedure, rules, "asked"))
    majority = STRATEGIES["majority"].procedure
    one = evaluation_of(poll.carry_out(partial(majority, Rules(1), "asked")))
    if _is_longer(config):
        poll.draw("thinking", poll.examples, rules.n)
    if learns_policy(config):
        routed = _routed(poll, learned, chosen, rules)
    evaluations = {name: evaluation_of(found) for name, found in outcomes.items()}
    after = evaluations[config.strategy]
    others = {name: done for name, done in evaluations.items() if name != config.strategy}
    for name, done in {"before": one, "after": after, **others}.items():
        done.save(made.evaluations / f"{name}.json")
        whose = {"before": "one sample", "after": config.strategy}.get(name, name)
        console.note(f"{whose}: {done.accuracy}, {done.mean_tokens:,.0f} tokens a question")
    made.write_json("ballots.json", [record(outcome) for outcome in outcomes[config.strategy]])
    return {
        "strategy": config.strategy,
        "n": rules.n,
        "before": one.to_summary(),
        "after": after.to_summary(),
        "paired": dataclasses.asdict(paired(one.verdicts, after.verdicts)),
        "paired_with": {
            name: dataclasses.asdict(paired(other.verdicts, after.verdicts))
            for name, other in others.items()
        },
        **_picture(poll, rules, config, evaluations, source.known),
        "routed": routed,
        "tuned": tuned and dataclasses.asdict(tuned),
        "without_answer": _without_answer(poll),
        "failed_samples": count_failures(samples),
        "seconds": time.monotonic() - started,
        "tokens_sampled": tokens_sampled(ways),
    }


def _is_longer(config: VoteConfig) -> bool:
    """Whether there are samples with the wording beside those as asked."""
    return bool(config.longer and not config.step_by_step and config.temperature and config.n != 1)


def _learn(poll: Poll, source: Source, rules: Rules) -> Learned:
    """What to spend on which question, on those of the poll."""
    config = source.config
    names = routing.VOTES if source.score else routing.VOTES[:2]
    kinds: list[Way] = ["asked", "thinking"] if _is_longer(config) else ["asked"]
    options = routing.votes(names, kinds, rules)
    needed = dict.fromkeys(kinds, rules.n)
    if not config.completions:
        needed["at-once"] = max(routing.LOOKS)
    if config.baselines:
        options += routing.ALONE
        needed |= {option.way: 1 for option in routing.ALONE}
    pools = poll.pools(needed)
    with console.doing("learning what to spend on which question"):
        return routing.learn(pools, options, rules)


def _routed(poll: Poll, learned: Learned, chosen: Spent[Policy], rules: Rules) -> dict[str, Any]:
    """The policies on the test's questions, and what the chosen one is to beat: the best fixed
    strategy that costs no more, and the best of all, by what was learned."""

    def measured(on: Policy | Option) -> tuple[list[Outcome], Evaluation]:
        outcomes = poll.carry_out(partial(routing.begin, on, rules))
        return outcomes, evaluation_of(outcomes)

    (outcomes, after), rows, rivals = measured(chosen.on), [], {}
    look = chosen.on.look.count
    skipped = [after.verdicts[i] for i, one in enumerate(outcomes) if one.samples <= look]
    for policy in learned.policies:
        _, done = measured(policy.on)
        told = row("auto", BY_DIFFICULTY, rules.n, done.accuracy, done.mean_tokens)
        rows.append(dataclasses.asdict(told))
    for fixed in (routing.affordable(learned.fixed, chosen.tokens), learned.fixed[-1]):
        _, done = measured(fixed.on)
        right = {verdict.id for verdict in done.verdicts if verdict.correct}
        rivals[str(fixed.on)] = {
            **done.to_summary(),
            "wrongly_skipped": sum(not one.correct and one.id in right for one in skipped),
            "paired": dataclasses.asdict(paired(done.verdicts, after.verdicts)),
        }
    return {
        "questions": learned.questions,
        "policy": dataclasses.asdict(chosen),
        "words": routing.in_words(chosen.on),
        "skipped": len(skipped),
        "rivals": rivals,
        "rows": rows,
    }


def _tune(poll: Poll, config: VoteConfig, rules: Rules) -> Tuned:
    strategy = STRATEGIES[config.strategy]
    needed: dict[Way, int] = {"asked": rules.n}
    if strategy.name == "cascade":
        needed = {"at-once": rules.quick, "thinking": rules.n}
    tuned = tune(strategy, poll.pools(needed), rules, "asked")
    console.note(
        f"chosen on {tuned.questions} validation questions: --stop-at {tuned.rules.stop_at:g} "
        f"--sure-at {tuned.rules.sure_at:g}: {tuned.accuracy:.1%} with "
        f"{tuned.tokens / tuned.full_tokens:.0%} of the tokens of the full vote's "
        f"{tuned.full_accuracy:.1%}"
    )
    return tuned


def _picture(
    poll: Poll,
    rules: Rules,
    config: VoteConfig,
    evaluations: Mapping[str, Evaluation],
    known: Collection[Weighing],
) -> dict[str, Any]:
    """Rows for every strategy and size, by difficulty, and longer against wider."""
    plain = WORDED if config.step_by_step else PLAIN
    prompts: dict[Way, str] = {"asked": plain, "thinking": WORDED}
    pools = {
        prompt: [poll.ballots(way, example) for example in poll.examples]
        for way, prompt in prompts.items()
        if poll.held(way) >= rules.n
    }
    rows: list[Row] = []
    for prompt, ballots in pools.items():
        rows += curves(ballots, rules, prompt, known)
    for name, done in evaluations.items():
        strategy = STRATEGIES[name]
        if not strategy.pooled or plain not in pools:
            n = 1 if strategy.single else rules.n
            prompt = PLAIN if name == "greedy" else PUT.get(name, plain)
            rows.append(row(name, prompt, n, done.accuracy, done.mean_tokens))
    return {
        "strategies": [dataclasses.asdict(made) for made in rows],
        "difficulty": by_difficulty(pools[plain], rules) if plain in pools and rules.n > 1 else [],
        "longer_against_wider": (
            longer_against_wider(pools[WORDED], pools[PLAIN], rules) if len(pools) == 2 else []
        ),
    }


def _without_answer(poll: Poll) -> float:
    """The share of the asked samples that hold no final answer."""
    pools = [poll.ballots("asked", example) for example in poll.examples]
    return fmean(1 - float(pool.votes.sum()) / len(pool) for pool in pools)
