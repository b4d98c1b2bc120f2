"""A teacher's samples, kept in the run as they come, so that nothing is drawn or paid for twice.

``samples.jsonl`` is the `Store` of a run, ``questions.jsonl`` says what was asked; the two together
are the traces of a run that another one can filter and learn from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from reasonkit import console
from reasonkit.errors import DataError, ReasonkitError
from reasonkit.files import write_atomically
from reasonkit.generation import store
from reasonkit.generation.engine import Engine, Sampling
from reasonkit.generation.pool import Pool
from reasonkit.generation.store import Store, key_of
from reasonkit.runs import Run
from reasonkit.types import Example, Group, Trace

SAMPLES, QUESTIONS, TRACES = "samples.jsonl", "questions.jsonl", "traces.jsonl"


def pool(run: Run, engine: Engine, origin: Mapping[str, object]) -> Pool:
    """The engine, with what it has given this run already.

    Args:
        origin: what settles its samples, beside prompts and sampling.
    """
    return Pool(Store(run.path / SAMPLES, origin, run.leads), engine)


def sample(
    run: Run,
    engine: Pool,
    examples: Sequence[Example],
    asked: Sequence[Example],
    n: int,
    sampling: Sampling,
) -> tuple[list[Group], float]:
    """A group of ``n`` completions an example, those that the run has already among them.

    Args:
        asked: the examples as the engine is asked, in the same order.

    Returns:
        The groups in the order of the examples, without the samples that failed and without the
        examples that have no other; and the seconds of the sampling, in all sessions. Completions
        stay on disk until they are looked at.

    Raises:
        ReasonkitError: the engine gives no more; what it gave is kept.
    """
    keys = [key_of(question, sampling) for question in asked]
    lines = (
        {
            "key": key,
            "n": n,
            "id": example.id,
            "task": example.task,
            "messages": list(example.messages),
            "answer": example.answer,
        }
        for example, key in zip(examples, keys, strict=True)
    )
    if run.leads:
        write_lines(run.path / QUESTIONS, lines)
    answered, started = 0, time.perf_counter()
    try:
        sampled = engine.sample(asked, n, sampling)
        for _ in console.counted(sampled, len(examples), "sampling traces"):
            answered += 1
    except ReasonkitError:
        console.note(f"{answered} of {len(examples)} questions are answered in full, and kept")
        raise
    finally:
        spent = float(run.record.get("sampling_seconds", 0.0)) + time.perf_counter() - started
        run.update(sampling_seconds=spent)
    given = (engine.store.given(key, n) for key in keys)
    return [Group(e, kept) for e, kept in zip(examples, given, strict=True) if kept], spent


def given_ones(groups: Sequence[Group]) -> list[Group]:
    """The groups without the samples that failed; those that hold no other are left out."""
    made = []
    for group in groups:
        there = [c for c in group.completions if c.finish_reason != "failed"]
        if there:
            made.append(Group(group.example, there))
    return made


def of_run(path: Path) -> list[Group]:
    """What a run has sampled, as far as it got; the run is left as it is, and may be under way.

    Raises:
        DataError: it has sampled nothing, or what it holds is broken.
    """
    samples, asked = path / SAMPLES, path / QUESTIONS
    if not (samples.exists() and asked.exists()):
        raise DataError(f"{path}: this run has sampled no traces")
    stored = store.read(samples)
    groups = []
    for line in asked.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        held = stored.held.get(record["key"], {})
        example = Example(record["id"], record["task"], tuple(record["messages"]), record["answer"])
        starts = [held[number].start for number in range(record["n"]) if number in held]
        if starts:
            groups.append(Group(example, store.Kept(partial(store.line_at, samples), starts)))
    if not groups:
        raise DataError(f"{path}: this run has sampled no traces")
    return groups


def write_kept(run: Run, traces: Sequence[Trace]) -> None:
    """Writes the traces that are learned as chats, one a line, for people and other programs."""
    lines = (
        {
            "messages": [
                *trace.example.messages,
                {"role": "assistant", "content": trace.completion.text},
            ],
            "answer": trace.example.answer,
        }
        for trace in traces
    )
    if run.leads:
        write_lines(run.path / TRACES, lines)


def write_lines(path: Path, lines: Iterable[Mapping[str, object]]) -> None:
    """Writes JSON objects, one a line, whole or not at all."""
    texts = (json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_atomically(path, map(str.encode, texts))
