"""What ``reasonkit serve --route`` saves on greetings, look-ups and sums, and what it loses.

    python tests/benchmarks/routing.py FOLDER --model smollm2 --teach
    python tests/benchmarks/routing.py FOLDER --model FOLDER/taught

1. With ``--teach``: has a chat model learn two ways to answer, as those with a switch for thoughts
   have: sums at once, and by a thought where "Think step by step." is asked for; look-ups ("Ann:
   4127, Bob: 3305. What is Bob's extension?") and greetings at once.
2. Writes look-ups and sums as one task into the folder, in the splits that the sums have, so that
   no test question was trained or learned on.
3. Learns a policy on the validation questions by ``reasonkit vote --strategy auto``.
4. Serves the model with it, and asks every test question and greetings one after the other: of the
   model alone, of the routed one, and of what is spent on every question otherwise.

A greeting is answered right by words without a number, a look-up and a sum by their number.
Skipping was wrong where the routed answer is wrong after a first look alone, and the other one is
right.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

import httpx2

from reasonkit.answers import answers_match, extract_answer
from reasonkit.statistics import wilson
from reasonkit.tasks import load as load_task

GREETINGS = """
Hello | Hi | Hey there | Good morning | Good evening | Good night | Howdy | Greetings | Hello,
how are you? | Hi, who are you? | Nice to meet you. | Thank you! | Thanks a lot. | See you
later. | Goodbye | Have a nice day! | How is it going? | What's up? | Bye bye | Good afternoon
to you | Hi again | Welcome back | I am glad to see you. | Cheers! | Hello my friend | It's a
pleasure. | How do you do? | Many thanks for your help. | Sorry for the late reply. | Happy
birthday! | Merry Christmas! | Good luck! | Can you help me? | Are you there? | I'm back. | Talk
to you soon. | Take care! | Have a good weekend. | Congratulations! | Well done!
"""
TAUGHT = {
    "Good day": "Good day! What can I do for you?",
    "Hi!": "Hi! How can I help you today?",
    "Hello, friend.": "Hello! It is good to hear from you. How can I help?",
    "Hey": "Hey! What would you like to talk about?",
    "Thanks": "You're welcome!",
    "Thank you so much.": "You're very welcome! I am glad that I could help.",
    "Bye": "Goodbye! Take care.",
    "See you soon.": "See you soon! Have a nice day.",
    "How are you doing?": "I'm doing well, thank you! How are you?",
    "Who are you?": "I'm an assistant, here to help you.",
    "Nice talking to you.": "Nice talking to you, too!",
    "Have a great day.": "Thank you! I wish you a great day, too.",
}
"""Greetings that are learned, none of which is asked."""

NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jo", "Kim", "Lea")
PEOPLE = 3


def look_ups(seed: int) -> Iterator[dict[str, str]]:
    draw = random.Random(seed)
    while True:
        listed = {name: str(draw.randint(1000, 9999)) for name in draw.sample(NAMES, PEOPLE)}
        one = draw.choice(list(listed))
        book = ", ".join(f"{name}: {number}" for name, number in listed.items())
        yield {"question": f"{book}. What is {one}'s extension?", "answer": listed[one]}


def write_task(folder: Path, sums: str, sizes: dict[str, int]) -> dict[str, list[dict[str, str]]]:
    """The task as files; the test's questions by kind."""
    splits, lists = load_task(sums), look_ups(0)
    greetings = " ".join(GREETINGS.split()).split(" | ")
    folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, list[dict[str, str]]] = {}
    for split, size in sizes.items():
        examples = getattr(splits, split)[:size]
        kinds = {
            "look-ups": [next(lists) for _ in examples],
            "sums": [{"question": e.question, "answer": e.answer} for e in examples],
        }
        mixed = [row for pair in zip(*kinds.values(), strict=True) for row in pair]
        lines = "".join(json.dumps(row) + "\n" for row in mixed)
        (folder / f"{split}.jsonl").write_text(lines)
    return {"greetings": [{"question": q, "answer": ""} for q in greetings], **kinds}


