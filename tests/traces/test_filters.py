"""What each filter of traces takes, and that nothing is lost without being counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.config import DistillConfig
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.models import MODELS
from reasonkit.models.resolving import ResolvedModel
from reasonkit.plan import Plan
from reasonkit.rewards import parse
from reasonkit.tasks import Splits
from reasonkit.traces.filters import Sifted, sift, thresholds
from reasonkit.types import Completion, Example, FinishReason, Group

RIGHT = "<think>{0}=5</think><answer>5</answer>"


def example(question: str, answer: str = "5") -> Example:
    return Example(question, "arithmetic", ({"role": "user", "content": question},), answer)


def completion(text: str, finish: FinishReason = "stop") -> Completion:
    return Completion(text, tuple(range(len(text))), finish)


def group(question: str, *texts: str) -> Group:
    return Group(example(question), [completion(text) for text in texts])


def sifted(
    groups: Sequence[Group],
    task: str = "arithmetic",
    held_out: Sequence[Example] = (),
    **settings: Any,
) -> Sifted:
    usual = {"keep": ["answer=1"], "similar": 0.0, "per_question": 0, "balance": 0.0}
    config = DistillConfig(task=task, **(usual | settings))
    splits = Splits([], list(held_out), [])
    model = ResolvedModel(MODELS["abacus-mini"], "")
    return sift(Plan(config, model, splits, parse(["answer", "format=0.2"])), groups)


def texts(result: Sifted) -> list[str]:
    return [trace.completion.text for trace in result.traces]


def lost(result: Sifted) -> dict[str, int]:
    return {step.name: step.lost for step in result.steps if step.lost}


def test_a_trace_that_is_cut_off_or_never_closes_its_thought_is_taken() -> None:
    cut = Group(example("2+3"), [completion("<answer>5</answer>", "length")])
    result = sifted([group("2+3", "<think>2+3=5. 5", RIGHT.format("2+3")), cut])
    assert texts(result) == [RIGHT.format("2+3")]
    assert lost(result) == {"finished": 2}


def test_rewards_of_the_registry_are_thresholds() -> None:
    texts_ = ("<answer>5</answer>", RIGHT.format("2+3"), "<answer>6</answer>")
    result = sifted([group("2+3", *texts_)], keep=["answer=1", "format"])
    assert texts(result) == [RIGHT.format("2+3")]
    assert lost(result) == {"answer": 1, "format": 1}


def test_a_trace_without_a_verdict_is_taken() -> None:
    unread = Group(example("2+3", answer=""), [completion("<answer>5</answer>")])
    assert lost(sifted([unread])) == {"answer": 1}


def test_a_generated_question_is_held_out_by_its_text_alone() -> None:
    held = example("What is 2+3?")
    result = sifted([group("what  is 2+3?", "5"), group("What is 3+2?", "5")], held_out=[held])
    assert [t.example.question for t in result.traces] == ["What is 3+2?"]
    assert lost(result) == {"held out": 1}


def test_a_held_out_question_is_found_in_an_earlier_turn() -> None:
    held = example("What is 2+3?")
    asked, said = held.messages[0], {"role": "assistant", "content": "5"}
    chat = Example("chat", "t", (asked, said, {"role": "user", "content": "Are you sure?"}), "5")
    result = sifted([Group(chat, [completion("5")]), group("What is 3+2?", "5")], held_out=[held])
    assert lost(result) == {"held out": 1}


def test_a_threshold_that_is_no_number_is_refused() -> None:
    for value in ("nan", "x"):
        with pytest.raises(RefusedError, match="expected a number"):
            thresholds([f"answer={value}"])


LONG = "Natalia sold clips to forty eight of her friends in April"


def test_real_questions_that_share_eight_words_meet(tmp_path: Path) -> None:
    task = tmp_path / "problems.jsonl"
    task.write_text("")
    groups = [
        group(f"So, {LONG.upper()}! How many?", "5"),
        group("Natalia sold clips to forty eight of them. How many?", "5"),
    ]
    assert lost(sifted(groups, held_out=[example(LONG)])) == {}
    result = sifted(groups, task=str(task), held_out=[example(LONG)])
    assert [t.example.question for t in result.traces] == [groups[1].example.question]


def test_near_duplicates_count_once_within_a_question_and_not_across() -> None:
    one = "First two and then three more make five in all so it is <answer>5</answer>"
    other = one.replace("three", "3")
    result = sifted(
        [group("2+3", one, other, "<answer>5</answer>"), group("3+2", one)], similar=0.9
    )
    assert texts(result) == [one, "<answer>5</answer>", one]
    assert lost(result) == {"duplicates": 1}


def test_the_best_of_a_question_are_kept() -> None:
    plain, formatted = "<answer>5</answer>", RIGHT.format("2+3")
    result = sifted([group("2+3", plain, formatted)], per_question=1, keep=["answer=1", "format=0"])
    assert texts(result) == [formatted]
    assert lost(result) == {"per question": 1}


def test_no_quarter_by_difficulty_outweighs_the_others() -> None:
    easy = [group(f"easy {i}", "<answer>5</answer>", "<answer>5</answer> ") for i in range(8)]
    hard = [
        group(
            f"hard {i}", "<answer>5</answer>" + " so" * (10 + i), "<answer>6</answer>" + " so" * 90
        )
        for i in range(24)
    ]
    result = sifted([*easy, *hard], balance=1.0)
    assert lost(result) == {"answer": 24, "difficulty": 6}
    assert sum(t.example.question.startswith("easy") for t in result.traces) == 10


def test_questions_whose_traces_are_all_as_long_are_all_kept() -> None:
    result = sifted([group(f"q{i}", "<answer>5</answer>") for i in range(16)], balance=1.0)
    assert lost(result) == {}
    assert len(result.traces) == 16


@given(
    st.lists(
        st.lists(
            st.sampled_from(["<answer>5</answer>", "6", RIGHT.format("1+4"), "<think>"]), min_size=1
        ),
        min_size=1,
        max_size=8,
    ),
    st.floats(0, 1),
    st.integers(0, 3),
    st.floats(0, 2),
)
def test_every_trace_is_kept_in_its_order_or_counted(
    drawn: list[list[str]], similar: float, per_question: int, balance: float
) -> None:
    groups = [group(f"q{i}", *own) for i, own in enumerate(drawn)]
    result = sifted(groups, similar=similar, per_question=per_question, balance=balance)
    sampled = [(g.example.id, c.text) for g in groups for c in g.completions]
    assert result.steps[0].left == len(sampled)
    for before, after in zip(result.steps, result.steps[1:], strict=False):
        assert before.left - after.lost == after.left
    assert result.steps[-1].left == len(result.traces)
    rest = iter(sampled)
    assert all((t.example.id, t.completion.text) in rest for t in result.traces)


def test_where_nothing_is_left_the_filter_that_took_most_is_named() -> None:
    result = sifted([group("2+3", "<think>", "<think>2", "6")])
    assert "'finished' took 2" in result.complaint
    assert "'answer' took 1" in result.complaint
    assert "--max-completion-tokens" in result.complaint
    assert sifted([group("2+3", "5")]).complaint == ""


def test_a_reward_alone_asks_for_its_highest_value() -> None:
    ((reward, least),) = thresholds(["answer"])
    assert (reward.name, least) == ("answer", 1.0)


@pytest.mark.parametrize(
    ("spec", "error"), [("answer=much", RefusedError), ("anwser=1", UnknownNameError)]
)
def test_a_threshold_is_a_known_reward_and_a_number(spec: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        thresholds([spec])
