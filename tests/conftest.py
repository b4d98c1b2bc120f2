"""Settings of all tests, and the models, data and servers that several of them need."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest

# Workers share the cores: torch's threads, as many in each as there are cores, would only wait for
# each other. Read once, as torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A machine that is busy is no failure: no test asserts a time. CI takes the thorough profile.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None)
hypothesis.settings.load_profile("quick")


pytest_plugins = ["commands"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("deepspeed") and not find_spec("deepspeed"):
        pytest.skip("needs the extra deepspeed")


def pytest_collection_finish() -> None:
    # Trainers collect garbage at every turn, and needn't go through all modules each time.
    gc.freeze()


@pytest.fixture(scope="session")
def random_qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random-weights Qwen3 and a byte-level BPE tokenizer without chat template."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        ["What is the number of apples that she has? #### 12"] * 3, vocab_size=300
    )
    bpe.add_special_tokens(["<|endoftext|>", "<|pad|>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="<|endoftext|>", pad_token="<|pad|>"
    )
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    folder = tmp_path_factory.mktemp("random-qwen3")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def gsm8k_like(tmp_path: Path) -> Path:
    """A file in GSM8K's format."""
    path = tmp_path / "problems.jsonl"
    with path.open("w") as file:
        for i in range(120):
            answer = f"She has {i}+1=<<{i}+1={i + 1}>>{i + 1}.\n#### {i + 1}"
            question = f"Ann has {i} apples and finds one. How many apples has she?"
            file.write(json.dumps({"question": question, "answer": answer}) + "\n")
    return path


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of base, vote and grpo on 40 questions, right in 10, 20 and 30; only read."""
    from reasonkit import runs
    from reasonkit.comparison import findings
    from reasonkit.comparison.parts import PARTS
    from reasonkit.comparison.rows import Finished, Models, rows
    from reasonkit.evaluation import Evaluation, Verdict

    root = tmp_path_factory.mktemp("comparisons") / "compared"
    run = runs.create("compare", "abacus", "arithmetic", {"seed": 0}, root, ["reasonkit"])
    models = Models("abacus", "", "", {"abacus": 1_000_000})

    def evaluation(right: int, tokens: int) -> Evaluation:
        text = "<think>1+1=2 <b>&</think><answer>2</answer>"
        verdicts = [
            Verdict(f"q{i}", f"What is {i}?", "2", "2", i < right, tokens, "stop", True, True, text)
            for i in range(40)
        ]
        return Evaluation(tuple(verdicts), seconds=2.0)

    def finished(part: str, evaluations: dict, **summary: object) -> Finished:
        made = runs.create(
            PARTS[part].command, "abacus", "arithmetic", {}, root / "parts" / part, ["reasonkit"]
        )
        for name, (right, tokens) in evaluations.items():
            evaluation(right, tokens).save(made.evaluations / f"{name}.json")
        made.update(seconds={"training": 12.0}, status="finished")
        made.write_json(
            "summary.json", {"command": PARTS[part].command, "seconds": 20.0, "n": 8, **summary}
        )
        return Finished(PARTS[part], made, peak_memory_bytes=2**30, needs={})

    votes = [{"name": "majority", "n": 1, "tokens": 30.0}]
    done = [
        finished("base", {"after": (10, 10), "requests": (20, 30)}, strategies=[]),
        finished("vote", {"after": (20, 240), "adaptive": (19, 120)}, strategies=votes),
        finished(
            "grpo",
            {"after": (30, 50), "requests": (20, 60)},
            tokens_sampled=1000,
            tokens_trained=2000,
        ),
    ]
    found = rows(done, models, root)
    points = [{"flops": x * 1e9, "validation": x / 10, "validation_low": 0.0, "validation_high": 1}
              for x in range(4)]  # fmt: skip
    summary = {
        "command": "compare", "model": "abacus", "task": "arithmetic", "seeds": 1, "budget": None,
        "bought": {}, "rows": found, "curves": {"grpo": points},
        "findings": findings.sentences(found),
        "rules": findings.rules(found, root),
        "parts": [{"name": f.part.name, "command": f.part.command, "what": f.part.what,
                   "seconds": 20.0, "memory_bytes": 2**30} for f in done],
        "seconds": 60.0,
    }  # fmt: skip
    run.write_json("summary.json", summary)
    run.mark("finished")
    return root


Reply = Callable[[dict[str, Any], int, BaseHTTPRequestHandler], None]
"""Answers a posted body; told how many were posted before it. Probes, which are told from other
requests by their token limit, are counted apart."""


def choice(text: str, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"index": 0, "message": message, "finish_reason": "stop", **fields}


def answer(*choices: dict[str, Any], tokens: int | None = 7) -> dict[str, Any]:
    usage = None if tokens is None else {"completion_tokens": tokens, "prompt_tokens": 3}
    return {"object": "chat.completion", "choices": list(choices), "usage": usage}


def send(
    to: BaseHTTPRequestHandler, value: object, status: int = 200, **headers: str | int
) -> None:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    to.send_response(status)
    for name, said in {"Content-Length": len(content), **headers}.items():
        to.send_header(name.replace("_", "-"), str(said))
    to.end_headers()
    to.wfile.write(content)


@dataclass
class ChatServer:
    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def serving(
    reply: Reply,
    probe: Reply = lambda body, number, to: send(to, answer(choice("14"))),
    models: object = None,
) -> Iterator[ChatServer]:
    """A server that is up as long as the context is."""
    from reasonkit.generation.probing import MORE_PROBE_TOKENS, PROBE_TOKENS

    brief = (PROBE_TOKENS, MORE_PROBE_TOKENS)
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            send(self, models or {"data": [{"id": "m"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            limit = body.get("max_tokens", body.get("max_completion_tokens"))
            with counting:
                seen = there.probes if limit in brief else there.bodies
                seen.append(body)
                there.headers.append({name.title(): said for name, said in self.headers.items()})
                number = len(seen) - 1
            (probe if limit in brief else reply)(body, number, self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = ChatServer(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of servers asks again without waiting."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.003)
    monkeypatch.setattr("reasonkit.servers.client.PAUSE", 0.001)


@pytest.fixture
def chat(at_once: None) -> SimpleNamespace:
    return SimpleNamespace(serving=serving, choice=choice, answer=answer, send=send)
