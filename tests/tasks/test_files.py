"""What a file holds is read, or refused in one line that says where."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from reasonkit.errors import DataError
from reasonkit.plan import check_references
from reasonkit.tasks import load
from reasonkit.tasks.files import records

GOOD = [{"question": f"What is {i}+1?", "answer": i + 1} for i in range(40)]
LINES = "".join(json.dumps(row) + "\n" for row in GOOD)
DIGITS = "1" * 4500
NAN = float("nan")


def table(*rows: dict) -> Callable[[Path], object]:
    return lambda path: parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


def text(content: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def line(answer: str) -> str:
    return f'{LINES}{{"question": "What is it?", "answer": {answer}}}\n'


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "an integer of 4500 digits": (
        "d.jsonl",
        text(line(DIGITS)),
        "d.jsonl:41: the reference answer can't be read",
    ),
    "the same in a list": (
        "d.json",
        text(f"[{','.join(line(DIGITS).splitlines())}]"),
        "d.json: row 41: the reference answer can't be read",
    ),
    "NaN": ("d.jsonl", text(line("NaN")), "d.jsonl:41: no reference answer"),
    "an infinite answer": ("d.jsonl", text(line("-Infinity")), "d.jsonl:41: no reference answer"),
    "a number beyond all": ("d.jsonl", text(line("1e999")), "d.jsonl:41: no reference answer"),
    "NaN of a table": (
        "d.parquet",
        table({"question": "a?", "answer": 1.0}, {"question": "b?", "answer": NAN}),
        "d.parquet: row 2: no reference answer",
    ),
    "Latin-1 in lines": (
        "d.jsonl",
        text(LINES.encode() + b'{"question": "caf\xe9", "answer": 1}'),
        "d.jsonl:41: not UTF-8",
    ),
    "Latin-1 in a list": (
        "d.json",
        text(b'[{"question": "a",\n"answer": "caf\xe9"}]'),
        "d.json:2: not UTF-8",
    ),
    "Latin-1 in cells": ("d.csv", text(b"question,answer\na,1\ncaf\xe9,2\n"), "d.csv:3: not UTF-8"),
    "UTF-16": ("d.csv", text("question,answer\na,1\n".encode("utf-16")), "d.csv:1: not UTF-8"),
    "nesting": ("d.jsonl", text(line("[" * 10**5 + "]" * 10**5)), "d.jsonl:41: nested too deeply"),
    "nesting in a list": ("d.json", text("[" * 10**5), "d.json:1: nested too deeply"),
    "an answer that can't be read": (
        "d.jsonl",
        text(line('"{"')),
        "d.jsonl:41: the reference answer can't be read",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_named_by_its_line(case: str, tmp_path: Path) -> None:
    name, write, expected = REFUSED[case]
    write(tmp_path / name)
    with pytest.raises(DataError) as caught:
        check_references("a task", load(str(tmp_path / name)))
    assert f"{tmp_path}/{expected}" in str(caught.value)
    assert "\n" not in str(caught.value)


HALVES = '{"question": "a\\ud83d", "answer": "1", "b\\udc00": ["\\ude00"]}'
READ: dict[str, tuple[str, str | bytes]] = {
    "half a pair": ("d.jsonl", HALVES),
    "half a pair in a list": ("d.json", f"[{HALVES}]"),
}


@pytest.mark.parametrize("case", READ)
def test_half_a_surrogate_pair_is_read_as_a_question_mark(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    name, content = READ[case]
    text(content)(tmp_path / name)
    ((_, record),) = records(tmp_path / name)
    assert record == {"question": "a?", "answer": "1", "b?": ["?"]}
    assert "half a surrogate pair" in capsys.readouterr().err


def test_a_whole_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    text('{"question": "\\ud83d\\ude00", "answer": "1"}')(tmp_path / "d.jsonl")
    ((_, record),) = records(tmp_path / "d.jsonl")
    assert record["question"] == "\N{GRINNING FACE}"


def test_numbers_that_nobody_reads_are_no_hindrance(tmp_path: Path) -> None:
    rows = LINES.replace(
        "}", f', "score": NaN, "hash": {DIGITS}, "tree": {"[" * 900 + "]" * 900}}}'
    )
    text(rows)(tmp_path / "d.jsonl")
    assert [record["answer"] for _, record in records(tmp_path / "d.jsonl")] == list(range(1, 41))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_may_and_a_mark_may_begin_them(end: str, tmp_path: Path) -> None:
    text("\ufeff" + LINES.replace("\n", end))(tmp_path / "d.jsonl")
    text("\ufeffquestion,answer" + end + f"a,1{end}")(tmp_path / "d.csv")
    assert [where for where, _ in records(tmp_path / "d.jsonl")][-1] == f"{tmp_path}/d.jsonl:40"
    assert [record for _, record in records(tmp_path / "d.csv")] == [
        {"question": "a", "answer": "1"}
    ]


def test_a_cell_may_be_as_long_as_a_trace(tmp_path: Path) -> None:
    text(f"question,answer,trace\na,1,{'x' * 200_000}\n")(tmp_path / "d.csv")
    ((_, record),) = records(tmp_path / "d.csv")
    assert len(record["trace"]) == 200_000
