"""What a model does beyond what it was trained on: longer expressions, and everyday requests.

A reasoner is no default: what thinking costs where nothing has to be worked out is measured here.
The answers to requests are the ones that the registry of requests calls good, letter for letter, so
that an answer that is as good in other words counts as wrong.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace

from reasonkit.answers.reading import answer_part
from reasonkit.evaluation import Evaluation, Verdict, verdict_on
from reasonkit.generation import Engine, Sampling
from reasonkit.tasks import TASKS, arithmetic, general
from reasonkit.tasks.splits import split_of
from reasonkit.types import Completion, Example

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


def answered(engine: Engine, examples: Sequence[Example], max_tokens: int) -> Evaluation:
    """Greedy answers to requests, each judged by whether it is the good one."""
    started = time.perf_counter()
    sampling = Sampling(max_tokens, temperature=0)
    found = {
        group.example.id: _verdict(group.example, group.completions[0])
        for group in engine.sample(examples, 1, sampling)
    }
    return Evaluation(tuple(found[e.id] for e in examples), time.perf_counter() - started)


def _verdict(example: Example, completion: Completion) -> Verdict:
    answer = answer_part(completion.text) or ""
    verdict = verdict_on(example, completion)
    return replace(verdict, extracted=answer, correct=answer == example.answer, why="as a text")
