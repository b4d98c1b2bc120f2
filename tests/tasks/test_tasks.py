"""Tasks end up as three splits that share no question, or in one line that says why not."""

from __future__ import annotations

import csv
import json
import time
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from reasonkit import offline
from reasonkit.answers.comparison import check_reference
from reasonkit.errors import DataError, OfflineError, RefusedError, UnknownNameError
from reasonkit.models.abacus.corpus import documents
from reasonkit.tasks import TASKS, half, load, require_trainable
from reasonkit.tasks.splits import normal, part_of, split_of
from reasonkit.types import Part

DATA = Path(__file__).parents[2].parent / "shared" / "data"
GENERATED = [task.name for task in TASKS.values() if task.source == "generated"]
ROWS = [{"question": f"What is {i}+1?", "answer": str(i + 1)} for i in range(300)]

FIRST_ARITHMETIC = ["arithmetic/9+6*7", "arithmetic/6-4", "arithmetic/(8+2-9)*(7-1)"]
FIRST_OF_A_FILE = [
    ("b5639e8e36f7", "What is 77+1?"),
    ("df010af72633", "What is 263+1?"),
    ("0a9357f0f80d", "What is 160+1?"),
]


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@cache
def of_the_corpus() -> set[str]:
    """Its questions, and what stands before an equals sign."""
    asked: set[str] = set()
    for part in ("textbook", "web"):
        for document in islice(documents(20, part), 8000):
            lines = [] if document.prompt else document.text.splitlines()
            asked |= {normal(line.partition("=")[0]) for line in lines}
            asked.add(normal(document.question))
    return asked


@pytest.mark.parametrize("name", GENERATED)
def test_splits_share_no_question_with_each_other_or_with_the_corpus(name: str) -> None:
    splits = load(name)
    parts = (splits.train, splits.validation, splits.test)
    seen = [{example.id.partition("/")[2] for example in part} for part in parts]
    there = TASKS[name].sizes
    usual = {"train": 4000, "validation": 300, "test": 600}
    assert [len(s) for s in seen] == [there.get(split, n) for split, n in usual.items()]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
    asked = {normal(question) for part in seen for question in part}
    assert not asked & of_the_corpus()


def test_every_question_of_the_corpus_hashes_to_the_corpus() -> None:
    for document in islice(documents(7, "web"), 3000):
        if document.question:
            assert split_of(document.question) == "corpus"


@pytest.mark.parametrize("name", GENERATED)
def test_a_smaller_split_is_the_beginning_of_a_larger_one(name: str) -> None:
    assert load(name, test=20, train=10).test == load(name, test=40, train=10).test[:20]


def test_arithmetic_references_are_the_values_of_their_expressions() -> None:
    for example in load("arithmetic", train=500).train:
        expression = example.id.partition("/")[2]
        assert set(expression) <= set("0123456789+-*()")
        assert int(example.answer) == eval(expression)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".parquet"])
def test_a_file_of_any_format_gives_the_same_splits(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    if suffix == ".jsonl":
        write_jsonl(path, ROWS)
    elif suffix == ".json":
        path.write_text(json.dumps(ROWS))
    elif suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["question", "answer"])
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    splits = load(str(path))
    reference = load(str(write_jsonl(tmp_path / "reference.jsonl", ROWS)))
    for split in ("train", "validation", "test"):
        ours, theirs = getattr(splits, split), getattr(reference, split)
        assert [(e.question, e.answer) for e in ours] == [(e.question, e.answer) for e in theirs]
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 300
    assert 200 < len(splits.train) < 270


