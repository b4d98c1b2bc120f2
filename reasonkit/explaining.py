"""``reasonkit explain``: one group of completions, and what GRPO makes of it, by hand.

Nothing is trained and nothing written. Leaves out the KL term, which is off unless it is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import typer

from reasonkit import console
from reasonkit.errors import RefusedError

if TYPE_CHECKING:
    from reasonkit.config import GrpoConfig
    from reasonkit.types import Scored

RATIOS = (0.5, 0.8, 1.0, 1.2, 1.5)
"""Of a token's new probability to its old one: those for which the clip is shown."""

LONGEST = 400
"""Characters of a completion that are shown."""


def explain(
    question: str | None = typer.Argument(None, help="Your own. (default: one of the task)"),
    answer: str | None = typer.Option(None, help="The right answer to your own question."),
    model: str = typer.Option("abacus", help="As for a recipe."),
    task: str = typer.Option("arithmetic", help="As for a recipe."),
    reward: list[str] | None = typer.Option(None, help="As for a recipe; may be repeated."),
    group_size: int | None = typer.Option(None, help="Completions. (default: by model)", min=2),
    temperature: float | None = typer.Option(
        None, help="They are drawn at. (default: by model)", min=0.01, max=5.0
    ),
    max_completion_tokens: int | None = typer.Option(None, help="As for a recipe.", min=2),
    seed: int = typer.Option(0, help="Of the question and the completions.", min=0),
) -> None:
    """Draws one group from a model, and shows which way GRPO would push each completion."""
    from reasonkit.config import GrpoConfig

    if (question is None) != (answer is None):
        raise RefusedError("a question of your own and --answer go together: give both or neither")
    config = GrpoConfig(
        model=model,
        task=task,
        reward=reward,
        group_size=group_size,
        temperature=temperature,
        max_completion_tokens=max_completion_tokens,
        seed=seed,
    )
    with console.results_alone():
        config, scored = _drawn(config, question, answer)
        _show(config, scored)


def _drawn(
    config: GrpoConfig, question: str | None, answer: str | None
) -> tuple[GrpoConfig, list[Scored]]:
    """The settled settings, and a group's completions with their rewards."""
    from reasonkit.generation.engine import drawn_by, open_engine
    from reasonkit.plan import check_examples, policy
    from reasonkit.plan import grpo as planning
    from reasonkit.rewards.guard import Guard
    from reasonkit.tasks import Splits
    from reasonkit.tasks.rows import Row
    from reasonkit.training.rollouts import scored

    plan = planning.settle(config)
    example = plan.splits.train[config.seed % len(plan.splits.train)]
    if question is not None and answer is not None:
        example = Row("--answer", question, answer).example(config.task)
    asked = Splits(train=[example], validation=[], test=[])
    check_examples(config.task, asked, plan.rewards)
    plan, tokenizer, weights = policy.load(dataclasses.replace(plan, splits=asked), trains=False)
    engine, config = open_engine(plan.config, weights, tokenizer), plan.config
    assert config.group_size
    groups = list(engine.sample(plan.splits.train, config.group_size, drawn_by(config)))
    (group,) = scored(Guard(plan.rewards, config.reward_timeout), groups)
    console.say(f"question: {example.question}")
    if example.answer:
        console.say(f"reference answer: {example.answer}")
    return config, group.completions()


def _show(config: GrpoConfig, group: Sequence[Scored]) -> None:
    from reasonkit.training.advantages import advantages

    assert config.reward_scaling
    totals = [completion.total for completion in group]
    (pushes,) = advantages([totals], config.reward_scaling)
    rewards = [spec.rpartition("=")[0] or spec for spec in config.reward or []]
    console.show_table(
        f"a group of {len(group)} completions of {config.model}, at temperature "
        f"{config.temperature:g}",
        ("", "completion", *(name.rpartition(":")[2] for name in rewards), "reward", "advantage"),
        [
            (i, _shown(one.text), *map(_number, (*one.rewards.values(), one.total)), f"{push:+.2f}")
            for i, (one, push) in enumerate(zip(group, pushes, strict=True), 1)
        ],
    )
    known = [total for total in totals if total is not None]
    if len(set(known)) <= 1:
        console.say(
            "all rewards are equal: every advantage is 0, and this group teaches nothing. "
            "Try another --seed, a higher --temperature or a larger --group-size."
        )
        return
    console.say(f"reward: {' + '.join(config.reward or [])}")
    console.say(f"mean of the rewards: {fmean(known):.2f}")
    console.say(f"their standard deviation: {stdev(known):.2f} (with n − 1 below the line)")
    console.say("advantage = (reward − mean) / standard deviation")
    console.say(
        "An update makes every token of a completion likelier where the advantage is above 0, and "
        "less likely where it is below. Where one passes over the group again, the ratio of a "
        "token's new probability to its old one leaves 1, and the clip bounds what it counts for:"
    )
    low, high = config.epsilon_low, config.epsilon_high
    assert low is not None and high is not None
    console.show_table(
        f"min(ratio · A, clip(ratio, {1 - low:g}, {1 + high:g}) · A)",
        ("ratio", *(f"{ratio:g}" for ratio in RATIOS)),
        [
            (f"A = {a:+.2f}", *(f"{clipped(ratio, a, low, high):+.2f}" for ratio in RATIOS))
            for a in (max(pushes), min(pushes))
        ],
        numbers=True,
    )


def clipped(ratio: float, advantage: float, low: float, high: float) -> float:
    """What a token counts for (Schulman et al., arXiv:1707.06347, equation 7).

    Args:
        ratio: of its new probability to its old one.
        low: ε below 1.
        high: ε above 1.
    """
    bounded = min(max(ratio, 1 - low), 1 + high)
    return min(ratio * advantage, bounded * advantage)


def _shown(text: str) -> str:
    line = text.strip().replace("\n", "⏎")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")
