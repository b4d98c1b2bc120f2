"""The endpoint against the real ``transformers serve``, with a model of the package behind it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.endpoint import Abilities, EndpointEngine
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.pool import Pool
from reasonkit.generation.store import Store
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load
from reasonkit.types import Example

STEP_BY_STEP = Example(
    "a", "t", ({"role": "user", "content": "What is 2+2*6? Think step by step."},), ""
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    options = ["--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [program, "serve", resolve("abacus").source, *options],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(1200):
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health").raise_for_status()
                break
            except httpx2.HTTPError:
                assert server.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def test_it_takes_neither_n_nor_logprobs_and_its_only_model_is_found(url: str) -> None:
    engine = EndpointEngine(url)
    assert engine.connect() == Abilities(n=False, logprobs=False, limit="max_tokens")
    assert str(engine.connect()) == "one sample a request, no log-probabilities"
    assert engine.model == resolve("abacus").source
    assert not engine.tells


def test_it_goes_on_with_nothing_that_is_begun_and_is_refused_for_that(url: str) -> None:
    with pytest.raises(RefusedError, match=r"no assistant's message is gone on with.*\(422: "):
        EndpointEngine(url).require_continuing()


def test_its_greedy_completions_are_those_of_our_sampler(url: str) -> None:
    resolved = resolve("abacus")
    ours = LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])
    examples = [*load("arithmetic").test[:6], STEP_BY_STEP]
    for limit in (7, 90):
        sampling = Sampling(limit, temperature=0)
        expected, found = (
            {
                group.example.id: (c.text, c.tokens, c.finish_reason)
                for group in engine.sample(examples, 1, sampling)
                for c in group.completions
            }
            for engine in (ours, EndpointEngine(url))
        )
        assert found == expected
    assert found["a"] == ("<think>2+2*6=2+12=14</think><answer>14</answer>", 20, "stop")


def test_its_samples_differ_and_are_paid_for_once(url: str, tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    origin = {"endpoint": url, "model": "abacus"}
    # Of the rarest tokens, one in thousands of samples opens another turn in its thought.
    sampling = Sampling(60, top_p=0.99)
    (group,) = Pool(Store(path, origin), EndpointEngine(url)).sample([STEP_BY_STEP], 8, sampling)
    texts = [completion.text for completion in group.completions]
    assert len(set(texts)) > 2
    assert not any("<|" in text for text in texts)
    stored = path.read_bytes()
    again = Pool(Store(path, origin), EndpointEngine(url))
    assert list(again.sample([STEP_BY_STEP], 8, sampling)) == [group]
    assert path.read_bytes() == stored


def test_what_it_does_not_take_is_one_line(url: str) -> None:
    with pytest.raises(RunError, match=r"refuses the request \(422: .*top_k"):
        list(EndpointEngine(url).sample([STEP_BY_STEP], 1, Sampling(60, top_k=5)))
    with pytest.raises(RefusedError, match="requested 'gpt-4'"):
        EndpointEngine(url, "gpt-4").connect()
    with pytest.raises(RefusedError, match="the URL should end in /v1"):
        EndpointEngine(url.removesuffix("/v1"), "abacus").connect()
