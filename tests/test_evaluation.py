"""The judging of completions, and what is said of a whole set of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from reasonkit.errors import RunError
from reasonkit.evaluation import Evaluation, Verdict, evaluate, gap_closed, paired
from reasonkit.generation.engine import Sampling
from reasonkit.statistics import paired_counts, wilson
from reasonkit.types import Completion, Example, Group


def verdict(id: str, correct: bool) -> Verdict:
    return Verdict(id, "q", "1", "1", correct, 3, "stop", False, False, "1")


def test_paired_matches_examples_by_id_and_not_by_place() -> None:
    before = [verdict("a", True), verdict("b", False), verdict("c", False)]
    after = [verdict("c", True), verdict("b", True), verdict("a", True)]
    made = paired(before, after)
    assert made == paired_counts(both=1, gained=2, lost=0, neither=0)
    assert made.difference == pytest.approx(2 / 3)


def test_paired_refuses_different_examples() -> None:
    with pytest.raises(ValueError, match="same examples"):
        paired([verdict("a", True)], [verdict("b", True)])
    with pytest.raises(ValueError, match="same examples"):
        paired([], [])
    with pytest.raises(ValueError, match="same examples"):
        gap_closed([verdict("a", True)], [verdict("a", True)], [verdict("b", True)])


class Scripted:
    """An engine that says what it was told to, last example first."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.asked: list[str] = []

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        for example in reversed(examples):
            self.asked.append(example.question)
            if example.id in self.texts:
                text = self.texts[example.id]
                completion = Completion(text, tuple(range(len(text))), "stop")
                yield Group(example, [completion] * n)


EXAMPLES = [
    Example(str(i), "toy", ({"role": "user", "content": f"What is {i}+1?"},), str(i + 1))
    for i in range(3)
]
TEXTS = {"0": "<think>0+1=1</think><answer>1</answer>", "1": "The answer is 5.", "2": "no idea"}
GREEDY = Sampling(max_tokens=20, temperature=0)


def test_an_evaluation_judges_each_example_in_order() -> None:
    progress: list[int] = []
    made = evaluate(Scripted(TEXTS), EXAMPLES, GREEDY, progress=progress.append)
    assert [v.id for v in made.verdicts] == ["0", "1", "2"]
    assert [v.correct for v in made.verdicts] == [True, False, False]
    assert [v.extracted for v in made.verdicts] == ["1", "5", None]
    assert [v.format for v in made.verdicts] == [True, False, False]
    assert progress == [1, 2, 3]
    assert made.accuracy == wilson(1, 3)
    assert made.tokens == sum(map(len, TEXTS.values()))
    assert made.to_summary() == {
        **asdict(made.accuracy),
        "mean_tokens": made.tokens / 3,
        "format": made.format,
        "thinks": 1 / 3,
        "accuracy_when_thinking": 1.0,
        "truncated": 0.0,
    }


def test_a_program_is_judged_by_its_tests_and_not_by_its_text() -> None:
    tests = ({"input": 1, "output": 2}, {"input": 3, "output": 6})
    messages = ({"role": "user", "content": "Write f(x) that doubles."},)
    asked = [Example(str(i), "t", messages, "def f(x): return 2*x", tests, "f") for i in range(3)]
    texts = {
        "0": "<think>x, x+x</think><answer>def f(x): return x+x</answer>",
        "1": "def f(x): return 2",
        "2": "<think>def f(x): return 2*x",
    }
    made = evaluate(Scripted(texts), asked, GREEDY)
    assert [v.correct for v in made.verdicts] == [True, False, False]
    assert [v.extracted for v in made.verdicts] == [
        "def f(x): return x+x",
        "def f(x): return 2",
        None,
    ]
    assert [v.thought for v in made.verdicts] == [True, False, True]


def test_the_question_copied_out_is_no_answer() -> None:
    copied = {"0": "<answer>0+1</answer>", "1": "<answer>1+1</answer>", "2": "<answer>3</answer>"}
    made = evaluate(Scripted(copied), EXAMPLES, GREEDY)
    assert [v.correct for v in made.verdicts] == [False, False, True]


def test_no_verdict_counts_as_wrong() -> None:
    engine = Scripted(TEXTS)
    unknown = [replace(example, answer="") for example in EXAMPLES]
    made = evaluate(engine, unknown, GREEDY)
    assert made.accuracy.accuracy == 0


def test_a_model_that_never_thinks_has_no_accuracy_when_thinking() -> None:
    made = evaluate(Scripted({"1": "2"}), EXAMPLES[1:2], GREEDY)
    assert made.to_summary()["accuracy_when_thinking"] is None


def test_examples_that_are_missing_are_an_error_and_not_a_smaller_n() -> None:
    with pytest.raises(RunError, match="no answer to 1 examples, 1 first"):
        evaluate(Scripted({"0": "1", "2": "3"}), EXAMPLES, GREEDY)


def test_a_process_that_has_no_share_of_the_questions_answers_none() -> None:
    assert evaluate(Scripted({}), [], GREEDY).verdicts == ()


def test_a_saved_evaluation_is_loaded_as_it_was(tmp_path: Path) -> None:
    made = evaluate(Scripted(TEXTS), EXAMPLES, GREEDY)
    path = tmp_path / "evaluations" / "before.json"
    made.save(path)
    assert Evaluation.load(path) == made
    assert Evaluation.load(path) != replace(made, verdicts=made.verdicts[:2])
