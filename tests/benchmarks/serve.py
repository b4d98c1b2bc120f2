"""Load on ``reasonkit serve``: throughput of 1 client and of 32, then many for minutes.

    python tests/benchmarks/serve.py --minutes 5
    python tests/benchmarks/serve.py --model smollm2 --minutes 1 --clients 8

Tells errors, latency, throughput, and how the server's memory grew. On a machine that does other
things too, throughput by processor time of the server is the steadier figure. Clients ask for plain
answers, streamed ones and votes; some leave in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2
import psutil

from reasonkit.tasks import load as load_task

QUESTIONS = [example.question for example in load_task("arithmetic").test]


class Load:
    """What clients ask for, and what came of it."""

    def __init__(self, url: str, model: str, mixed: bool) -> None:
        self.url, self.model, self.mixed = url, model, mixed
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.tokens = 0

    async def client(self, http: httpx2.AsyncClient, until: float, number: int) -> None:
        draw = random.Random(number)
        while time.monotonic() < until:
            kind = draw.choice(["plain", "plain", "stream", "vote", "leave"])
            kind = kind if self.mixed else "plain"
            started = time.monotonic()
            try:
                outcome = await self.ask(http, kind, draw)
            except Exception as error:
                outcome = f"{kind}: {type(error).__name__}"
            self.outcomes[outcome] += 1
            if outcome == "ok":
                self.seconds.append(time.monotonic() - started)

    async def ask(self, http: httpx2.AsyncClient, kind: str, draw: random.Random) -> str:
        body: dict[str, Any] = {
            "model": f"{self.model}:majority@8" if kind == "vote" else self.model,
            "messages": [{"role": "user", "content": draw.choice(QUESTIONS)}],
            "stream": kind in ("stream", "leave"),
            "stream_options": {"include_usage": True},
        }
        if kind in ("stream", "leave"):
            async with http.stream("POST", f"{self.url}/chat/completions", json=body) as answer:
                last = ""
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        last = line
                    if kind == "leave" and draw.random() < 0.3:
                        return "left"
                used = json.loads(last.removeprefix("data: "))["usage"]
        else:
            answer = await http.post(f"{self.url}/chat/completions", json=body)
            if answer.status_code != 200:
                return f"{kind}: {answer.status_code}"
            used = answer.json()["usage"]
        self.tokens += used["completion_tokens"]
        return "ok"


async def run(load: Load, clients: int, seconds: float, server: psutil.Process) -> dict[str, Any]:
    """What so many clients get in so long."""
    before, started = sum(server.cpu_times()[:2]), time.monotonic()
    memory: list[int] = []

    async def watch() -> None:
        while True:
            memory.append(server.memory_info().rss)
            await asyncio.sleep(5)

    watching = asyncio.create_task(watch())
    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(timeout=600, limits=limits, trust_env=False) as http:
        until = started + seconds
        await asyncio.gather(*(load.client(http, until, number) for number in range(clients)))
    watching.cancel()
    wall, used = time.monotonic() - started, sum(server.cpu_times()[:2]) - before
    done = load.outcomes["ok"]
    cuts = quantiles(load.seconds, n=20) if len(load.seconds) > 1 else [0.0] * 19
    settled = memory[len(memory) // 5 :] or memory
    return {
        "clients": clients,
        "seconds": round(wall, 1),
        "answers": done,
        "outcomes": dict(load.outcomes),
        "answers_a_second": round(done / wall, 2),
        "answers_a_cpu_second": round(done / used, 2),
        "tokens_a_second": round(load.tokens / wall),
        "tokens_a_cpu_second": round(load.tokens / used),
        "p50_seconds": round(cuts[9], 3),
        "p95_seconds": round(cuts[18], 3),
        "mib_begin_end_most": [round(m / 2**20) for m in (settled[0], memory[-1], max(memory))],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="abacus-reasoner")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--short", type=float, default=20.0, help="seconds with 1 and 32 clients")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    argv = ["-m", "reasonkit", "serve", arguments.model, "--port", "0"]
    server = subprocess.Popen([sys.executable, *argv], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url, process = server.stdout.readline().strip(), psutil.Process(server.pid)
    model = Path(arguments.model).name
    found: dict[str, Any] = {"model": arguments.model}
    try:
        asyncio.run(run(Load(url, model, True), 8, 3, process))
        for clients in (1, 32):
            load = Load(url, model, False)
            found[f"of_{clients}"] = asyncio.run(run(load, clients, arguments.short, process))
        for per in ("second", "cpu_second"):
            one, many = (found[f"of_{n}"][f"tokens_a_{per}"] for n in (1, 32))
            found[f"of_32_by_of_1_a_{per}"] = round(many / one, 2)
        load = Load(url, model, True)
        seconds = 60 * arguments.minutes
        found["mixed"] = asyncio.run(run(load, arguments.clients, seconds, process))
    finally:
        print(json.dumps(found, indent=1), flush=True)
        server.terminate()
        print("exit code", server.wait(60))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
