"""Times engines beside each other on a real model, with the same prompts, lengths and weights.

Ours, vLLM, transformers' ``generate`` and llama.cpp's server draw so many completions a prompt by
turns, on ``OMP_NUM_THREADS`` threads or two, each in a process of its own that waits meanwhile; no
token ends a completion, so that all count the same. Prints tokens a second, medians with their
range, and writes them as JSON. vLLM is run by an interpreter that has it, and llama.cpp is the
binary given; what isn't given is left out::

    python tests/benchmarks/engines.py --vllm PYTHON --llama-server BINARY --output engines.json

Leaves out what a completion that ends early costs each (`rollouts`), and rewards.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rollouts import Subject, endless, matrix_rate, ours, spread, theirs

from reasonkit.config import EngineName, GrpoConfig
from reasonkit.generation.engine import Sampling, open_engine
from reasonkit.generation.vllm import VllmEngine
from reasonkit.models.chat import encode_prompts
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load

CASES = {"8 x 8 to 64": (8, 8, 64), "8 x 8 to 256": (8, 8, 256), "1 x 1 to 64": (1, 1, 64)}
"""Prompts, completions of each, and their tokens."""

THREADS = os.environ.get("OMP_NUM_THREADS", "2")
PORT = 18_431
WAIT = 120.0
"""Seconds for a server to come up."""

Draw = Callable[[int, int, int, int], tuple[int, float]]
"""Tokens and seconds of prompts, completions of each, their tokens, and a seed."""


def subject(name: str) -> Subject:
    """A model with questions of counting letters."""
    resolved = resolve(name)
    tokenizer, _ = load_tokenizer(resolved)
    examples = load("letter-count", columns=None, validation=10, test=10).train[:8]
    prompts, _ = encode_prompts(tokenizer, examples)
    return Subject(name, load_model(resolved, "cpu", "float32").eval(), tokenizer, prompts)


def by_vllm(model: Subject, dtype: str) -> Draw:
    """VLLM in this process."""
    config = GrpoConfig(
        model=model.name, engine=EngineName.vllm, dtype=dtype, max_completion_tokens=256
    )
    engine = open_engine(config, model.model, model.tokenizer, trains=True)
    assert isinstance(engine, VllmEngine)
    engine.ends = []

    def draw(prompts: int, group: int, longest: int, seed: int) -> tuple[int, float]:
        started = time.perf_counter()
        asked = model.prompts[:prompts]
        groups = list(engine.sample_ids(asked, group, Sampling(longest, seed=seed)))
        seconds = time.perf_counter() - started
        return sum(c.tokens for _, completions in groups for c in completions), seconds

    return draw


def by_llama(model: Subject, file: Path, binary: Path) -> Draw:
    """llama.cpp's server, with a slot a completion; prompts are read once where its cache holds."""
    command = [
        binary,
        "-m",
        file,
        "-t",
        THREADS,
        "-tb",
        THREADS,
        "-np",
        64,
        "-c",
        64 * 384,
        "--port",
        PORT,
    ]
    server = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    SERVERS.append(server)
    address = f"http://127.0.0.1:{PORT}"
    until = time.perf_counter() + WAIT
    while True:
        with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=1):
            break
        if server.poll() is not None or time.perf_counter() > until:
            raise SystemExit(f"{binary} serves nothing")
        time.sleep(0.5)

    def one(asked: tuple[list[int], int, int]) -> int:
        prompt, longest, seed = asked
        body = {"prompt": prompt, "n_predict": longest, "seed": seed, "ignore_eos": True}
        body |= {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "n_probs": 1}
        request = urllib.request.Request(
            f"{address}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return int(json.load(answer)["tokens_predicted"])

    def draw(prompts: int, group: int, longest: int, seed: int) -> tuple[int, float]:
        asked = [
            (prompt, longest, seed * 64 + i)
            for i, prompt in enumerate(p for p in model.prompts[:prompts] for _ in range(group))
        ]
        started = time.perf_counter()
        with ThreadPoolExecutor(len(asked)) as pool:
            tokens = sum(pool.map(one, asked))
        return tokens, time.perf_counter() - started

    return draw


SERVERS: list[subprocess.Popen[bytes]] = []


def engine_of(name: str, model: Subject, place: str) -> Draw:
    """What draws, by the name of an engine; ``place`` is what it needs besides."""
    kind, _, dtype = name.partition(" ")
    if kind == "vllm":
        return by_vllm(model, {"f32": "float32", "bf16": "bfloat16"}[dtype])
    if kind == "llama.cpp":
        file, binary = map(Path, place.split(":"))
        return by_llama(model, file, binary)
    if dtype == "bf16":
        model.model.to(torch.bfloat16)
    sampler = ours if kind == "local" else theirs

    def draw(prompts: int, group: int, longest: int, seed: int) -> tuple[int, float]:
        with endless(model):
            return sampler(model, prompts, group, longest, seed)

    return draw


def serve(name: str, model: str, place: str) -> None:
    """A child: answers each case that it reads with tokens and seconds."""
    draw = engine_of(name, subject(model), place)
    draw(1, 1, 3, 0)
    draw(8, 8, 6, 0)
    # Whatever else writes to stdout while it loads is not an answer.
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(draw(*json.loads(line))), flush=True)
    for server in SERVERS:
        server.terminate()


