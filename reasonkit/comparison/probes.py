"""What a model does beyond what it was trained on: longer expressions, and everyday requests.

A reasoner is no default: what thinking costs where nothing has to be worked out is measured here.
The answers to requests are the ones that the registry of requests calls good, letter for letter, so
that an answer that is as good in other words counts as wrong.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reasonkit import measuring
from reasonkit.answers.reading import answer_part
from reasonkit.comparison.parts import BASE, STUDENT, TRAINING
from reasonkit.comparison.rows import Finished, probe_name
from reasonkit.config import CompareConfig
from reasonkit.evaluation import Evaluation, evaluate
from reasonkit.generation.engine import Engine, Sampling, open_engine
from reasonkit.models.resolving import resolve
from reasonkit.plan import Plan
from reasonkit.plan.policy import load_policy
from reasonkit.prompts import ask as worded_as
from reasonkit.prompts import led_by
from reasonkit.tasks import TASKS, arithmetic, general
from reasonkit.tasks.splits import split_of
from reasonkit.types import Example

OPERANDS = (9, 10, 11)
"""Of expressions that are longer than any of the task ``arithmetic``, which has up to 8."""

LONGER_TOKENS = 2
"""Times the usual limit: longer expressions take longer work."""


def longer_expressions(count: int) -> list[Example]:
    """Questions as those of ``arithmetic``, with more operands; the same ones in every run."""
    rng = random.Random("longer expressions")
    found: dict[str, Example] = {}
    while len(found) < count:
        expression, value = arithmetic.draw(rng, rng.choice(OPERANDS))
        text = arithmetic.render(expression)
        said = ({"role": "user", "content": f"What is {text}?"},)
        found[text] = Example(f"longer/{text}", "longer", said, str(value))
    return list(found.values())


def requests(count: int) -> list[Example]:
    """Greetings and small requests whose answers need no thought; the same ones in every run.

    There are fewer of them than expressions: no more than that are given.
    """
    rng = random.Random("requests")
    found: dict[str, Example] = {}
    while len(found) < min(count, TASKS["general"].sizes["test"]):
        drawn = general.draw(rng)
        if split_of(drawn.text) == "test":
            said = ({"role": "user", "content": drawn.text},)
            found[drawn.text] = Example(f"requests/{drawn.text}", "requests", said, drawn.good)
    return list(found.values())


def ask(
    finished: Finished, plan: Plan[CompareConfig], asked: Mapping[str, Sequence[Example]]
) -> None:
    """Asks a part's model, in each of its wordings; what was asked already is kept.

    Args:
        plan: of the comparison's own settings.
        asked: examples by the name of their kind; none of one that doesn't suit the models.
    """
    missing = [
        (name, shown)
        for shown in finished.part.shown
        for name, examples in asked.items()
        if examples and shown.probed
        if not finished.evaluation(probe_name(name, shown)).exists()
    ]
    if not missing:
        return
    own = {BASE: plan.config.model, STUDENT: plan.config.student or ""}
    trained = finished.part.command in TRAINING
    model = resolve(str(finished.run.path) if trained else own[finished.part.model])
    tokenizer, weights = load_policy(replace(plan, model=model), plan.config.dtype)
    engine, settings = open_engine(plan.config, weights, tokenizer), finished.run.config
    longest = settings["max_completion_tokens"]
    for name, shown in missing:
        led = led_by(settings.get("system_prompt"), asked[name])
        led = [worded_as(e, shown.wording) for e in led] if shown.wording else led
        if name == "longer":
            limit = longest * LONGER_TOKENS
            stretched = replace(plan, config=replace(plan.config, max_completion_tokens=limit))
            kept = probe_name(name, shown)
            measuring.measure(finished.run, kept, engine, stretched, led)
        else:
            answered(engine, led, longest).save(finished.evaluation(probe_name(name, shown)))


def answered(engine: Engine, examples: Sequence[Example], max_tokens: int) -> Evaluation:
    """Greedy answers to requests, each judged by whether it is the good one."""
    done = evaluate(engine, examples, Sampling(max_tokens, temperature=0))
    said = [answer_part(verdict.text) or "" for verdict in done.verdicts]
    verdicts = (
        replace(verdict, extracted=text, correct=text == verdict.answer, why="as a text")
        for verdict, text in zip(done.verdicts, said, strict=True)
    )
    return replace(done, verdicts=tuple(verdicts))
