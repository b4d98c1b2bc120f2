"""A pool gives the same samples however often it is stopped, and pays for none twice."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from reasonkit.errors import RunError
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.pool import Pool
from reasonkit.generation.store import Store
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.servers import Limits
from reasonkit.types import Example, Group

SAMPLING = Sampling(20, seed=5)
ORIGIN = {"model": "abacus-mini"}


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    resolved = resolve("abacus-mini")
    return LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])


def questions(n: int) -> list[Example]:
    return [
        Example(f"e{i}", "t", ({"role": "user", "content": f"What is {i}+2*{i + 1}?"},), "")
        for i in range(n)
    ]


def adaptively(pool: Pool, examples: Sequence[Example]) -> list[list[Group]]:
    """A caller that asks for more of some questions, then for more of all."""
    first = list(pool.sample(examples, 2, SAMPLING))
    unsure = [g.example for g in first if len({c.text for c in g.completions}) > 1][::2]
    return [
        first,
        list(pool.sample(unsure, 5, SAMPLING)),
        list(pool.sample(examples, 4, SAMPLING)),
        list(pool.sample(examples, 1, Sampling(20, temperature=0))),
    ]


@pytest.fixture(scope="module")
def undisturbed(
    local: LocalEngine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[list[Group]], bytes]:
    path = tmp_path_factory.mktemp("undisturbed") / "samples.jsonl"
    groups = adaptively(Pool(Store(path, ORIGIN), local, block=6), questions(7))
    return groups, path.read_bytes()


def test_groups_come_in_the_order_of_the_examples(
    undisturbed: tuple[list[list[Group]], bytes],
) -> None:
    first, _, last, greedy = undisturbed[0]
    for groups in (first, last, greedy):
        assert [group.example for group in groups] == questions(7)
    assert {len(group.completions) for group in last} == {4}


def test_more_samples_of_a_question_are_added_to_those_there_are(
    undisturbed: tuple[list[list[Group]], bytes],
) -> None:
    first, unsure, last, _ = undisturbed[0]
    assert unsure
    five = {group.example.id: group.completions for group in unsure}
    for two, four in zip(first, last, strict=True):
        assert four.completions[:2] == two.completions
        if two.example.id in five:
            assert five[two.example.id][:4] == four.completions
    drawn = [completion.text for group in last for completion in group.completions]
    assert len(set(drawn)) > len(drawn) / 2


@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.4, 0.5, 0.65, 0.8, 0.9, 0.99, 1])
def test_from_any_beginning_of_the_file_the_same_file_and_samples_follow(
    local: LocalEngine,
    undisturbed: tuple[list[list[Group]], bytes],
    tmp_path: Path,
    share: float,
) -> None:
    groups, content = undisturbed
    path = tmp_path / "samples.jsonl"
    path.write_bytes(content[: round(share * len(content))])
    assert adaptively(Pool(Store(path, ORIGIN), local, block=6), questions(7)) == groups
    assert path.read_bytes() == content


def test_a_finished_pool_samples_nothing(
    undisturbed: tuple[list[list[Group]], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(undisturbed[1])

    class Broken(LocalEngine):
        def __init__(self) -> None:
            pass

        def sample(
            self, examples: Sequence[Example], n: int, sampling: Sampling
        ) -> Iterator[Group]:
            raise AssertionError

    pool = Pool(Store(path, ORIGIN), Broken(), block=6)
    assert adaptively(pool, questions(7)) == undisturbed[0]


def test_no_more_than_a_block_is_sampled_ahead(local: LocalEngine, tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    groups = Pool(Store(path, ORIGIN), local, block=6).sample(questions(7), 2, SAMPLING)
    next(groups)
    assert len(path.read_bytes().splitlines()) == 1 + 6


def test_an_engine_that_leaves_samples_out_is_found_out(local: LocalEngine, tmp_path: Path) -> None:
    class Lazy(LocalEngine):
        def sample(
            self, examples: Sequence[Example], n: int, sampling: Sampling
        ) -> Iterator[Group]:
            return super().sample(examples[1:], n, sampling)

    pool = Pool(Store(tmp_path / "s", ORIGIN), Lazy(local.model, local.tokenizer))
    with pytest.raises(RunError, match="6 of 8"):
        list(pool.sample(questions(4), 2, SAMPLING))


LOCAL = """
import sys
from pathlib import Path
import test_pool
resolved = test_pool.resolve("abacus-mini")
model = test_pool.load_model(resolved, "cpu", "float32")
engine = test_pool.LocalEngine(model, test_pool.load_tokenizer(resolved)[0])
pool = test_pool.Pool(test_pool.Store(Path(sys.argv[1]), test_pool.ORIGIN), engine, block=6)
test_pool.adaptively(pool, test_pool.questions(7))
"""

PAID = """
import sys
from pathlib import Path
from reasonkit.generation.engine import Sampling
from reasonkit.generation.endpoint import EndpointEngine
from reasonkit.servers import Limits
from reasonkit.generation.pool import Pool
from reasonkit.generation.store import Store
from reasonkit.types import Example
engine = EndpointEngine(sys.argv[2], "m", limits=Limits(concurrency=4))
pool = Pool(Store(Path(sys.argv[1]), {"model": "m"}), engine)
asked = [Example(f"e{i}", "t", ({"role": "user", "content": f"{i}?"},), "0") for i in range(12)]
print(sum(1 for _ in pool.sample(asked, 5, Sampling(50))))
"""


@pytest.fixture
def run_until(launch: Callable) -> Callable[..., None]:
    """Runs a program; kills it, the hard way, once the file has so many lines."""

    def run(lines: int | None, path: Path, code: str, *argv: str) -> None:
        program = launch("-c", code, path, *argv, cwd=Path(__file__).parent)
        if lines is None:
            assert program.ended().code == 0
        else:
            program.until(lambda: path.exists() and path.read_bytes().count(b"\n") >= lines)
            assert program.signalled(signal.SIGKILL).code == -signal.SIGKILL

    return run


def test_killed_and_resumed_the_file_is_that_of_the_undisturbed_run(
    undisturbed: tuple[list[list[Group]], bytes], tmp_path: Path, run_until: Callable
) -> None:
    path = tmp_path / "samples.jsonl"
    for lines in (14, None):
        run_until(lines, path, LOCAL)
    assert path.read_bytes() == undisturbed[1]


@pytest.mark.parametrize("takes_n", [False, True])
def test_killed_at_several_moments_no_sample_that_arrived_is_asked_for_again(
    chat: SimpleNamespace, tmp_path: Path, run_until: Callable, takes_n: bool
) -> None:
    path = tmp_path / "samples.jsonl"

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        time.sleep(0.003)
        n = body.get("n", 1) if takes_n else 1
        asked = body["messages"][0]["content"]
        chat.send(to, chat.answer(*(chat.choice(f"{asked} {number} {i}") for i in range(n))))

    with chat.serving(reply, probe=reply) as server:
        before = b""
        for lines in (1, 9, 30, 45, None):
            run_until(lines, path, PAID, server.url)
            now = path.read_bytes()
            assert now.startswith(before[: before.rfind(b"\n") + 1])
            before = now
        sent = sum(body.get("n", 1) if takes_n else 1 for body in server.bodies)
        answered = len(server.bodies)
        run_until(None, path, PAID, server.url)
        assert len(server.bodies) == answered
    records = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
    assert Counter(record["id"] for record in records) == {f"e{i}": 5 for i in range(12)}
    assert len({(record["id"], record["place"]) for record in records}) == 60
    assert len({record["text"] for record in records}) == 60
    # What was under way at each of the four kills is all that was asked for a second time.
    assert sent <= 60 + 4 * 4 * (5 if takes_n else 1)


def test_a_failure_midway_loses_nothing_that_arrived(chat: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    asked = questions(9)

    def reply(broken_from: int) -> Callable[[dict, int, BaseHTTPRequestHandler], None]:
        def answer(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
            if number >= broken_from:
                chat.send(to, {"error": "the budget is used up"}, 402)
            else:
                chat.send(to, chat.answer(chat.choice(str(number))))

        return answer

    def pool(url: str) -> Pool:
        return Pool(Store(path, ORIGIN), EndpointEngine(url, "m", limits=Limits(concurrency=2)))

    with chat.serving(reply(11)) as server, pytest.raises(RunError, match="budget is used up"):
        list(pool(server.url).sample(asked, 3, SAMPLING))
    arrived = Counter(json.loads(line)["id"] for line in path.read_bytes().splitlines()[1:])
    assert arrived.total() == 11
    with chat.serving(reply(99)) as server:
        groups = list(pool(server.url).sample(asked, 3, SAMPLING))
        assert len(server.bodies) == 27 - 11
    whole = [example.id for example in asked if arrived[example.id] == 3]
    assert whole and [group.example.id for group in groups[: len(whole)]] == whole
    assert {group.example.id for group in groups} == {example.id for example in asked}
    assert {len(group.completions) for group in groups} == {3}


def refusing(
    chat: SimpleNamespace, refuses: Callable[[int], bool]
) -> Callable[[dict, int, BaseHTTPRequestHandler], None]:
    """Answers questions but those with such a number."""

    def reply(body: dict, number: int, to: BaseHTTPRequestHandler) -> None:
        asked = body["messages"][0]["content"]
        if refuses(int(asked.removeprefix("What is ").partition("+")[0])):
            chat.send(to, {"error": {"message": "filtered", "code": "content_filter"}}, 400)
        else:
            chat.send(to, chat.answer(chat.choice(asked)))

    return reply


def paid(path: Path, url: str, concurrency: int = 2) -> Pool:
    limits = Limits(concurrency)
    return Pool(Store(path, ORIGIN), EndpointEngine(url, "m", limits=limits))


def test_what_a_server_refuses_is_in_its_group_and_asked_for_again_another_time(
    chat: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "samples.jsonl"
    with chat.serving(refusing(chat, lambda i: i % 3 == 0)) as server:
        pool = paid(path, server.url)
        groups = {g.example.id: g for g in pool.sample(questions(9), 2, SAMPLING)}
        assert set(groups) == {f"e{i}" for i in range(9)}
        assert [bool(c.failure) for g in groups.values() for c in g.completions].count(True) == 6
        asked = len(server.bodies)
        assert list(pool.sample(questions(9), 2, SAMPLING)) == [groups[f"e{i}"] for i in range(9)]
        assert len(server.bodies) == asked
    with chat.serving(refusing(chat, lambda i: i == 3)) as server:
        again = {g.example.id: g for g in paid(path, server.url).sample(questions(9), 2, SAMPLING)}
        assert {body["messages"][0]["content"] for body in server.bodies} == {
            f"What is {i}+2*{i + 1}?" for i in (0, 3, 6)
        }
    assert [i for i in again if again[i].completions[0].failure] == ["e3"]
    assert again["e1"] == groups["e1"]


@pytest.mark.parametrize("concurrency", [1, 16])
def test_a_server_that_refuses_most_ends_the_run_which_can_be_resumed(
    chat: SimpleNamespace, tmp_path: Path, concurrency: int
) -> None:
    path = tmp_path / "samples.jsonl"
    with chat.serving(refusing(chat, lambda i: i >= 10)) as server:
        with pytest.raises(
            RunError, match=r"samples could not be had.* last: content filter: .*filtered"
        ):
            list(paid(path, server.url, concurrency).sample(questions(120), 1, SAMPLING))
        assert len(server.bodies) < 100
    with chat.serving(refusing(chat, lambda i: i % 5 == 0)) as server:
        groups = list(paid(path, server.url, concurrency).sample(questions(120), 1, SAMPLING))
    assert sum(bool(g.completions[0].failure) for g in groups) == 22


def test_a_run_of_refusals_alone_ends_and_one_among_answers_does_not(
    chat: SimpleNamespace, tmp_path: Path
) -> None:
    with chat.serving(refusing(chat, lambda i: i == 0)) as server:
        with pytest.raises(RunError, match="4 samples could not be had, 100%"):
            list(paid(tmp_path / "one", server.url).sample(questions(1), 4, SAMPLING))
        pool = paid(tmp_path / "three", server.url)
        assert len(list(pool.sample(questions(3), 2, SAMPLING))) == 3
        # An adaptive vote goes on with the unsure ones, which never get sure.
        for n in range(3, 30):
            assert len(list(pool.sample(questions(1), n, SAMPLING))) == 1


def test_a_complete_pool_needs_no_server(chat: SimpleNamespace, tmp_path: Path) -> None:
    store = Store(tmp_path / "samples.jsonl", ORIGIN)
    with chat.serving(lambda b, n, to: chat.send(to, chat.answer(chat.choice("4")))) as server:
        engine = EndpointEngine(server.url, "m", limits=Limits(concurrency=2))
        once = list(Pool(store, engine).sample(questions(3), 2, SAMPLING))
    again = Pool(store, EndpointEngine(server.url, "m")).sample(questions(3), 2, SAMPLING)
    # They came as they were answered, and are there now in their order.
    assert list(again) == sorted(once, key=lambda group: group.example.id)
