"""Sampling traces loses nothing and never changes what is sampled, wherever it is stopped."""

from __future__ import annotations

import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from reasonkit import runs
from reasonkit.errors import DataError
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.pool import Pool
from reasonkit.generation.store import Store, count_failures
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.prompts import ask
from reasonkit.tasks import load, recorded
from reasonkit.traces import sampling
from reasonkit.types import Example, Group, Trace


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    resolved = resolve("abacus-mini")
    return LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])


def a_run(path: Path) -> runs.Run:
    return runs.create("distill", "abacus-mini", "arithmetic", {"seed": 0}, path, [])


def asked(count: int) -> list[Example]:
    return load("arithmetic", validation=1, test=1).train[:count]


def sampled(run: runs.Run, engine: LocalEngine, count: int) -> list[Group]:
    pool = Pool(Store(run.path / sampling.SAMPLES, {"model": "abacus-mini"}), engine, block=8)
    return sampling.sample(run, pool, asked(count), asked(count), 2, Sampling(12, seed=3))[0]


def test_a_run_cut_anywhere_goes_on_to_the_same_traces(tmp_path: Path, engine: LocalEngine) -> None:
    whole = sampled(a_run(tmp_path / "whole"), engine, 10)
    assert [group.example for group in whole] == asked(10)
    content = (tmp_path / "whole" / sampling.SAMPLES).read_bytes()
    for cut in (0, 10, len(content) // 3, len(content) // 2, len(content) - 1):
        run = a_run(tmp_path / f"cut-{cut}")
        (run.path / sampling.SAMPLES).write_bytes(content[:cut])
        assert sampled(run, engine, 10) == whole
        assert (run.path / sampling.SAMPLES).read_bytes() == content


def test_another_run_reads_what_was_sampled_as_far_as_it_got(
    tmp_path: Path, engine: LocalEngine
) -> None:
    run = a_run(tmp_path / "run")
    whole = sampled(run, engine, 10)
    assert sampling.of_run(run.path) == whole
    store = run.path / sampling.SAMPLES
    store.write_bytes(store.read_bytes()[: store.stat().st_size // 2])
    some = sampling.of_run(run.path)
    assert 0 < len(some) < 10
    assert all(group in whole for group in some)


def test_reading_a_run_that_is_written_to_changes_none_of_its_files(
    tmp_path: Path, engine: LocalEngine
) -> None:
    run = a_run(tmp_path / "run")
    sampled(run, engine, 4)
    path = run.path / sampling.SAMPLES
    whole = path.read_bytes()
    for content in (whole + whole[-40:-1], whole[:-30], whole[:10], b""):
        path.write_bytes(content)
        path.chmod(0o444)
        before = path.stat().st_mtime_ns
        with suppress(DataError):
            sampling.of_run(run.path)
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (content, before)
        path.chmod(0o644)


def test_samples_that_failed_are_no_traces_and_are_counted(
    tmp_path: Path, chat: SimpleNamespace
) -> None:
    examples = asked(6)

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        question = body["messages"][-1]["content"]
        if question == examples[1].question:
            chat.send(to, {"error": {"message": "no", "code": "content_filter"}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice(question)))

    run = a_run(tmp_path / "run")
    with chat.serving(reply) as server:
        engine = EndpointEngine(server.url, "m", logprobs=False)
        pool = sampling.pool(run, engine, {"model": "m"})
        given, _ = sampling.sample(run, pool, examples, examples, 2, Sampling(12))
    assert [g.example for g in given] == [examples[0], *examples[2:]]
    assert {len(g.completions) for g in given} == {2}
    assert count_failures(run.path / sampling.SAMPLES) == {"content filter": 2}
    assert sampling.of_run(run.path) == given


def test_a_run_that_has_sampled_nothing_says_so(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    with pytest.raises(DataError, match="sampled no traces"):
        sampling.of_run(run.path)
    (run.path / sampling.QUESTIONS).write_text("")
    (run.path / sampling.SAMPLES).write_text("")
    with pytest.raises(DataError, match="sampled no traces"):
        sampling.of_run(run.path)


def test_what_is_learned_is_written_as_chats(tmp_path: Path, engine: LocalEngine) -> None:
    run = a_run(tmp_path / "run")
    groups = sampled(run, engine, 3)
    sampling.write_kept(run, [Trace(g) for g in groups])
    path = run.path / sampling.TRACES
    first = json.loads(path.read_text().splitlines()[0])
    assert [m["role"] for m in first["messages"]] == ["user", "assistant"]
    again = recorded.read(path, asked(3))
    assert [g.example for g in again] == asked(3)
    assert [g.completions[0].text for g in again] == [g.completions[0].text for g in groups]


def test_what_is_kept_is_the_question_as_it_is_and_not_as_the_teacher_was_asked(
    tmp_path: Path, engine: LocalEngine
) -> None:
    run, examples = a_run(tmp_path / "worded"), asked(3)
    worded = [ask(example, "step-by-step") for example in examples]
    pool = Pool(Store(run.path / sampling.SAMPLES, {"model": "abacus-mini"}), engine)
    given, _ = sampling.sample(run, pool, examples, worded, 2, Sampling(12, seed=3))
    assert [group.example for group in given] == examples
    plain = sampled(a_run(tmp_path / "plain"), engine, 3)
    assert [g.completions for g in given] != [g.completions for g in plain]
    again = sampling.of_run(run.path)
    assert [(g.example.question, g.completions) for g in again] == [
        (g.example.question, g.completions) for g in given
    ]
