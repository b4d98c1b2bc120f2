"""``reasonkit verifier``: a model that says how likely a solution is to be right.

Trained on a generator's own solutions to train questions, labelled by the answer reward (Cobbe et
al., arXiv:2110.14168), or step by step by what their continuations come to (Wang et al.,
arXiv:2312.08935); `reasonkit vote --verifier` ranks by it. A share of the questions is held out: on
them it is measured how well the verifier tells right from wrong among the solutions of one
question, and chosen how the scores of steps are put together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from statistics import fmean
from typing import TYPE_CHECKING, Any

from reasonkit import console, processes, resuming, running
from reasonkit.config import Aggregate, Invocation, VerifierConfig
from reasonkit.errors import DataError
from reasonkit.generation.engine import Engine, drawn_by, open_engine
from reasonkit.plan import Plan, fitting, policy
from reasonkit.plan import verifier as planning
from reasonkit.prompts import ask
from reasonkit.report.card import model_card
from reasonkit.rewards.guard import Guard
from reasonkit.runs import Run
from reasonkit.traces.sampling import pool
from reasonkit.types import Example, Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.training.solutions import Solution
    from reasonkit.training.trainer import Trained
    from reasonkit.verifying import Verifier

COMMAND = "verifier"
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


def run(config: VerifierConfig, invocation: Invocation) -> None:
    """The whole recipe; ``--resume`` goes on with an earlier run.

    Raises:
        RefusedError: before anything is made.
        RunError: when it can't go on; what was sampled is kept.
    """
    if resuming.is_done(config, invocation):
        return
    plan = planning.settle(config)
    data = plan.data
    resuming.require_usable(invocation, data)
    plan, tokenizer, generator = policy.load(plan)
    config = plan.config
    if invocation.dry_run:
        rows = [
            ("generator", config.model),
            ("questions", f"{config.questions} of {config.task}, {config.held_out:.0%} held out"),
            ("solutions", f"{config.samples} of each, at temperature {config.temperature:g}"),
        ]
        if config.process:
            rows.append(("steps", f"each of them gone on with in {config.continuations} ways"))
        console.err.print(console.table("plan", ("", ""), rows))
        fitting.show(plan)
        return
    made = running.begin(COMMAND, config, invocation, data, plan.model.made_from)
    running.carry_out(made, lambda: _make(made, plan, tokenizer, generator), invocation.json)


def _make(
    made: Run,
    plan: Plan[VerifierConfig],
    tokenizer: PreTrainedTokenizerBase,
    generator: PreTrainedModel,
) -> dict[str, Any]:
    started = time.monotonic()
    engine = open_engine(plan.config, generator, tokenizer, columns=plan.columns)
    solved = pool(made, engine, {"model": plan.config.model, **engine.origin})
    _, summary = make(made, plan, tokenizer, generator, solved)
    return {**summary, "seconds": time.monotonic() - started}


def make(
    run: Run,
    plan: Plan[VerifierConfig],
    tokenizer: PreTrainedTokenizerBase,
    generator: PreTrainedModel,
    engine: Engine,
) -> tuple[Verifier, dict[str, Any]]:
    """Makes a verifier and saves it as the run's ``final/``; taken up where it was interrupted.

    Args:
        plan: its prompts are as they will be asked.
        engine: samples from the generator. What was sampled is sampled again by a resumed run,
            unless the engine is one that keeps its samples.

    Returns:
        The verifier, and what it is worth and took, as it stands in ``summary.json``.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C and has saved where it was.
        DataError: there is but one question, or the solutions are all right or all wrong.
        RefusedError: no verifier can be made of this generator.
    """
    from reasonkit.models.classifying import Classifier
    from reasonkit.training import final, solutions
    from reasonkit.verifying import SETTINGS, Reading, Verifier

    config = plan.config
    asked = _asked(config, plan.splits.train)
    groups = _sampled(run, config, engine, asked, config.samples, "solving train questions")
    learned, held = solutions.split_by_question(groups, config.held_out)
    if not learned:
        raise DataError(f"{config.task}: one train question is too few to hold any out")
    guard = Guard(plan.rewards, config.reward_timeout)

    def right(group: Group) -> Labels:
        return guard.right(guard.score(group))

    assert config.step_ends
    ends, continued = tuple(config.step_ends), list[Group]()
    if config.process:
        begun = solutions.begun(tokenizer, learned, ends)
        continued = _sampled(
            run, config, engine, begun, config.continuations, "going on with steps"
        )
    labelled = processes.from_main(
        lambda: solutions.label(tokenizer, learned, right, ends, continued)
    )
    trained = _train(run, config, tokenizer, generator, labelled)
    reading = Reading(config.aggregate or Aggregate.last, ends)
    verifier = Verifier(Classifier(trained.policy, tokenizer), reading, tokenizer)
    quality = measure(verifier, held, processes.from_main(lambda: [right(g) for g in held]))
    if config.aggregate is None and quality:
        best = max(quality, key=lambda aggregate: quality[aggregate].auc)
        verifier.reading = Reading(best, reading.ends)
    summary = {
        "aggregate": str(verifier.reading.aggregate),
        "quality": {str(name): asdict(found) for name, found in quality.items()},
        "solutions": len(labelled),
        "steps": len(continued),
        "right": fmean(solution.right for solution in labelled),
        "tokens_sampled": sum(
            c.tokens for group in (*groups, *continued) for c in group.completions
        ),
        "tokens_trained": trained.counters.tokens_trained,
        "sampling_seconds": run.record["sampling_seconds"],
        "training_seconds": trained.counters.seconds,
        "memory": plan.room and fitting.beside(fitting.predicted(plan), trained.memory),
    }
    setattr(trained.policy.config, SETTINGS, verifier.reading.to_config())
    if run.leads and not run.final.exists():
        about = _about(config, verifier.reading.aggregate)
        card = model_card(run, summary, about, "token-classification")
        final.save(trained.policy, tokenizer, run.final, card)
    return verifier, summary


def _asked(config: VerifierConfig, train: Sequence[Example]) -> list[Example]:
    assert config.questions
    rng = random.Random(f"verifier {config.seed}")
    chosen = rng.sample(train, min(config.questions, len(train)))
    return [ask(example, config.wording) for example in chosen] if config.wording else chosen


def _sampled(
    run: Run, config: VerifierConfig, engine: Engine, asked: Sequence[Example], n: int, doing: str
) -> list[Group]:
    """What the generator writes; ``run.json`` has the seconds that all took in all sessions."""
    started = time.perf_counter() - run.record.get("sampling_seconds", 0.0)
    groups = []
    try:
        sampled = engine.sample(asked, n, drawn_by(config))
        for group in console.counted(sampled, len(asked), doing):
            groups.append(group)
    finally:
        run.update(sampling_seconds=time.perf_counter() - started)
    return groups


def _train(
    run: Run,
    config: VerifierConfig,
    tokenizer: PreTrainedTokenizerBase,
    generator: PreTrainedModel,
    labelled: Sequence[Solution],
) -> Trained:
    from reasonkit.training import verifier

    updates = config.epochs * -(-len(labelled) // config.batch)
    with console.progress(updates, "training the verifier") as reached:
        trained = verifier.train(
            generator,
            tokenizer,
            labelled,
            config,
            run,
            lambda record: reached(int(record["step"])),
        )
    if trained.interrupted:
        raise trained.interrupted
    return trained


def measure(
    verifier: Verifier, groups: Sequence[Group], labels: Sequence[Labels]
) -> dict[Aggregate, Quality]:
    """The quality of each way to put the scores of steps together; {} where nothing tells."""
    from reasonkit.verifying import AGGREGATES

    own = [verifier.step_scores(group) for group in processes.share(groups)]
    steps = list(chain(*processes.gathered(own)))
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
            found[aggregate] = Quality(sum(areas) / len(areas), fmean(errors), len(areas))
    return found


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The share of pairs in which the right one scores higher, a tie being half; None without."""
    if not right or not wrong:
        return None
    won = sum((a > b) + 0.5 * (a == b) for a in right for b in wrong)
    return won / (len(right) * len(wrong))


def _about(config: VerifierConfig, aggregate: Aggregate) -> str:
    """What the card of a verifier says beside its figures."""
    labels = (
        "labelled by their final answers (Cobbe et al., arXiv:2110.14168); no step was labelled"
    )
    if config.process:
        labels = (
            f"each step labelled by the share of its {config.continuations} continuations that end "
            "right (Math-Shepherd, Wang et al., arXiv:2312.08935)"
        )
    ends = ", ".join(map(repr, config.step_ends or []))
    return (
        "A verifier: after each token of a solution, the probability of the label `right` is how "
        "likely the solution is to end in the right answer. Trained on the generator's own "
        f"solutions, {labels}. Steps end at {ends} and at the end; a solution's score is: "
        f"{aggregate}. It judges by likeness to what it has learned from, and was measured on this "
        "task and generator alone."
    )
