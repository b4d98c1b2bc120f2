"""Training of a plan's model, watched on its validation split and taken up where it stopped.

From completions and rewards, from traces, or from a teacher's grades. Leaves out the training
itself, which is a room of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from reasonkit import console
from reasonkit.config import DistillConfig, GrpoConfig
from reasonkit.live import Training
from reasonkit.measuring import general, validation
from reasonkit.plan import Plan
from reasonkit.report.card import model_card
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.generation.engine import Engine, TokenEngine
    from reasonkit.training.encoding import Row
    from reasonkit.training.reward_hacking import Sign
    from reasonkit.training.trainer import Trained


def reinforce(
    run: Run,
    plan: Plan[GrpoConfig],
    engine: TokenEngine,
    model: PreTrainedModel,
    guard: Guard,
    ending: float = 0.0,
) -> Trained:
    """Trains the model by GRPO, from the run's newest checkpoint if it has one.

    Args:
        ending: seconds of what comes afterwards, for the time that is left.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C and has saved where it was.
        RunError: a reward failed too often, or the best checkpoint is damaged.
    """
    with console.doing("loading TRL"):
        from reasonkit.training import grpo

    config = plan.config
    assert config.steps

    def validate(step: int, engine: Engine) -> dict[str, float]:
        seen = validation(run, f"step-{step}", engine, plan)
        return seen | _general_validation(run, step, engine, plan, seen)

    def alarm(step: int, sign: Sign) -> None:
        signs = [s for s in run.record.get("signs", []) if s["name"] != sign.name]
        run.update(signs=[*signs, {"step": step, **dataclasses.asdict(sign)}])
        console.warn(f"step {step}: {sign.message}; for example: {sign.example[:300]!r}")

    title = f"{config.model} on {config.task}"
    with Training(title, config.steps, every=config.validate_every, ending=ending) as view:
        trained = grpo.train(
            model,
            engine,
            plan.splits.train,
            plan.general.train if plan.general else [],
            config,
            guard,
            run,
            plan.model.entry.lora_targets,
            validate,
            view.update,
            alarm,
        )
    if trained.interrupted:
        raise trained.interrupted
    return trained


def _general_validation(
    run: Run, step: int, engine: Engine, plan: Plan[GrpoConfig], seen: Mapping[str, float]
) -> dict[str, float]:
    """How general prompts are answered, and what a validation is judged by where there are any.

    That is the mean of all shares: of right answers, and of each reward from 0 to 1.
    """
    means = general(run, f"general-{step}", engine, plan, "validation")
    if not means:
        return {}
    shares = [
        means[w.reward.name]
        for w in plan.rewards
        if w.reward.name in means and w.reward.range == (0.0, 1.0)
    ]
    return {
        **{f"validation/{name}": mean.mean for name, mean in means.items()},
        "validation_score": fmean([seen["validation"], *(share.mean for share in shares)]),
        "validation_score_low": fmean([seen["validation_low"], *(share.low for share in shares)]),
    }


def supervise(
    run: Run,
    plan: Plan[DistillConfig],
    engine: TokenEngine,
    model: PreTrainedModel,
    rows: Sequence[Row],
    ending: float = 0.0,
) -> Trained:
    """Trains the model on traces, from the run's newest checkpoint if it has one.

    Args:
        ending: as of `reinforce`.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C and has saved where it was.
        RunError: a trace would not be learned to its end, or the best checkpoint is damaged.
    """
    with console.doing("loading TRL"):
        from reasonkit.training import encoding, sft

    console.note("one row; what is learned is green:")
    console.err.print(encoding.coloured(engine.tokenizer, rows[0]), soft_wrap=True)
    return _in_epochs(
        run,
        plan,
        ending,
        lambda *watched: sft.train(model, engine, rows, plan.config, run, *watched),
    )


def learn_on_policy(
    run: Run,
    plan: Plan[DistillConfig],
    engine: TokenEngine,
    model: PreTrainedModel,
    teacher: PreTrainedModel,
    ending: float = 0.0,
) -> Trained:
    """Trains the model on its own completions, graded by a teacher with the same tokenizer.

    From the run's newest checkpoint if it has one. The rest is that of `supervise`.
    """
    with console.doing("loading TRL"):
        from reasonkit.training import on_policy

    config, examples = plan.config, plan.splits.train[: plan.config.questions]
    return _in_epochs(
        run,
        plan,
        ending,
        lambda *watched: on_policy.train(model, teacher, engine, examples, config, run, *watched),
    )


def _in_epochs(
    run: Run, plan: Plan[DistillConfig], ending: float, train: Callable[..., Trained]
) -> Trained:
    config = plan.config
    assert config.epochs
    title = f"{config.model} on {config.task}"
    with Training(title, config.epochs, unit="epoch", ending=ending) as view:
        tuned = train(
            plan.model.entry.lora_targets,
            lambda epoch, engine: validation(run, f"epoch-{epoch}", engine, plan),
            view.update,
        )
    if tuned.interrupted:
        raise tuned.interrupted
    return tuned


def save(
    run: Run,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    summary: Mapping[str, Any],
) -> None:
    """Writes the run's ``final/`` with a card of what was measured, unless it is there."""
    from reasonkit.training import final

    if run.leads and not run.final.exists():
        with console.doing("saving the model"):
            final.save(policy, tokenizer, run.final, model_card(run, summary))
