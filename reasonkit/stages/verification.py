"""Making a verifier of a generator: its solutions to train questions, labelled, learned from.

A share of the questions is held out: on them it is measured how well the verifier tells right from
wrong among the solutions of one question, and chosen how the scores of steps are put together.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reasonkit import console
from reasonkit.config import Aggregate, VerifierConfig, to_mapping
from reasonkit.errors import DataError, RefusedError
from reasonkit.generation import Engine, Sampling
from reasonkit.plan import Plan, settle
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.tasks.wordings import ask, require_known
from reasonkit.types import Example, Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.training.trainer import Trained
    from reasonkit.verifying import Verifier

Labels = list[bool | None]


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a verifier tells solutions apart, on questions that it has not learned from.

    Attributes:
        auc: the chance that of a right and a wrong solution of one question the right one scores
            higher, as a mean over questions that have both.
        brier: mean squared difference between a score and what became of the solution.
        questions: how many had both.
    """

    auc: float
    brier: float
    questions: int


@dataclass(frozen=True, slots=True)
class Made:
    """A verifier and what it took.

    Attributes:
        verifier: ready to score.
        quality: on held-out questions, with each way to put steps together.
        solutions: that were learned from.
        right: share of them that is right.
        tokens_sampled: by the generator, held-out questions included.
        tokens_trained: learned from.
        sampling_seconds: of sampling.
        training_seconds: of learning.
    """

    verifier: Verifier
    quality: dict[Aggregate, Quality]
    solutions: int
    right: float
    tokens_sampled: int
    tokens_trained: int
    sampling_seconds: float
    training_seconds: float

    def to_summary(self) -> dict[str, Any]:
        """Plain numbers, as they stand in ``summary.json``."""
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("verifier", "quality")
        }
        quality = {str(name): dataclasses.asdict(found) for name, found in self.quality.items()}
        return {"aggregate": str(self.verifier.reading.aggregate), "quality": quality, **plain}


def resolve_settings(config: VerifierConfig) -> Plan[VerifierConfig]:
    """The plan, with every setting that was left open filled in.

    Raises:
        RefusedError: for whatever can't be used, by name.
    """
    require_known(config.wording)
    plan = settle(config)
    if Guard(plan.rewards).verifier is None:
        raise RefusedError(
            "no reward that claims correctness reads the reference answer, so nothing says which "
            "solutions are right: pass --reward answer=1"
        )
    config, defaults = plan.config, plan.model.entry.verifier
    wanted = min(config.micro_batch or defaults.micro_batch, config.batch)
    fits = max(d for d in range(1, wanted + 1) if config.batch % d == 0)
    if config.micro_batch and fits != config.micro_batch:
        raise RefusedError(
            f"--micro-batch {config.micro_batch} does not divide --batch {config.batch}: try {fits}"
        )
    rate = defaults.learning_rate if config.learning_rate is None else config.learning_rate
    filled = dataclasses.replace(
        config,
        questions=config.questions or defaults.questions,
        micro_batch=fits,
        learning_rate=rate,
        lm_weight=defaults.lm_weight if config.lm_weight is None else config.lm_weight,
        step_ends=config.step_ends or list(defaults.step_ends),
    )
    return dataclasses.replace(plan, config=filled)


def make(
    run: Run,
    plan: Plan[VerifierConfig],
    tokenizer: PreTrainedTokenizerBase,
    generator: PreTrainedModel,
    engine: Engine,
) -> Made:
    """Makes a verifier and saves it as the run's ``final/``; taken up where it was interrupted.

    Args:
        plan: its prompts are as they will be asked.
        engine: samples from the generator. What was sampled is sampled again by a resumed run,
            unless the engine is one that keeps its samples.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C and has saved where it was.
        DataError: there is but one question, or the solutions are all right or all wrong.
        RefusedError: no verifier can be made of this generator.
    """
    from reasonkit.training import final, solutions
    from reasonkit.verifying import SETTINGS, Reading, Verifier

    config = plan.config
    groups = _sampled(run, plan, engine)
    learned, held = solutions.split_by_question(groups, config.held_out)
    if not learned:
        raise DataError(f"{config.task}: one train question is too few to hold any out")
    guard = Guard(plan.rewards, config.reward_timeout)

    def right(group: Group) -> Labels:
        return guard.right(guard.score(group))

    labelled = solutions.label(tokenizer, learned, right)
    trained = _train(run, config, tokenizer, generator, labelled)
    assert config.step_ends
    reading = Reading(config.aggregate or Aggregate.last, tuple(config.step_ends))
    verifier = Verifier(trained.policy, tokenizer, reading, tokenizer)
    quality = measure(verifier, held, [right(group) for group in held])
    if config.aggregate is None and quality:
        best = max(quality, key=lambda aggregate: quality[aggregate].auc)
        verifier.reading = Reading(best, reading.ends)
    made = Made(
        verifier=verifier,
        quality=quality,
        solutions=len(labelled),
        right=sum(solution.right for solution in labelled) / len(labelled),
        tokens_sampled=sum(c.tokens for group in groups for c in group.completions),
        tokens_trained=trained.counters.tokens_trained,
        sampling_seconds=run.record["sampling_seconds"],
        training_seconds=trained.counters.seconds,
    )
    setattr(verifier.model.config, SETTINGS, verifier.reading.to_config())
    if not run.final.exists():
        final.save(verifier.model, tokenizer, run.final, card(made, config))
    return made


