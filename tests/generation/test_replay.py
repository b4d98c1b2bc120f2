"""Completions that someone else has recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonkit.answers.comparison import answers_match
from reasonkit.answers.reading import extract_answer
from reasonkit.errors import DataError, RefusedError
from reasonkit.generation.engine import Sampling
from reasonkit.generation.replay import FIELDS, ReplayEngine, fewest, read_completions
from reasonkit.tasks.rows import named_columns

RECORDED = "shared/data/gsm8k/example_model_solutions.jsonl"
GSM8K = next((p / RECORDED for p in Path(__file__).parents if (p / RECORDED).exists()), None)
NAMED = {"question": "q", "reference": "gt", "completions": "out.text", "scores": "out.score"}


def written(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "recorded.jsonl"
    path.write_text("".join(r if isinstance(r, str) else json.dumps(r) + "\n" for r in rows))
    return path


def row(text: Any = "is 4", score: Any = 0.5, q: str = "2+2?", gt: Any = "4") -> dict[str, Any]:
    return {"q": q, "gt": gt, "out": {"text": text, "score": score}}


def test_rows_of_one_question_are_one_group(tmp_path: Path) -> None:
    rows = [row("is 4", 1), row(["3?", "8"], [0.25, [0.5]], q="1+2?", gt=3), row("5", [-2])]
    two, three = read_completions(written(tmp_path, *rows), NAMED)
    assert two.group.example.question == "2+2?"
    assert two.group.example.answer == "4"
    assert [c.text for c in two.group.completions] == ["is 4", "5"]
    assert [c.tokens for c in two.group.completions] == [2, 1]
    assert two.scores == (1, -2)
    assert [c.text for c in three.group.completions] == ["3?", "8"]
    assert three.scores == (0.25, 0.5)
    assert two.group.example.id != three.group.example.id


def test_scores_may_be_missing_and_tokens_may_be_given(tmp_path: Path) -> None:
    path = written(tmp_path, {"q": "2+2?", "gt": "4", "out": ["4", "5"], "n": [7, 9]})
    (found,) = read_completions(
        path, {"question": "q", "reference": "gt", "completions": "out", "tokens": "n"}
    )
    assert found.scores == ()
    assert [c.tokens for c in found.group.completions] == [7, 9]


def test_usual_names_need_not_be_mapped(tmp_path: Path) -> None:
    path = written(tmp_path, {"problem": "2+2?", "answer": "so #### 4", "completion": "4"})
    (found,) = read_completions(path, {})
    assert found.group.example.answer == "4"


def test_a_field_whose_name_has_a_dot_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, {"question": "2+2?", "answer": "4", "a.b": "4"})
    (found,) = read_completions(path, {"completions": "a.b"})
    assert [c.text for c in found.group.completions] == ["4"]


def test_a_worked_reference_stands_for_its_final_answer(tmp_path: Path) -> None:
    worked = ["2+2 is 4.\n#### 4", "2+2=4\nA: 4", r"so $\boxed{4}$", "4"]
    rows = [row(q=f"{i}", gt=gt) for i, gt in enumerate(worked)]
    found = read_completions(written(tmp_path, *rows), NAMED)
    assert [one.group.example.answer for one in found] == ["4"] * 4


def test_the_engine_plays_back_the_first_completions(tmp_path: Path) -> None:
    path = written(tmp_path, row(["a", "b", "c"], [1, 2, 3]), row(["d", "e"], [1, 2], q="3+1?"))
    recorded = read_completions(path, NAMED)
    engine = ReplayEngine(recorded)
    assert fewest(recorded) == 2
    examples = [found.group.example for found in recorded]
    groups = list(engine.sample(examples, 2, Sampling(10)))
    assert [[c.text for c in group.completions] for group in groups] == [["a", "b"], ["d", "e"]]
    with pytest.raises(RefusedError, match=r"2 completions are recorded of '3\+1\?', not 3"):
        list(engine.sample(examples, 3, Sampling(10)))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{'q': 1}\n", "not JSON"),
        ('{"q": "2+2?", "gt": "4", "out": {"te', "not JSON"),
        ("1" * 5000 + "\n", "expected an object"),
        ("[1]\n", "expected an object"),
        ({"q": "2+2?", "gt": "4"}, "no field 'out.text'; there are: q, gt"),
        (
            {"q": "2+2?", "gt": "4", "out": {"txt": "4"}},
            "no field 'out.text': did you mean out.txt?",
        ),
        ({"gt": "4", "out": {"text": "4", "score": 1}}, "no field 'q'"),
        (row(q=" "), "no text in field 'q'"),
        (row(text=4), "expected a completion or a list of them in field 'out.text'"),
        (row(text=[]), "expected a completion or a list"),
        (row(text=["a", None]), "expected a completion or a list"),
        (row(score=None), "None in field 'out.score' is no number"),
        (row(score=True), "True in field 'out.score' is no number"),
        (row(score="high"), "'high' in field 'out.score' is no number"),
        (row(score=float("nan")), "nan in field 'out.score' is no number"),
        (row(score=10**400), "in field 'out.score' is no number"),
        (row(score=[1, 2]), "2 numbers in field 'out.score' for 1 completions"),
        (row(text=["a", "b"], score=1), "1 numbers in field 'out.score' for 2 completions"),
        (row(gt=None), "no reference answer in field 'gt'"),
        (row(gt=[4]), "no reference answer in field 'gt'"),
        (row(gt=""), "no reference answer in field 'gt'"),
        (row(gt="5"), "the reference answer is '5', but '4' at"),
        (row(q="new", gt="nan"), "the reference answer is empty"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, bad: Any, said: str) -> None:
    path = written(tmp_path, row(), "\n", bad)
    with pytest.raises(DataError) as caught:
        read_completions(path, NAMED)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_names_no_completions_is_refused_with_what_there_is(tmp_path: Path) -> None:
    path = written(tmp_path, {"question": "2+2?", "answer": "4", "a": {"b": "4"}})
    with pytest.raises(DataError, match=r"pass --fields completions=FIELD; there are: .*a\.b"):
        read_completions(path, {})
    with pytest.raises(DataError, match="no such file"):
        read_completions(tmp_path / "nowhere.jsonl", {})
    with pytest.raises(DataError, match="no rows"):
        read_completions(written(tmp_path), {})


@pytest.mark.parametrize("text", ["completions", "completions=", "answers=x", "question=q,,"])
def test_fields_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="--fields"):
        named_columns(text.split(","), FIELDS, "field")


@pytest.mark.skipif(GSM8K is None, reason="the recorded solutions aren't here")
@pytest.mark.parametrize(
    ("model", "accuracy"),
    [
        ("6b_finetuning", 0.217),
        ("6b_verification", 0.390),
        ("175b_finetuning", 0.347),
        ("175b_verification", 0.563),
    ],
)
def test_recorded_gsm8k_solutions_reproduce_their_own_verdicts(model: str, accuracy: float) -> None:
    assert GSM8K is not None
    fields = {"reference": "ground_truth", "completions": f"{model}.solution"}
    found = read_completions(GSM8K, fields)
    verdicts = {
        row["question"].strip(): row[model]["is_correct"]
        for row in map(json.loads, GSM8K.read_text().splitlines())
    }
    ours = {
        one.group.example.question: answers_match(
            one.group.example.answer, extract_answer(one.group.completions[0].text)
        )
        for one in found
    }
    assert ours == verdicts
    assert len(found) == 1319
    assert sum(ours.values()) / 1319 == pytest.approx(accuracy, abs=5e-4)
