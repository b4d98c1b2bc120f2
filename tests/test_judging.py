"""One completion has one verdict, whoever asks, and its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonkit import sandbox
from reasonkit.answers import extract_answer
from reasonkit.evaluation import verdict_on
from reasonkit.judging import extract, judge, judge_group
from reasonkit.rewards import REWARDS, parse
from reasonkit.sandbox import Verdict
from reasonkit.types import Completion, Example, FinishReason, Group
from reasonkit.voting.ballots import cast

DATA = Path(__file__).parents[1].parent / "shared" / "data"

REFERENCES = (
    *("5", "5\\sqrt{2}", "\\frac12", "50\\%", "5 km", "(2,3)", "x^2+1", "B", "yes", "\\{2,-3\\}"),
    *("3+4i", "3:30 PM", "", "5/0"),
)
ANSWERS = st.sampled_from(
    [
        *("5", "\\boxed{\\sqrt{50}}", "5\\sqrt2", "0.5", "50%", "5000 m", "(2, 3)", "1+x^2", "(B)"),
        *("Yes.", "x = 2 or x = -3", "4i+3", "15:30", "12 cm^2", "2x+3", "{2+3}", "5 or 6", "−5"),
    ]
) | st.text(st.characters(exclude_categories=()), max_size=30)
FORMS = st.sampled_from(
    [
        *("{}", "<think>hm</think><answer>{}</answer>", "<think>hm</think>{}", "<think>{}"),
        *("The answer is {}.", "\\boxed{{{}}}", "so it is {}.", "#### {}", "hm</think>{}"),
        *("{}\nUser: and 2+2?\nAssistant: 4", "[THINK]4[/THINK]{}", "**{}**", "It is not {}."),
    ]
)
FINISHED: Sequence[FinishReason] = ("stop", "length")


def example(reference: str, question: str = "How much is it?", **rest: Any) -> Example:
    return Example("e", "t", ({"role": "user", "content": question},), reference, **rest)


def said(text: str, finish: FinishReason = "stop") -> Completion:
    return Completion(text, (), finish)


def verdicts(asked: Example, completion: Completion) -> set[bool]:
    """What a vote of one, an evaluation, the rewards and the judge say."""
    group = Group(asked, [completion])
    (paid,) = REWARDS["answer"].score(group)
    (long,) = REWARDS["length"].score(group)
    found = {
        bool(cast(group).correct[0]),
        verdict_on(asked, completion).correct,
        paid == 1.0,
        judge(asked, completion).right is True,
    }
    # A completion that is cut off is paid as such.
    return found | (
        {long > 0} if long is not None and completion.finish_reason == "stop" else set()
    )


@given(FORMS, ANSWERS, st.sampled_from(REFERENCES), st.sampled_from(FINISHED))
@settings(deadline=None)
def test_a_vote_an_evaluation_and_the_rewards_give_one_verdict(
    form: str, answer: str, reference: str, finish: FinishReason
) -> None:
    assert len(verdicts(example(reference), said(form.format(answer), finish))) == 1


@pytest.mark.skipif(not (DATA / "gsm8k").is_dir(), reason="GSM8K isn't here")
def test_recorded_completions_have_one_verdict_and_that_of_their_authors() -> None:
    with (DATA / "gsm8k" / "example_model_solutions.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines][::4]
    for row in rows:
        asked = example(extract_answer(row["ground_truth"]) or "", row["question"])
        for name in ("6b_finetuning", "175b_verification"):
            judged = verdicts(asked, said(row[name]["solution"]))
            assert judged == {row[name]["is_correct"]}, row[name]["solution"]


@pytest.mark.parametrize(
    ("text", "extracted", "right", "why"),
    [
        ("<think>2+3</think><answer>5</answer>", "5", True, "tag: equals the reference"),
        ("so \\boxed{6}", "6", False, "box: differs from the reference"),
        ("The answer is 5.", "5", True, "declared: equals the reference"),
        ("She has 5 apples.", "5", True, "sentence: equals the reference"),
        ("Nobody can tell.", None, False, "no answer"),
        ("<think>it must be 5", None, False, "still thinking"),
        ("<think>5</think> <think>or 6", None, False, "still thinking"),
    ],
)
def test_a_verdict_says_what_it_stands_on(
    text: str, extracted: str | None, right: bool, why: str
) -> None:
    judged = judge(example("5"), said(text))
    assert (judged.extracted, judged.right, judged.why) == (extracted, right, why)


def test_there_is_no_verdict_where_the_reference_has_no_value() -> None:
    for reference in ("", "5/0", "\\frac{1}{"):
        judged = judge(example(reference), said("5"))
        assert (judged.right, judged.why) == (None, "the reference has no value")


def test_a_formula_out_of_the_question_is_no_answer() -> None:
    asked = example("1024", "Compute $2^{10}$.")
    assert judge(asked, said("\\boxed{2^{10}}")).right is False
    assert "copied" in judge(asked, said("\\boxed{2^{10}}")).why
    assert judge(asked, said("\\boxed{32^2}")).right is True


@pytest.mark.parametrize(
    ("text", "extracted"),
    [
        ("The total is 12", None),
        ("The total is 12.\nSo the answer is 1", "12"),
        ("It is \\boxed{12}", "12"),
        ("<think>so</think><answer>12</answer> and", "12"),
        ("<think>so it is 12.", None),
        ("12\n\nUser: and 3 + 3?\nAssistant: It", "12"),
    ],
)
def test_what_was_cut_off_counts_up_to_what_it_ended(text: str, extracted: str | None) -> None:
    assert extract(example("12"), said(text, "length")).extracted == extracted


def test_programs_run_once_a_completion_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[str, bool]] = []

    def run_tests(code: str, *given: Any, allow_weaker: bool, **rest: Any) -> Verdict:
        runs.append((code, allow_weaker))
        return Verdict("right" in code, "", "none")

    monkeypatch.setattr(sandbox, "run_tests", run_tests)
    asked = example("", tests="assert f() == 'once'", entry_point="f")
    group = Group(asked, [said("```python\nright\n```"), said("wrong"), said("right")])
    rewards = {w.reward.name: w.reward for w in parse(["length", "code:weaker"])}
    assert rewards["length"].score(group)[1] == pytest.approx(-1, abs=0.01)
    assert rewards["code"].score(group) == [1.0, 0.0, 1.0]
    assert verdict_on(asked, group.completions[0], allow_weaker=True).correct
    assert cast(group).correct.tolist() == [True, False, True]
    assert sorted(runs) == [("right", True), ("wrong", True)]


def test_a_program_that_could_not_be_run_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = example("", tests="assert f() == 'again'", entry_point="f")
    monkeypatch.setattr(sandbox, "run_tests", lambda *given, **rest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        judge(asked, said("code"))
    monkeypatch.setattr(sandbox, "run_tests", lambda *given, **rest: Verdict(True, "", "none"))
    assert judge(asked, said("code")).right is True


def test_the_verdicts_on_a_group_are_those_on_its_completions() -> None:
    texts = ["5", "\\boxed{6}", "<think>", "The answer is 5."]
    asked = example("5")
    together = judge_group(Group(asked, [said(text) for text in texts]))
    assert together == [judge(asked, said(text)) for text in texts]


@given(
    st.lists(ANSWERS | st.just("2+3"), min_size=1, max_size=4), st.sampled_from(("5", "\\frac12"))
)
@settings(deadline=None)
def test_a_calculation_left_undone_votes_for_itself_alone(
    answers: list[str], reference: str
) -> None:
    asked = example(reference, "What is 2+3?")
    given = [*answers, "2+3", "5"]
    ballots = cast(Group(asked, [said(f"\\boxed{{{answer}}}") for answer in given]))
    assert ballots.classes[-1] != ballots.classes[-2]
    assert ballots.correct[-2:].tolist() == [False, reference == "5"]


def test_a_program_is_not_cut_at_what_looks_like_another_turn() -> None:
    asked = example("", tests="assert f()", entry_point="f")
    doc = '"""Doc.\n\n    Input: a list\n    User: b\n    """'
    program = f'def f(x):\n    {doc}\n    return ["<|im_end|>"]'
    for text in (program, f"```python\n{program}\n```", f"<answer>\n{program}\n</answer>"):
        assert extract(asked, said(text)).extracted == program
    text = f"```python\n{program}\n```\nUser: another?\n```python\nwrong\n```"
    assert extract(asked, said(text)).extracted == program
