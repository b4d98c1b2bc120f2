"""Traces of others, in whatever usual shape they come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonkit.errors import DataError
from reasonkit.tasks import recorded
from reasonkit.types import Example

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
