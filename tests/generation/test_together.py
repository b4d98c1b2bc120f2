"""What callers share is what each would get alone; who has gone costs nothing more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from reasonkit.errors import RunError
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.together import GoneError, Shared, Worker
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load
from reasonkit.types import Example

WAYS = (Sampling(40, seed=3), Sampling(30, temperature=0), Sampling(40, 0.7, stop=("=",)))


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    resolved = resolve("abacus-reasoner")
    return LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])


@pytest.fixture
def worker(engine: LocalEngine) -> Iterator[Worker]:
    worker = Worker(engine, 200, 64, 6)
    yield worker
    worker.close()


def test_many_callers_get_what_each_would_get_alone(worker: Worker, engine: LocalEngine) -> None:
    examples = load("arithmetic").test[:6]

    def texts(asked: tuple[Example, Sampling]) -> list[str]:
        (group,) = Shared(worker, threading.Event()).sample([asked[0]], 3, asked[1])
        return [completion.text for completion in group.completions]

    wanted = [(example, way) for example in examples for way in WAYS]
    expected = {}
    for way in WAYS:
        for group in engine.sample(examples, 3, way):
            expected[group.example.id, way] = [c.text for c in group.completions]
    with ThreadPoolExecutor(len(wanted)) as threads:
        found = list(threads.map(texts, wanted))
    assert found == [expected[example.id, way] for example, way in wanted]


def test_one_streams_while_others_are_sampled(worker: Worker, engine: LocalEngine) -> None:
    example, other = load("arithmetic").test[:2]
    with ThreadPoolExecutor(1) as threads:
        view = Shared(worker, threading.Event())
        beside = threads.submit(lambda: list(view.sample([other], 4, WAYS[0])))
        mine = Shared(worker, threading.Event())
        pieces = list(mine.stream(example, WAYS[0]))
        assert len(beside.result()) == 1
    (group,) = engine.sample([example], 1, WAYS[0])
    assert "".join(pieces) == group.completions[0].text
    assert len(pieces) > 5
    assert mine.streamed is not None
    assert mine.streamed.token_ids == group.completions[0].token_ids


def test_who_has_gone_makes_room(worker: Worker) -> None:
    example, gone = load("arithmetic").test[0], threading.Event()
    never_ends = Shared(worker, gone).stream(example, Sampling(64, temperature=5.0))
    assert next(never_ends)
    gone.set()
    with pytest.raises(GoneError):
        list(never_ends)
    left = Shared(worker, threading.Event()).stream(example, Sampling(64, temperature=5.0))
    next(left)
    left.close()
    (group,) = Shared(worker, threading.Event()).sample([example], 2, WAYS[0])
    assert len(group.completions) == 2
    assert not worker.jobs


def test_a_failure_is_told_to_those_who_wait_and_the_next_begins_anew(
    worker: Worker, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load("arithmetic").test[0]
    with monkeypatch.context() as patch:
        patch.setattr(engine, "model", None)
        with pytest.raises(AttributeError):
            list(Shared(worker, threading.Event()).sample([example], 1, WAYS[0]))
    assert list(Shared(worker, threading.Event()).sample([example], 1, WAYS[0]))


def test_nothing_is_asked_of_what_is_closed(engine: LocalEngine) -> None:
    worker = Worker(engine, 200, 64, 6)
    worker.close()
    with pytest.raises(RunError, match="shutting down"):
        list(Shared(worker, threading.Event()).sample(load("arithmetic").test[:1], 1, WAYS[0]))