def test_an_official_test_split_stays_test_and_its_questions_leave_train(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", ROWS)
    write_jsonl(tmp_path / "test.jsonl", ROWS[:20])
    splits = load(str(tmp_path))
    tested = {e.question for e in splits.test}
    assert tested == {row["question"] for row in ROWS[:20]}
    assert not tested & {e.question for e in splits.train + splits.validation}
    assert len(splits.train) + len(splits.validation) == 280


def test_columns_are_taken_by_name(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", [{"q": f"{i}?", "gold": str(i)} for i in range(90)])
    splits = load(str(path), columns={"question": "q", "answer": "gold"})
    assert splits.test[0].question.rstrip("?") == splits.test[0].answer


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"question": "q", "answer": "1"}\n{"question": \n', ":2: not JSON"),
        ('{"question": "q", "answer": ""}\n', ":1: no reference answer"),
        ('{"question": "q"}\n', "answer"),
        ('{"question": "q", "answer": "work\\n####"}\n', ":1: no reference answer after"),
        ('{"question": null, "answer": "1"}\n', ":1: no text"),
        ("[1, 2]\n", ":1: expected an object"),
        ("", "no rows"),
    ],
)
def test_bad_rows_are_named_by_file_and_line(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(content)
    with pytest.raises(DataError) as refused:
        load(str(path))
    assert expected in str(refused.value)
    assert "data.jsonl" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_column_offers_those_there_are(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", ROWS)
    with pytest.raises(DataError, match="answer"):
        load(str(path), columns={"answer": "answr"})


def test_an_unknown_task_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="arithmetic"):
        load("arithmetik")


def test_a_hub_name_without_network_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://127.0.0.1:9")
    monkeypatch.setattr("urllib.request.getproxies", dict)
    offline.reachable.cache_clear()
    started = time.monotonic()
    with pytest.raises(OfflineError, match="local"):
        load("nobody/nothing-at-all")
    assert time.monotonic() - started < 60
    offline.reachable.cache_clear()


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data")
def test_gsm8k_keeps_its_official_test_split() -> None:
    splits = load(str(DATA / "gsm8k" / "train.jsonl"), test=9999, validation=9999)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 7473
    for example in splits.test:
        check_reference(example.answer)


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data")
def test_a_task_with_only_a_test_split_can_be_loaded_but_not_trained_on() -> None:
    splits = load(str(DATA / "math500"), test=9999)
    assert len(splits.test) == 500
    with pytest.raises(RefusedError, match="only a test split"):
        require_trainable("math500", splits)


def test_the_two_halves_of_train_share_nothing_and_leave_nothing_out() -> None:
    splits = load("arithmetic", train=200, validation=4, test=4)
    parts = [half("arithmetic", splits, part) for part in (Part.sft, Part.rl)]
    ids = [{example.id for example in part.train} for part in parts]
    assert ids[0].isdisjoint(ids[1])
    assert ids[0] | ids[1] == {example.id for example in splits.train}
    assert min(map(len, ids)) > 70
    assert all((p.validation, p.test) == (splits.validation, splits.test) for p in parts)
    assert half("arithmetic", splits, Part.all) == splits


def test_a_train_split_too_small_to_halve_is_refused() -> None:
    splits = load("arithmetic", train=1, validation=4, test=4)
    (other,) = {Part.sft, Part.rl} - {part_of(splits.train[0].id)}
    with pytest.raises(DataError, match="halve"):
        half("arithmetic", splits, other)


def test_questions_that_differ_in_case_are_different_and_share_a_split(tmp_path: Path) -> None:
    names = [f"{a}{b}" for a in "BCDFGHKLMN" for b in "aeiou"]
    rows = [
        {"question": f"What is the code of {said}?", "answer": str(i)}
        for i, name in enumerate(names)
        for said in (name, name.upper())
    ]
    splits = load(str(write_jsonl(tmp_path / "d.jsonl", rows)))
    parts = [splits.train, splits.validation, splits.test]
    assert sum(map(len, parts)) == 100
    assert len({e.id for part in parts for e in part}) == 100
    keys = [{normal(e.question) for e in part} for part in parts]
    assert not keys[0] & keys[1] | keys[0] & keys[2] | keys[1] & keys[2]


def test_what_is_left_out_is_said_with_its_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = [*ROWS, ROWS[0], ROWS[1], {**ROWS[2], "answer": "99"}, {**ROWS[3], "answer": "4.0"}]
    path = write_jsonl(tmp_path / "d.jsonl", rows)
    splits = load(str(path), validation=99, test=99)
    asked = {e.question for e in splits.train + splits.validation + splits.test}
    assert asked == {row["question"] for row in ROWS} - {ROWS[2]["question"]}
    said = " ".join(capsys.readouterr().err.split())
    assert f"{path}:301 repeats {path}:1; 3 of 304 rows repeat one before" in said
    assert f"{path}:303 and {path}:3 ask the same" in said


def test_what_became_of_the_rows_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write_jsonl(tmp_path / "d.jsonl", [*ROWS, *ROWS[:3]])
    made = load(str(path), validation=4, tell=True)
    assert (
        f"{path}: 303 rows: {len(made.train)} train, 4 validation, {len(made.test)} test; "
        "3 repeated questions left out; for splits of your own" in capsys.readouterr().err
    )


def test_rows_of_two_splits_are_left_out_of_train_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{**r, "question": r["question"].upper()} for r in ROWS])
    write_jsonl(tmp_path / "test.jsonl", ROWS[:20])
    splits = load(str(tmp_path))
    assert len(splits.test) == 20 and len(splits.train) + len(splits.validation) == 280
    assert "20 row(s) of that kind are left out" in " ".join(capsys.readouterr().err.split())


def test_splits_and_ids_are_as_they_were_published(tmp_path: Path) -> None:
    task = load("arithmetic")
    first = [part[0].id for part in (task.train, task.validation, task.test)]
    assert first == FIRST_ARITHMETIC
    splits = load(str(write_jsonl(tmp_path / "d.jsonl", ROWS)), test=3)
    assert [(e.id, e.question) for e in splits.test] == FIRST_OF_A_FILE
