"""Memory and time of ``reasonkit distill --only traces`` over a long task, behind a server.

    python tests/benchmarks/many_traces.py FOLDER --questions 200000

The server answers at once, from a process of its own: it stands for the number of traces, not for
their worth. Prints when the first trace is on disk, and the memory of the run as traces come in.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

WORK = "First the one number, then the other; together they are what is asked for. "


FLAGS = ["--model=smollm2", "--max-completion-tokens=1024", "--concurrency=64", "--test-size=50"]


def write_task(path: Path, questions: int) -> None:
    """Sums told in words, no two of them alike."""
    draw = random.Random(0)
    with path.open("w") as file:
        for number in range(questions):
            a, b = draw.randint(1, 10**6), draw.randint(1, 10**6)
            question = f"Shelf {number} holds {a} books, and {b} more come in. What is {a}+{b}?"
            file.write(json.dumps({"question": question, "answer": str(a + b)}) + "\n")


def reply(body: bytes, length: int) -> bytes:
    """A worked answer of so many characters to a request."""
    if not body:
        told: object = {"data": [{"id": "teacher"}]}
    else:
        asked = json.loads(body)
        words = asked["messages"][-1]["content"]
        total = sum(map(int, re.findall(r"\d+", words.rpartition("What is ")[2])))
        work = (WORK * (length // len(WORK) + 1))[:length]
        text = f"<think>{words}: {work}</think>\n<answer>{total}</answer>"
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        used = {"prompt_tokens": 30, "completion_tokens": length // 4, "total_tokens": length}
        told = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "teacher",
            "choices": [choice | {"index": i} for i in range(asked.get("n") or 1)],
            "usage": used,
        }
    content = json.dumps(told).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


async def serve(length: int) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, known, rest = head.partition(b"content-length: ")
                size = int(rest.split(b"\r\n")[0]) if known else 0
                writer.write(reply(await reader.readexactly(size), length))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=200_000)
    parser.add_argument("--length", type=int, default=2000, help="characters of a trace")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    # What is left are flags of the run.
    arguments, flags = parser.parse_known_args()
    if arguments.serve:
        asyncio.run(serve(arguments.length))
        return
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    task, run = folder / "task.jsonl", folder / "run"
    write_task(task, arguments.questions)
    again = [sys.executable, __file__, str(folder), "--serve", "--length", str(arguments.length)]
    server = subprocess.Popen(again, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    argv = ["distill", "--task", str(task), "--endpoint", url, "--only", "traces"]
    argv += ["--questions", str(arguments.questions), "--run-dir", str(run), *FLAGS, *flags]
    begun = time.monotonic()
    with (folder / "log").open("w") as log:
        going = subprocess.Popen([sys.executable, "-m", "reasonkit", *argv], stdout=log, stderr=log)
    process, samples, first, looked = psutil.Process(going.pid), run / "samples.jsonl", 0.0, 0.0
    while going.poll() is None:
        there = samples.stat().st_size if samples.exists() else 0
        if there > 1000 and not first:
            first = time.monotonic() - begun
            print(f"first trace after {first:.1f} s", flush=True)
        if time.monotonic() - looked > arguments.every:
            looked = time.monotonic()
            mib = process.memory_info().rss / 2**20
            print(
                f"{looked - begun:7.1f} s {there / 2**20:8.1f} MiB kept {mib:8.0f} MiB", flush=True
            )
        time.sleep(0.2)
    print(f"exit code {going.returncode} after {time.monotonic() - begun:.0f} s")
    server.terminate()


if __name__ == "__main__":
    main()
