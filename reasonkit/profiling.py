"""``reasonkit tasks profile``: what a model makes of tasks as it is, and which would teach it.

A group teaches by reinforcement learning only where some of its completions are right and some are
wrong. So each task is sampled on a few of its train questions; test is not looked at, and nothing
is written. Right and wrong alone are counted: what else rewards pay for is left out.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from reasonkit import console
from reasonkit.config import CommonConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.engine import Engine, Sampling, open_engine
from reasonkit.judging import judge_group
from reasonkit.models.resolving import resolve
from reasonkit.plan import Plan, by_model, check_references, policy
from reasonkit.statistics import Accuracy, wilson_of_means
from reasonkit.tasks import describe, generated, load, require_trainable
from reasonkit.types import Completion
from reasonkit.voting.curves import pass_at_k

HOPELESS, SLOW, SOLVED = 0.05, 0.3, 0.9
"""Of groups that hold a right answer, of groups with a spread, and of right completions: below the
first there is nothing to reinforce, below the second little, above the third nothing to learn."""

OFTEN_CUT = 0.2
"""Share of completions that are cut off from which that is said."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A task as the model meets it.

    Attributes:
        right: share of right completions: pass@1.
        solvable: share of groups of ``group_size`` that hold a right one: pass@k.
        spread: share of such groups that hold a wrong one too.
        cut_off: share of completions that were.
        tokens: mean completion length.
        verdict: in words.
    """

    task: str
    questions: int
    samples: int
    group_size: int
    right: Accuracy
    solvable: Accuracy
    spread: Accuracy
    cut_off: float
    tokens: float
    verdict: str


def spread_at_k(n: int, right: int, k: int) -> float:
    """The chance that k samples, drawn from n of which some are right, aren't all of a kind."""
    return pass_at_k(n, right, k) + pass_at_k(n, n - right, k) - 1


def tasks_of(names: Sequence[str]) -> list[str]:
    """The tasks to profile: a generated one at the difficulties of its ladder, others as they are.

    Args:
        names: all generated tasks that have a ladder, if there are none.
    """
    found = []
    for name in names or generated.GENERATORS:
        steps = generated.GENERATORS[name].ladder if name in generated.GENERATORS else ()
        found += [f"{name}:{step}" if step else name for step in steps]
        found += [name] if names and not steps else []
    return found


def profile(
    config: CommonConfig,
    names: Sequence[str],
    columns: Mapping[str, str] | None,
    questions: int,
    samples: int | None,
    temperature: float | None,
) -> Iterator[Profile]:
    """Yields the profile of each of the tasks (`tasks_of`) as soon as it is known.

    Args:
        config: the model and how it is asked; its task is not looked at.
        columns: of data, as `reasonkit.tasks.load` takes them.
        questions: of each task, at most.
        samples: of each question; a group's size by the model's entry if None.
        temperature: they are drawn at; the model's own if None.

    Raises:
        RefusedError: a task, the model or a setting can't be used; nothing is sampled then.
    """
    tasks, model = tasks_of(names), resolve(config.model)
    group_size = model.entry.rl.group_size
    n = samples or group_size
    if n < group_size:
        raise RefusedError(f"--samples {n}: a group of {config.model} has {group_size}: take more")
    config = by_model(config, model.entry)
    plans = {}
    for task in tasks:
        made = describe(task).source == "generated"
        most = questions if made else None
        splits = load(task, columns=columns, train=most, validation=1, test=1)
        require_trainable(task, splits)
        check_references(task, splits)
        if not made and len(splits.train) > questions:
            # Files may be sorted.
            splits.train[:] = random.Random(0).sample(splits.train, questions)
        plans[task] = Plan(config, model, splits, [])
    first, tokenizer, weights = policy.load(plans[tasks[0]], trains=False)
    engine = open_engine(first.config, weights, tokenizer)
    heat = temperature or model.entry.temperature
    sampling = Sampling(plans[tasks[0]].longest, heat, seed=config.seed)
    for task, plan in plans.items():
        asked = policy.without_overlong(plan, tokenizer)
        seen = _profiled(task, engine, asked, n, group_size, sampling)
        console.note(f"{task}: pass@1 {_share(seen.right)}, mixed groups {_share(seen.spread)}")
        yield seen


def _profiled(
    task: str, engine: Engine, plan: Plan[CommonConfig], n: int, k: int, sampling: Sampling
) -> Profile:
    counts: list[int] = []
    completions: list[Completion] = []
    sampled = engine.sample(plan.splits.train, n, sampling)
    for group in console.counted(sampled, len(plan.splits.train), f"sampling {task}"):
        counts.append(sum(one.right is True for one in judge_group(group)))
        completions += group.completions
    right = wilson_of_means([c / n for c in counts], n)
    solvable = [pass_at_k(n, c, k) for c in counts]
    held = wilson_of_means(solvable, 1)
    spread = wilson_of_means([spread_at_k(n, c, k) for c in counts], 1)
    return Profile(
        task=task,
        questions=len(counts),
        samples=n,
        group_size=k,
        right=right,
        solvable=held,
        spread=spread,
        cut_off=fmean(c.finish_reason == "length" for c in completions),
        tokens=fmean(c.tokens for c in completions),
        verdict=_verdict(right.accuracy, held.accuracy, spread.accuracy),
    )


def _verdict(right: float, solvable: float, spread: float) -> str:
    if right > SOLVED:
        return "solved already"
    if solvable < HOPELESS:
        return "hopeless: no right answer to reinforce"
    return "teaches" if spread >= SLOW else "teaches slowly"


def show(model: str, profiles: Sequence[Profile], as_json: bool) -> None:
    """Prints the profiles to stdout."""
    if as_json:
        console.write(json.dumps([asdict(p) for p in profiles], indent=2))
        return
    first = profiles[0]
    most = max(p.questions for p in profiles)
    console.show_table(
        f"{model}: {first.samples} samples of up to {most} questions, 95 % intervals",
        ("task", "pass@1", f"pass@{first.group_size}", "mixed", "tokens", "cut off"),
        [
            (
                p.task,
                *map(_share, (p.right, p.solvable, p.spread)),
                f"{p.tokens:.0f}",
                f"{p.cut_off:.0%}",
            )
            for p in profiles
        ],
    )
    console.say("mixed: groups with right and wrong answers, which are what GRPO learns from")
    for verdict in dict.fromkeys(p.verdict for p in profiles):
        named = [p.task for p in profiles if p.verdict == verdict]
        console.say(f"{verdict}: {'; '.join(named)}")
    if (most_cut := max(p.cut_off for p in profiles)) > OFTEN_CUT:
        console.say(
            f"up to {most_cut:.0%} of the completions are cut off, and may be wrong for that: "
            "see --max-completion-tokens"
        )


def _share(share: Accuracy) -> str:
    return f"{share.accuracy:.0%} ({share.low * 100:.0f}-{share.high * 100:.0f})"
