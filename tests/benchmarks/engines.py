"""Times engines beside each other on a real model, with the same prompts, lengths and weights.

Ours, vLLM, llama.cpp's server and transformers' ``generate`` draw so many completions a prompt by
turns, on ``OMP_NUM_THREADS`` threads or two, each in a process of its own that waits meanwhile; no
token ends a completion, so that all count the same. Prints tokens a second, medians with their
range, and writes them as JSON. vLLM, and llama.cpp's server of the package xllamacpp, are run by
interpreters that have them, or left out::

    python tests/benchmarks/engines.py --vllm PYTHON --llama PYTHON --output engines.json

Leaves out what a completion that ends early costs each (`rollouts`), and rewards.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from statistics import median

import torch
from rollouts import Subject, endless, matrix_rate, ours, spread, theirs

from reasonkit.config import EngineName, GrpoConfig
from reasonkit.generation.engine import Sampling, open_engine, seed_of
from reasonkit.generation.vllm import VllmEngine
from reasonkit.models import gguf_writing
from reasonkit.models.chat import encode_prompts
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load

CASES = {f"{n} x {n} to {length}": (n, n, length) for n in (8, 1) for length in (64, 256)}
"""Prompts, completions of each, and their tokens."""

THREADS = os.environ.get("OMP_NUM_THREADS", "2")

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
        groups = list(
            engine.sample_ids(
                asked, group, Sampling(longest), [seed_of(seed, i) for i in range(prompts)]
            )
        )
        seconds = time.perf_counter() - started
        return sum(c.tokens for _, completions in groups for c in completions), seconds

    return draw


LLAMA = """
import sys, time, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.port, settings.hostnames = sys.argv[1], 0, ["127.0.0.1"]
settings.n_parallel, settings.n_ctx, settings.warmup, settings.verbosity = 64, 64 * 512, False, 0
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = int(sys.argv[2])
server = xllamacpp.Server(settings)
print("at", server.listening_address, flush=True)
while True:
    time.sleep(1)
"""
"""Serves 64 sequences of at most 512 tokens together, by so many threads."""


def by_llama(model: Subject, dtype: str, python: str) -> Draw:
    """llama.cpp's server, by an interpreter that has xllamacpp; all requests at once."""
    path = Path(tempfile.mkdtemp()) / f"{dtype}.gguf"
    weights = load_model(resolve(model.name), "cpu", {"f32": "float32", "f16": "float16"}[dtype])
    gguf_writing.write(weights, model.tokenizer, path, model.name)
    command = [python, "-c", LLAMA, str(path), THREADS]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    assert server.stdout
    url = next(line.split()[1] for line in server.stdout if line.startswith("at "))
    sampling = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "ignore_eos": True}

    def ask(prompt: list[int], longest: int, seed: int) -> int:
        body = {"prompt": prompt, "n_predict": longest, "seed": seed, **sampling}
        request = urllib.request.Request(
            f"{url}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return int(json.load(answer)["tokens_predicted"])

    def draw(prompts: int, group: int, longest: int, seed: int) -> tuple[int, float]:
        started = time.perf_counter()
        asked = [list(prompt) for prompt in model.prompts[:prompts] for _ in range(group)]
        with ThreadPoolExecutor(len(asked)) as threads:
            seeds = range(seed * 1000, seed * 1000 + len(asked))
            tokens = sum(threads.map(ask, asked, [longest] * len(asked), seeds))
        return tokens, time.perf_counter() - started

    return draw


def engine_of(name: str, model: Subject, llama: str) -> Draw:
    """What draws, by the name of an engine."""
    kind, _, dtype = name.partition(" ")
    if kind == "llama.cpp":
        return by_llama(model, dtype, llama)
    if kind == "vllm":
        return by_vllm(model, {"f32": "float32", "bf16": "bfloat16"}[dtype])
    if dtype == "bf16":
        model.model.to(torch.bfloat16)
    sampler = ours if kind == "local" else theirs

    def draw(prompts: int, group: int, longest: int, seed: int) -> tuple[int, float]:
        with endless(model):
            return sampler(model, prompts, group, longest, seed)

    return draw


def serve(name: str, model: str, llama: str) -> None:
    """A child: answers each case that it reads with tokens and seconds."""
    draw = engine_of(name, subject(model), llama)
    draw(1, 1, 3, 0)
    draw(8, 8, 6, 0)
    # Whatever else writes to stdout while it loads is not an answer.
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(draw(*json.loads(line))), flush=True)


def start(name: str, python: str, args: argparse.Namespace) -> subprocess.Popen[str]:
    """A child that is ready."""
    command = [python, __file__, "--serve", name, "--model", args.model]
    command += ["--llama", args.llama] if args.llama else []
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
    wanted = dict.fromkeys(("local f32", "generate f32", "local bf16"), sys.executable)
    if args.vllm:
        wanted |= dict.fromkeys(("vllm f32", "vllm bf16"), args.vllm)
    if args.llama:
        wanted |= dict.fromkeys(("llama.cpp f32", "llama.cpp f16"), sys.executable)
    chosen = args.engine or list(wanted)
    seen: dict[str, dict[str, list[float]]] = {c: {e: [] for e in chosen} for c in cases}
    children = {name: start(name, wanted[name], args) for name in chosen}
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
    parser.add_argument("--llama", help="an interpreter that has xllamacpp")
    parser.add_argument("--engine", action="append", help="only this one; may be repeated")
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.model, given.llama)
    else:
        main(given)
