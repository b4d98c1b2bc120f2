"""Intervals against published figures, and the judging of completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.errors import DataError, RunError
from reasonkit.evaluation import (
    Evaluation,
    Verdict,
    evaluate,
    gap_closed,
    interval_of_means,
    paired,
    paired_counts,
    wilson,
    wilson_of_means,
)
from reasonkit.generation import Sampling
from reasonkit.types import Completion, Example, Group

COUNTS = st.tuples(*[st.integers(0, 60)] * 4).filter(any)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_newcombe_1998_table_1(
    successes: int, n: int, low: float, high: float
) -> None:
    made = wilson(successes, n)
    assert (round(made.low, 4), round(made.high, 4)) == (low, high)
    assert made.accuracy == successes / n


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(1, 16))
def test_wilson_of_means_is_wilson_where_every_mean_is_0_or_1(values: list, samples: int) -> None:
    made, plain = (
        wilson_of_means(list(map(float, values)), samples),
        wilson(sum(values), len(values)),
    )
    assert asdict(made) == pytest.approx(asdict(plain), abs=1e-9)


@pytest.mark.parametrize("spread", [0.3, 2.0, 20.0])
def test_wilson_of_means_holds_the_truth_in_95_of_100_cases(spread: float) -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        chances = rng.beta(0.3 * spread, 0.7 * spread, 60)
        made = wilson_of_means(list(rng.binomial(8, chances) / 8), 8)
        held += made.low <= 0.3 <= made.high
    assert 0.935 < held / 2000 < 0.97


def test_questions_that_agree_tell_more_but_never_more_than_their_samples() -> None:
    made, most = wilson_of_means([0.5] * 40, 16), wilson(320, 640)
    assert asdict(made) | {"n": 640} == pytest.approx(asdict(most))


def test_paired_agrees_with_the_worked_example_of_fagerland_lydersen_and_laake() -> None:
    # Statistical Analysis of Contingency Tables (2017), chapter 8: Cavo et al., 59 6 16 80.
    made = paired_counts(both=59, gained=6, lost=16, neither=80)
    assert round(made.difference, 4) == -0.0621
    assert (round(made.low, 4), round(made.high, 4)) == (-0.1186, -0.0046)
    assert made.p == pytest.approx(0.052479, abs=1e-6)
    assert made.n == 161


def test_without_discordant_pairs_p_is_1_and_the_interval_keeps_a_width() -> None:
    made = paired_counts(both=30, gained=0, lost=0, neither=70)
    assert made.difference == 0
    assert made.p == 1
    assert made.low < 0 < made.high
    # By hand for n = n: both limits are Wilson's of 1, so the deviations are z²/(n + z²).
    z2 = 1.959963984540054**2
    all_right = paired_counts(both=50, gained=0, lost=0, neither=0)
    assert all_right.high == pytest.approx(z2 / (50 + z2))
    assert all_right.low == pytest.approx(-z2 / (50 + z2))


@given(COUNTS)
def test_the_paired_interval_holds_the_difference_and_stays_in_range(
    counts: tuple[int, int, int, int],
) -> None:
    made = paired_counts(*counts)
    assert -1 - 1e-9 <= made.low <= made.difference <= made.high <= 1 + 1e-9
    assert 0 <= made.p <= 1


@given(COUNTS)
def test_swapping_before_and_after_swaps_the_sign(counts: tuple[int, int, int, int]) -> None:
    both, gained, lost, neither = counts
    one, other = paired_counts(*counts), paired_counts(both, lost, gained, neither)
    mirrored = (-other.difference, -other.high, -other.low, other.p)
    assert (one.difference, one.low, one.high, one.p) == pytest.approx(mirrored)


@given(st.integers(1, 2000), st.data())
def test_wilson_holds_the_estimate_and_stays_in_range(n: int, data: st.DataObject) -> None:
    made = wilson(data.draw(st.integers(0, n)), n)
    assert -1e-12 <= made.low <= made.accuracy + 1e-12
    assert made.accuracy - 1e-12 <= made.high <= 1 + 1e-12


def test_the_interval_over_seeds_is_students() -> None:
    made = interval_of_means([0.90, 0.92, 0.94])
    # By hand: mean 0.92, s = 0.02, t(0.975, 2) = 4.302653.
    assert made.mean == pytest.approx(0.92)
    assert made.high - made.mean == pytest.approx(4.302653 * 0.02 / 3**0.5)
    assert made.mean - made.low == pytest.approx(4.302653 * 0.02 / 3**0.5)
    assert interval_of_means([0.5, 0.5]).high == 0.5
    with pytest.raises(ValueError, match="two"):
        interval_of_means([0.9])


def verdict(id: str, correct: bool) -> Verdict:
    return Verdict(id, "q", "1", "1", correct, 3, "stop", False, False, "1")


def test_paired_matches_examples_by_id_and_not_by_place() -> None:
    before = [verdict("a", True), verdict("b", False), verdict("c", False)]
    after = [verdict("c", True), verdict("b", True), verdict("a", True)]
    made = paired(before, after)
    assert made == paired_counts(both=1, gained=2, lost=0, neither=0)
    assert made.difference == pytest.approx(2 / 3)


def verdicts(*correct: bool) -> list[Verdict]:
    return [verdict(str(i), right) for i, right in enumerate(correct)]


def test_the_gap_closed_is_the_share_of_the_teachers_lead() -> None:
    before = verdicts(*[False] * 90, *[True] * 10)
    after = verdicts(*[False] * 40, *[True] * 60)
    teacher = verdicts(*[False] * 10, *[True] * 90)
    made = gap_closed(before, after, teacher)
    assert made is not None
    assert made.share == pytest.approx(50 / 80)
    assert 0.5 < made.low < made.share < made.high < 0.75
    assert gap_closed(before, after, teacher) == made


def test_a_student_above_its_teacher_closes_more_than_the_gap() -> None:
    sides = (verdicts(False, False, True), verdicts(True, True, True), verdicts(False, True, True))
    made = gap_closed(*sides)
    assert made is not None and made.share == pytest.approx(2)
    assert made.low is made.high is None


def test_the_interval_of_the_gap_closed_covers_the_truth_where_it_is_small_or_at_a_bound() -> None:
    rng = np.random.default_rng(0)
    for n, was, now, aim in ((60, 0.2, 0.4, 0.8), (40, 0.1, 0.1, 0.9), (30, 0.4, 0.5, 0.55)):
        covered = bounded = drawn = 0
        for _ in range(400):
            # One draw for the difficulty of a question, so that the sides are correlated.
            ease = rng.random(n)
            sides = [
                verdicts(*np.where(rng.random(n) < 0.5, ease, rng.random(n)) < p)
                for p in (was, now, aim)
            ]
            made = gap_closed(*sides)
            if made is None:
                continue
            drawn += 1
            if made.low is None or made.high is None:
                covered += 1
                continue
            bounded += 1
            covered += made.low <= (now - was) / (aim - was) <= made.high
        assert covered / drawn > 0.93, (n, was, now, aim)
        assert bounded / drawn > 0.95 or aim - was < 0.2
        # Where the lead is small, most samples don't tell it from none.
        assert bounded / drawn < 0.6 or aim - was > 0.2


def test_a_gap_that_is_closed_on_every_question_keeps_an_interval() -> None:
    made = gap_closed(verdicts(*[False] * 20), verdicts(*[True] * 20), verdicts(*[True] * 20))
    assert made is not None and made.low is not None and made.high is not None
    assert made.low < made.share == 1 < made.high


def test_without_a_lead_there_is_no_gap_to_close() -> None:
    even = verdicts(True, False)
    assert gap_closed(even, verdicts(True, True), even) is None
    with pytest.raises(ValueError, match="same examples"):
        gap_closed(even, even, verdicts(True))


def test_paired_refuses_different_examples() -> None:
    with pytest.raises(ValueError, match="same examples"):
        paired([verdict("a", True)], [verdict("b", True)])
    with pytest.raises(ValueError, match="same examples"):
        paired([], [])


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
    assert made.accuracy_when_thinking == wilson(1, 1)
    assert made.thinks == pytest.approx(1 / 3)
    assert made.truncated == 0
    assert made.tokens == sum(map(len, TEXTS.values()))
    assert made.to_summary() == {
        **asdict(made.accuracy),
        "mean_tokens": made.tokens / 3,
        "format": made.format,
        "thinks": made.thinks,
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


def test_a_wording_is_asked_but_no_verdict_counts_as_wrong() -> None:
    engine = Scripted(TEXTS)
    unknown = [replace(example, answer="") for example in EXAMPLES]
    made = evaluate(engine, unknown, GREEDY, "show-work")
    assert all(question.endswith("? Show your work.") for question in engine.asked)
    assert made.accuracy.accuracy == 0


def test_a_model_that_never_thinks_has_no_accuracy_when_thinking() -> None:
    made = evaluate(Scripted({"1": "2"}), EXAMPLES[1:2], GREEDY)
    assert made.accuracy_when_thinking is None
    assert made.to_summary()["accuracy_when_thinking"] is None


def test_examples_that_are_missing_are_an_error_and_not_a_smaller_n() -> None:
    with pytest.raises(RunError, match="no answer to 1 examples, 1 first"):
        evaluate(Scripted({"0": "1", "2": "3"}), EXAMPLES, GREEDY)
    with pytest.raises(DataError, match="no examples"):
        evaluate(Scripted({}), [], GREEDY)


def test_a_saved_evaluation_is_loaded_as_it_was(tmp_path: Path) -> None:
    made = evaluate(Scripted(TEXTS), EXAMPLES, GREEDY)
    path = tmp_path / "evaluations" / "before.json"
    made.save(path)
    assert Evaluation.load(path) == made
    assert Evaluation.load(path) != replace(made, verdicts=made.verdicts[:2])
