"""The file of a run's samples."""

from __future__ import annotations

import json
import os
import pickle
import resource
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.errors import DataError, RefusedError, RunError
from reasonkit.generation.engine import Sampling
from reasonkit.generation.paid import Drawn
from reasonkit.generation.store import Store, count_failures, key_of
from reasonkit.types import Completion, Example

EXAMPLE = Example("e0", "t", ({"role": "user", "content": "2+2?"},), "4")
OTHER = replace(EXAMPLE, id="e1")
SAMPLING = Sampling(50)
ORIGIN = {"model": "abacus", "engine": "local"}
COMPLETIONS = st.builds(
    Completion,
    st.text(st.characters(codec="utf-8")),
    st.lists(st.integers(0, 2**17), min_size=1).map(tuple) | st.just(()),
    st.sampled_from(["stop", "length"]),
    st.none() | st.floats(-1e9, 0),
    confidences=st.lists(st.floats(0, 1e9)).map(tuple),
    certainty=st.none() | st.floats(0, 1e9),
)


def drawn(place: int, text: str = "4", example: Example = EXAMPLE) -> Drawn:
    return Drawn(example, place, Completion(text, (), "stop", -0.5, 2))


@given(st.lists(COMPLETIONS, max_size=5))
def test_what_was_stored_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, completions: list[Completion]
) -> None:
    path = tmp_path_factory.mktemp("store") / "samples.jsonl"
    counted = [c if c.token_ids else replace(c, count=3) for c in completions]
    Store(path, ORIGIN).add([Drawn(EXAMPLE, i, c) for i, c in enumerate(counted)], SAMPLING)
    key, everywhere = key_of(EXAMPLE, SAMPLING), range(len(counted))
    again, alone = Store(path, ORIGIN), Store(None, ORIGIN)
    alone.add([Drawn(EXAMPLE, i, c) for i, c in enumerate(counted)], SAMPLING)
    assert list(again.held(key)) == list(everywhere)
    for kept in (again.completions(key, everywhere), alone.completions(key, everywhere)):
        assert list(kept) == list(pickle.loads(pickle.dumps(kept))) == counted
        assert list(kept[1:]) == counted[1:]
        # Which comparing leaves out.
        assert [c.confidences for c in kept] == [c.confidences for c in counted]
        assert [c.certainty for c in kept] == [c.certainty for c in counted]


def failed(place: int, failure: str) -> Drawn:
    return Drawn(EXAMPLE, place, Completion("", (), "failed", None, 0, failure))


def test_a_sample_that_failed_is_counted_and_wished_for_again(tmp_path: Path) -> None:
    path, key = tmp_path / "samples.jsonl", key_of(EXAMPLE, SAMPLING)
    store = Store(path, ORIGIN)
    store.add([drawn(0)], SAMPLING)
    for place, why in enumerate(("500: a: b", "content filter: no", "500: c"), 1):
        store.add([failed(place, why)], SAMPLING)
    assert (store.failed, store.failed_share) == ({key: 3}, 0.75)
    store.add([drawn(0, example=OTHER)], SAMPLING)
    assert store.failed_share == 0.375
    assert store.completions(key, [1])[0].failure == "500: a: b"
    assert [c.finish_reason for c in store.given(key, 2)] == ["stop"]
    again = Store(path, ORIGIN)
    assert (list(again.held(key)), again.failed) == ([0], {})
    assert count_failures(path) == {"500": 2, "content filter": 1}
    again.add([drawn(1), drawn(2)], SAMPLING)
    assert count_failures(path) == {"500": 1}
    assert count_failures(tmp_path / "nowhere") == {}


