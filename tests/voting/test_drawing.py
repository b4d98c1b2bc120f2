"""Procedures on an engine that counts what it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from reasonkit.generation.engine import Sampling
from reasonkit.types import Completion, Example, Group
from reasonkit.voting.drawing import Asking, Poll, evaluation_of
from reasonkit.voting.strategies import STRATEGIES, Rules


class Scripted:
    """Gives each question's answers in turn, and never the same place twice."""

    def __init__(self, answers: dict[str, list[str]]) -> None:
        self.answers = answers
        self.given: Counter[str] = Counter()

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        for example in reversed(examples):
            texts = self.answers[example.id][:n]
            self.given[example.id] = max(self.given[example.id], n)
            yield Group(example, [Completion(t, (1,) * 10, "stop") for t in texts])


def examples(*ids: str) -> list[Example]:
    return [Example(id, "t", ({"role": "user", "content": id},), "1") for id in ids]


def poll(engine: Scripted, *ids: str) -> Poll:
    asking = Asking(engine, Sampling(16), lambda example: example)
    return Poll(examples(*ids), dict.fromkeys(("asked", "at-once", "thinking"), asking))


def test_adaptive_leaves_what_it_does_not_need_undrawn() -> None:
    engine = Scripted({"easy": ["1"] * 16, "hard": ["1", "2"] * 8})
    rules = Rules(n=16)
    easy, hard = poll(engine, "easy", "hard").carry_out(
        partial(STRATEGIES["adaptive"].procedure, rules, "asked")
    )
    assert (easy.samples, easy.tokens, hard.samples, hard.tokens) == (4, 40, 16, 160)
    assert engine.given == {"easy": 4, "hard": 16}


def test_a_strategy_takes_the_samples_that_another_has_drawn() -> None:
    engine = Scripted({"a": ["1"] * 16})
    polled = poll(engine, "a")
    for name, taken in (("majority", 16), ("adaptive", 4)):
        procedure = STRATEGIES[name].procedure
        (outcome,) = polled.carry_out(partial(procedure, Rules(n=16), "asked"))
        assert outcome.samples == taken
    assert engine.given == {"a": 16}
    assert polled.held("asked") == 16


def test_cascade_counts_both_its_stages() -> None:
    engine = Scripted({"a": ["1", "2", "3", "4"] + ["1"] * 12})
    procedure = STRATEGIES["cascade"].procedure
    (outcome,) = poll(engine, "a").carry_out(partial(procedure, Rules(n=8), "asked"))
    assert (outcome.samples, outcome.tokens, outcome.elected.way) == (12, 120, "thinking")


def test_a_verdict_is_on_the_elected_answer_and_counts_every_token() -> None:
    engine = Scripted({"a": ["2", "1", "is 1", "3"]})
    procedure = STRATEGIES["majority"].procedure
    outcomes = poll(engine, "a").carry_out(partial(procedure, Rules(n=4), "asked"))
    (verdict,) = evaluation_of(outcomes).verdicts
    assert (verdict.extracted, verdict.correct, verdict.tokens) == ("1", True, 40)
    assert verdict.text == "1"


def test_outcomes_keep_the_order_of_the_questions() -> None:
    ids = [f"q{i}" for i in range(5)]
    engine = Scripted({id: ["1", "2"] * (i + 1) + ["1"] * 8 for i, id in enumerate(ids)})
    procedure = STRATEGIES["adaptive"].procedure
    outcomes = poll(engine, *ids).carry_out(partial(procedure, Rules(n=8), "asked"))
    assert [outcome.example.id for outcome in outcomes] == ids


@pytest.mark.parametrize("name", ["weighted", "best-of-n"])
def test_scores_rank_where_they_are_given(name: str) -> None:
    engine = Scripted({"a": ["2", "2", "1"]})
    polled = poll(engine, "a")
    polled.score = lambda group: [float(c.text == "1") for c in group.completions]
    procedure = STRATEGIES[name].procedure
    (outcome,) = polled.carry_out(partial(procedure, Rules(n=3), "asked"))
    assert outcome.elected.answer == "1"
