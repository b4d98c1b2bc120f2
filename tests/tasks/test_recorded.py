"""Traces of others, in whatever usual shape they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonkit.errors import DataError
from reasonkit.tasks import recorded
from reasonkit.types import Example, Message

TRACE = "<think>2+3=5</think><answer>5</answer>"
ASKED = {"role": "user", "content": "What is 2+3?"}
KNOWN = Example("arithmetic/2+3", "arithmetic", (ASKED,), "5")

SHAPES: dict[str, dict[str, Any]] = {
    "messages": {"messages": [ASKED, {"role": "assistant", "content": TRACE}], "answer": 5},
    "conversations": {
        "conversations": [
            {"from": "human", "value": "What is 2+3?"},
            {"from": "gpt", "value": TRACE},
        ],
        "answer": "5",
    },
    "prompt and completion": {"prompt": "What is 2+3?", "completion": TRACE, "answer": "#### 5"},
    "messages on both sides": {
        "prompt": [ASKED],
        "completion": [{"role": "assistant", "content": TRACE}],
        "ground_truth": "5",
    },
    "generations": {
        "problem": "What is 2+3?",
        "solution": "Two and three are five.",
        "answer": "5",
        "generations": [TRACE],
    },
    "a solution": {"question": "What is 2+3?", "solution": TRACE, "final_answer": "5"},
    "a thought of its own": {
        "messages": [
            ASKED,
            {"role": "assistant", "reasoning_content": "2+3=5", "content": "<answer>5</answer>"},
        ],
        "answer": "5",
    },
}


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_a_trace_is_found_in_every_usual_shape(tmp_path: Path, shape: str) -> None:
    (group,) = recorded.read(written(tmp_path / "traces.jsonl", SHAPES[shape]), [])
    assert group.example.question == "What is 2+3?"
    assert group.example.answer == "5"
    assert [c.text for c in group.completions] == [TRACE]


def test_traces_of_one_question_are_one_group(tmp_path: Path) -> None:
    two = [
        {"prompt": "What is 2+3?", "completion": text, "answer": "5"} for text in (TRACE, "5", "6")
    ]
    (group,) = recorded.read(written(tmp_path / "traces.jsonl", *two), [])
    assert [c.text for c in group.completions] == [TRACE, "5", "6"]


def test_a_question_of_the_task_brings_its_own_reference(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", {"prompt": "what  is 2+3?", "completion": TRACE})
    assert recorded.read(path, [KNOWN])[0].example == KNOWN
    assert recorded.read(path, [])[0].example.answer == ""


def test_a_generation_that_was_cut_off_is_marked(tmp_path: Path) -> None:
    row = SHAPES["generations"] | {
        "generations": [TRACE, "<think>2+3"],
        "finish_reasons": ["stop", "length"],
    }
    (group,) = recorded.read(written(tmp_path / "t.jsonl", row), [])
    assert [c.finish_reason for c in group.completions] == ["stop", "length"]


BROKEN: dict[str, tuple[object, str]] = {
    "no shape": ({"text": "hello"}, "there are: text"),
    "the user has the last word": ({"messages": [ASKED]}, "not the assistant's"),
    "no user": ({"messages": [{"role": "assistant", "content": "5"}]}, "no user message"),
    "empty": ({"prompt": "What?", "completion": " "}, "empty"),
    "a number": ({"prompt": "What?", "completion": 5}, "completion is no text"),
    "no list": ({"messages": "hello"}, "messages"),
    "no question": ({"generations": ["5"]}, "no question"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_record_that_is_no_trace_is_named_by_its_line(tmp_path: Path, case: str) -> None:
    record, expected = BROKEN[case]
    path = written(tmp_path / "t.jsonl", SHAPES["messages"], record)
    with pytest.raises(DataError, match=r"t\.jsonl:2: ") as caught:
        recorded.read(path, [])
    assert expected in str(caught.value)


def chat(*contents: str, system: str = "") -> list[Message]:
    roles = ("user", "assistant") * len(contents)
    said = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=False)]
    return [{"role": "system", "content": system}, *said] if system else said


TELLING_APART: dict[str, list[list[Message]]] = {
    "the same last question": [
        chat("What is the capital of France?", "Paris.", "Are you sure?", "Yes, it is Paris."),
        chat("What is 2+2?", "4.", "Are you sure?", "Yes, it is 4."),
        chat("Are you sure?", "Of what?"),
    ],
    "two system prompts": [
        chat("What is 2+3?", "cinq", system="Say it in French."),
        chat("What is 2+3?", "fünf", system="Say it in German."),
        chat("What is 2+3?", "five"),
    ],
    "case": [chat("What is Co?", "Cobalt."), chat("What is CO?", "A gas.")],
}


@pytest.mark.parametrize("known", [(), (KNOWN,)])
@pytest.mark.parametrize("case", TELLING_APART)
def test_each_answer_goes_to_the_prompt_that_it_was_given_to(
    case: str, known: tuple[Example, ...], tmp_path: Path
) -> None:
    chats = TELLING_APART[case]
    path = written(tmp_path / "t.jsonl", *({"messages": said} for said in chats))
    groups = recorded.read(path, known)
    assert [
        [*g.example.messages, {"role": "assistant", "content": c.text}]
        for g in groups
        for c in g.completions
    ] == chats
    assert len({g.example.id for g in groups}) == len(chats)
    if known and case == "two system prompts":
        assert {g.example.answer for g in groups} == {"5"}


def test_a_prompt_with_two_reference_answers_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = [
        {"prompt": q, "completion": TRACE, "answer": a}
        for q, a in (("a", "5"), ("b", "5"), ("a", "6"), ("b", "5.0"))
    ]
    path = written(tmp_path / "t.jsonl", *rows)
    assert [(g.example.question, len(g.completions)) for g in recorded.read(path, [])] == [("b", 2)]
    said = " ".join(capsys.readouterr().err.split())
    assert f"{path}:3 says '6', {path}:1 '5'" in said
    with pytest.raises(DataError, match="every prompt"):
        recorded.read(written(path, rows[0], rows[2]), [])


@pytest.mark.parametrize(
    "end", ["<|end|>", "<|im_end|>\n", "</s>", "<|endoftext|><|endoftext|>", "<END>"]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_trace_loses_the_token_that_ends_its_turn(end: str, shape: str, tmp_path: Path) -> None:
    spelt = json.dumps(end)[1:-1]
    row = json.loads(json.dumps(SHAPES[shape]).replace("</answer>", f"</answer>{spelt}"))
    (group,) = recorded.read(written(tmp_path / "t.jsonl", row), [], ["<END>"])
    assert [c.text for c in group.completions] == [TRACE]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_thought_that_a_template_had_opened_is_opened(shape: str, tmp_path: Path) -> None:
    row = json.loads(json.dumps(SHAPES[shape]).replace("<think>", ""))
    (group,) = recorded.read(written(tmp_path / "t.jsonl", row), [])
    assert [c.text for c in group.completions] == [TRACE]


def test_a_text_without_a_thought_is_left_as_it_is(tmp_path: Path) -> None:
    for text in ("5", "<think>2+3</think>5 </think>", "5 <|end|> of it", "5\n"):
        path = written(tmp_path / "t.jsonl", {"prompt": "What is 2+3?", "completion": text})
        assert recorded.read(path, [])[0].completions[0].text == text