def gguf(model: Subject, file: Path, half: bool) -> None:
    """Writes a Llama's weights as llama.cpp reads them, in float32 or float16.

    Names and the order of rotated rows are those of llama.cpp's ``convert_hf_to_gguf.py``; the
    tokenizer is the least that loads, as prompts are token ids.
    """
    import gguf as format_

    config, tokens = model.model.config, len(model.tokenizer)
    writer = format_.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(model.tokenizer.convert_ids_to_tokens(range(tokens)))
    writer.add_token_types([format_.TokenType.NORMAL] * tokens)
    writer.add_token_merges(
        [" ".join(m) if isinstance(m, list) else m for m in merges(model.tokenizer)]
    )
    writer.add_eos_token_id(config.eos_token_id)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    names = format_.get_tensor_name_map(format_.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if turned := heads.get(name.split(".")[-2]):
            weight = weight.view(turned, 2, -1, weight.size(1)).transpose(1, 2).reshape_as(weight)
        narrow = torch.float16 if half and weight.ndim > 1 else torch.float32
        written = names.get_name(name, try_suffixes=(".weight",))
        assert written, name
        writer.add_tensor(written, weight.detach().to(narrow).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def merges(tokenizer: Any) -> list[Any]:
    """Of a tokenizer by byte pairs."""
    return list(json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"])


def start(name: str, model: str, place: str, python: str) -> subprocess.Popen[str]:
    """A child that is ready."""
    command = [python, __file__, "--serve", name, "--model", model, "--place", place]
    env = os.environ | {"OMP_NUM_THREADS": THREADS}
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env)
    assert child.stdout
    for line in child.stdout:
        if line.strip() == "ready":
            return child
    raise SystemExit(f"{name} ended before it was ready")


def ask(child: subprocess.Popen[str], case: tuple[int, int, int], seed: int) -> float:
    """Tokens a second of a case."""
    assert child.stdin and child.stdout
    print(json.dumps([*case, seed]), file=child.stdin, flush=True)
    tokens, seconds = json.loads(child.stdout.readline())
    return float(tokens / seconds)


def main(args: argparse.Namespace) -> None:
    """Measures by turns."""
    cases = {name: CASES[name] for name in args.case or CASES}
    rates = {str(d).split(".")[1]: matrix_rate(d) for d in (torch.float32, torch.bfloat16)}
    print("a product of 2048 x 2048 matrices, in GFLOP/s: " + json.dumps(rates), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = {"local f32": ("", sys.executable), "generate f32": ("", sys.executable)}
        wanted["local bf16"] = ("", sys.executable)
        if args.vllm:
            wanted |= {f"vllm {d}": ("", args.vllm) for d in ("f32", "bf16")}
        if args.llama_server:
            model = subject(args.model)
            for dtype in ("f32", "f16"):
                gguf(model, Path(folder) / f"{dtype}.gguf", dtype == "f16")
                place = f"{folder}/{dtype}.gguf:{args.llama_server}"
                wanted[f"llama.cpp {dtype}"] = (place, sys.executable)
            del model
        chosen = args.engine or list(wanted)
        seen: dict[str, dict[str, list[float]]] = {c: {e: [] for e in chosen} for c in cases}
        children = {name: start(name, args.model, *wanted[name]) for name in chosen}
        for seed, (case, shape), name in product(range(args.rounds), cases.items(), chosen):
            seen[case][name].append(ask(children[name], shape, seed))
            print(f"{case:14} {name:14} {seen[case][name][-1]:7.1f} tokens/s", flush=True)
        for child in children.values():
            child.communicate()
    for case, engines in seen.items():
        for name, values in engines.items():
            low, middle, high = spread(values)
            print(f"{case:14} {name:14} {middle:6.0f} ({low:.0f} to {high:.0f}) tokens/s")
    if args.output:
        record = {"gflops": rates, "tokens_a_second": seen, "rounds": args.rounds}
        record["median"] = {c: {e: median(v) for e, v in es.items()} for c, es in seen.items()}
        args.output.write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--vllm", help="an interpreter that has reasonkit and vllm")
    parser.add_argument("--llama-server", type=Path)
    parser.add_argument("--engine", action="append", help="only this one; may be repeated")
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--place", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.model, given.place)
    else:
        main(given)