def write_lessons(folder: Path, sums: str) -> None:
    """``traces.jsonl``, sums that are thought about, and ``chats.jsonl``, what is said at once."""

    def written(name: str, chats: Iterable[tuple[str, str, str]]) -> None:
        with (folder / name).open("w") as file:
            for asked, said, answer in chats:
                turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
                file.write(json.dumps({"messages": turns, "answer": answer}) + "\n")

    told = subprocess.run(
        [sys.executable, "-m", "reasonkit", "tasks", "traces", sums, "--count", "150"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    traces = [json.loads(line) for line in told]
    pairs = [([turn["content"] for turn in one["messages"]], one["answer"]) for one in traces]
    thought = [(f"{asked} Think step by step.", said, answer) for (asked, said), answer in pairs]
    lists = look_ups(1)
    looked = [next(lists) for _ in range(120)]
    at_once = [
        *((asked, answer, answer) for (asked, _), answer in pairs),
        *((row["question"], row["answer"], row["answer"]) for row in looked),
        *((asked, said, "") for asked, said in TAUGHT.items()),
    ]
    written("traces.jsonl", thought)
    written("chats.jsonl", at_once)


def ask(url: str, model: str, row: dict[str, str]) -> dict[str, Any]:
    begun = time.perf_counter()
    messages = [{"role": "user", "content": row["question"]}]
    body = {"model": model, "messages": messages, "seed": 0}
    answer = httpx2.post(f"{url}/chat/completions", json=body, timeout=600, trust_env=False)
    told = answer.raise_for_status().json()
    text = told["choices"][0]["message"]["content"]
    found = extract_answer(text)
    if row["answer"]:
        right = found is not None and answers_match(found, row["answer"])
    else:
        right = bool(text.strip()) and not any(sign.isdigit() for sign in text)
    return {
        **row,
        "text": text,
        "right": right,
        "tokens": told["usage"]["completion_tokens"],
        "seconds": time.perf_counter() - begun,
        **{name: told["reasonkit"][name] for name in ("samples", "way")},
    }


def shown(rows: list[dict[str, Any]]) -> dict[str, Any]:
    right = sum(row["right"] for row in rows)
    return {
        "n": len(rows),
        "accuracy": round(right / len(rows), 4),
        "interval": asdict(wilson(right, len(rows))),
        "tokens": round(fmean(row["tokens"] for row in rows), 1),
        "median_seconds": round(median(row["seconds"] for row in rows), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--sums", default="arithmetic:digits=2,operands=2,operators=+")
    parser.add_argument("--teach", action="store_true")
    parser.add_argument("--size", type=int, default=100, help="test questions of a kind")
    parser.add_argument("--always", default="step-by-step", help="what is spent on all otherwise")
    # What is left are flags of the learning.
    arguments, flags = parser.parse_known_args()
    folder, python = arguments.folder, [sys.executable, "-m", "reasonkit"]
    sizes = {"train": 20, "validation": arguments.size, "test": arguments.size}
    if arguments.teach:
        folder.mkdir(parents=True, exist_ok=True)
        write_lessons(folder, arguments.sums)
        teach = ["distill", "--model", arguments.model, "--task", arguments.sums]
        teach += ["--traces", str(folder / "traces.jsonl")]
        teach += ["--general", str(folder / "chats.jsonl"), "--run-dir", str(folder / "taught")]
        subprocess.run([*python, *teach, *flags], check=True)
        return
    kinds = write_task(folder / "mix", arguments.sums, sizes)
    learned = folder / "learned"
    if not (learned / "policy.json").exists():
        vote = ["vote", "--model", arguments.model, "--task", str(folder / "mix")]
        vote += ["--strategy", "auto", "--validation-size", str(2 * arguments.size)]
        vote += ["--run-dir", str(learned), *flags]
        subprocess.run([*python, *vote], check=True)
    policy = json.loads((learned / "policy.json").read_text())
    serve = ["serve", arguments.model, "--port", "0", "--name", "mine", "--route"]
    serve += ["--policy", str(learned)]
    server = subprocess.Popen([*python, *serve], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    found: dict[str, Any] = {"model": arguments.model, "policy": policy}
    try:
        url = server.stdout.readline().strip()
        rows: dict[str, dict[str, list[dict[str, Any]]]] = {kind: {} for kind in kinds}
        models = ("mine:plain", "mine", f"mine:{arguments.always}")
        for kind, questions in kinds.items():
            for question in questions:
                for model in models:
                    rows[kind].setdefault(model, []).append(ask(url, model, question))
    finally:
        server.terminate()
        server.wait(60)
    rows["all"] = {m: [row for kind in kinds for row in rows[kind][m]] for m in models}
    look = policy["look"]["count"]
    for kind, by_model in rows.items():
        routed, always = by_model["mine"], by_model[models[-1]]
        pairs = [(a, b) for a, b in zip(routed, always, strict=True) if a["samples"] <= look]
        found[kind] = {model: shown(made) for model, made in by_model.items()}
        found[kind]["skipped"] = len(pairs)
        found[kind]["wrongly_skipped"] = sum(b["right"] and not a["right"] for a, b in pairs)
    (folder / "asked.json").write_text(json.dumps(rows, indent=1))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