def _sampled(run: Run, plan: Plan[VerifierConfig], engine: Engine) -> list[Group]:
    """The generator's solutions; ``run.json`` has the seconds that they took in all sessions."""
    config, train = plan.config, plan.splits.train
    assert config.questions and config.max_completion_tokens
    rng = random.Random(f"verifier {config.seed}")
    chosen: Sequence[Example] = rng.sample(train, min(config.questions, len(train)))
    if config.wording:
        chosen = [ask(example, config.wording) for example in chosen]
    sampling = Sampling(config.max_completion_tokens, config.temperature, seed=config.seed)
    started = time.perf_counter() - run.record.get("sampling_seconds", 0.0)
    groups = []
    try:
        with console.progress(len(chosen), "solving train questions") as (bar, task):
            for group in engine.sample(chosen, config.samples, sampling):
                groups.append(group)
                bar.advance(task)
    finally:
        run.update(sampling_seconds=time.perf_counter() - started)
    return groups


def _train(
    run: Run,
    config: VerifierConfig,
    tokenizer: PreTrainedTokenizerBase,
    generator: PreTrainedModel,
    labelled: Sequence[Any],
) -> Trained:
    from reasonkit.training import verifier

    updates = config.epochs * -(-len(labelled) // config.batch)
    with console.progress(updates, "training the verifier") as (bar, task):
        trained = verifier.train(
            generator,
            tokenizer,
            labelled,
            config,
            run,
            lambda record: bar.update(task, completed=record["step"]),
        )
    if trained.interrupted:
        raise KeyboardInterrupt
    return trained


def measure(
    verifier: Verifier, groups: Sequence[Group], labels: Sequence[Labels]
) -> dict[Aggregate, Quality]:
    """The quality of each way to put the scores of steps together; {} where nothing tells."""
    from reasonkit.verifying import AGGREGATES

    steps = [verifier.step_scores(group) for group in groups]
    found = {}
    for aggregate, combine in AGGREGATES.items():
        areas, errors = [], []
        for scored, labelled in zip(steps, labels, strict=True):
            pairs = [
                (combine(values), label)
                for values, label in zip(scored, labelled, strict=True)
                if values and label is not None
            ]
            errors += [(score - right) ** 2 for score, right in pairs]
            area = auc([s for s, right in pairs if right], [s for s, right in pairs if not right])
            areas += [] if area is None else [area]
        if areas:
            mean = sum(areas) / len(areas)
            found[aggregate] = Quality(mean, sum(errors) / len(errors), len(areas))
    return found


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The share of pairs in which the right one scores higher, a tie being half; None without."""
    if not right or not wrong:
        return None
    won = sum((a > b) + 0.5 * (a == b) for a in right for b in wrong)
    return won / (len(right) * len(wrong))


def card(made: Made, config: VerifierConfig) -> str:
    """A model card in the hub's form, from what was measured."""
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: token-classification",
        "tags: [reasonkit, verifier]",
        "---",
        f"# A verifier for {config.model} on {config.task}",
        "",
        "After each token of a solution, the probability of the label `right` is how likely the "
        "solution is to end in the right answer. Trained on the generator's own solutions, "
        "labelled by their final answers (Cobbe et al., arXiv:2110.14168); no step was labelled.",
        "",
        f"Steps end at {', '.join(map(repr, config.step_ends or []))} and at the end; a solution's "
        f"score is: {made.verifier.reading.aggregate}.",
        "",
        "| steps | AUC within a question | Brier score | held-out questions |",
        "|---|---|---|---|",
        *(
            f"| {a} | {q.auc:.3f} | {q.brier:.3f} | {q.questions} |"
            for a, q in made.quality.items()
        ),
        "",
        f"Cost: {made.sampling_seconds:.0f} s and {made.tokens_sampled:,} tokens to sample, "
        f"{made.training_seconds:.0f} s and {made.tokens_trained:,} tokens to train on "
        f"{made.solutions:,} solutions, {made.right:.1%} of them right.",
        "",
        "It judges by likeness to what it has learned from, and was measured on this task and "
        "generator alone.",
        "",
        "## Settings",
        "",
        "```yaml",
        *(f"{key}: {value}" for key, value in to_mapping(config).items()),
        "```",
        "",
    ]
    return "\n".join(lines)