def test_prompts_and_ways_of_sampling_are_told_apart(tmp_path: Path) -> None:
    store = Store(tmp_path / "samples.jsonl", ORIGIN)
    asked = replace(EXAMPLE, messages=({"role": "user", "content": "2+2? Think."},))
    others = [
        (OTHER, SAMPLING),
        (asked, SAMPLING),
        (replace(EXAMPLE, thinks=False), SAMPLING),
        (EXAMPLE, replace(SAMPLING, temperature=0)),
        (EXAMPLE, replace(SAMPLING, seed=1)),
    ]
    store.add([drawn(0)], SAMPLING)
    for example, sampling in others:
        assert not store.held(key_of(example, sampling))
    assert store.held(key_of(replace(EXAMPLE, answer="5"), SAMPLING))


def test_a_place_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    store = Store(path, ORIGIN)
    store.add([drawn(0, "first")], SAMPLING)
    before = path.read_bytes()
    store.add([drawn(0, "second")], SAMPLING)
    assert path.read_bytes() == before
    assert store.completions(key_of(EXAMPLE, SAMPLING), [0])[0].text == "first"


@pytest.mark.parametrize("lost", [1, 20, 70, 200])
def test_an_unfinished_block_is_dropped_and_whole_ones_stay(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "samples.jsonl"
    store = Store(path, ORIGIN)
    store.add([drawn(0), drawn(0, example=OTHER)], SAMPLING)
    whole = path.read_bytes()
    store.add([drawn(1), drawn(1, example=OTHER)], SAMPLING)
    os.truncate(path, path.stat().st_size - lost)
    again = Store(path, ORIGIN)
    assert list(again.held(key_of(EXAMPLE, SAMPLING))) == [0]
    assert list(again.held(key_of(OTHER, SAMPLING))) == [0]
    assert path.read_bytes() == whole


def test_a_torn_first_line_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    Store(path, ORIGIN)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        Store(path, ORIGIN)
        assert path.read_bytes() == whole


def test_samples_of_another_origin_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    Store(path, ORIGIN).add([drawn(0)], SAMPLING)
    before = path.read_bytes()
    with pytest.raises(RefusedError, match="samples of model 'abacus', not 'abacus-mini'"):
        Store(path, {**ORIGIN, "model": "abacus-mini"})
    with pytest.raises(RefusedError, match="samples of engine 'local', not None"):
        Store(path, {"model": "abacus"})
    assert path.read_bytes() == before


@pytest.mark.parametrize("line", ["", "{}", "[1]", "null", '{"key": "a", "place": 0}', "\xff"])
def test_a_broken_line_inside_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "samples.jsonl"
    store = Store(path, ORIGIN)
    store.add([drawn(0)], SAMPLING)
    with path.open("a") as file:
        file.write(line + "\n")
    store.add([drawn(1)], SAMPLING)
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"samples\.jsonl:3: "):
        Store(path, ORIGIN)
    assert path.read_bytes() == before


def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text('{"step": 1}\n')
    with pytest.raises(DataError, match=r"samples\.jsonl:1: "):
        Store(path, ORIGIN)
    assert path.read_text() == '{"step": 1}\n'


def test_a_full_disk_is_one_line_and_leaves_whole_samples(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    store = Store(path, ORIGIN)
    store.add([drawn(0)], SAMPLING)
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
    try:
        with pytest.raises(RunError, match=r"samples\.jsonl can't be written"):
            store.add([drawn(1)], SAMPLING)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == whole
    store.add([drawn(1)], SAMPLING)
    assert list(Store(path, ORIGIN).held(key_of(EXAMPLE, SAMPLING))) == [0, 1]


def test_each_line_says_what_a_reader_wants_to_know(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    Store(path, ORIGIN).add([drawn(0), drawn(1)], SAMPLING)
    header, first, last = map(json.loads, path.read_text().splitlines())
    assert header == {"origin": ORIGIN}
    assert first.pop("more") is True
    assert first == {
        "id": "e0",
        "key": key_of(EXAMPLE, SAMPLING),
        "place": 0,
        "text": "4",
        "tokens": 2,
        "finish": "stop",
        "logprob": -0.5,
    }
    assert "more" not in last
