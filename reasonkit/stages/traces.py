"""A teacher's traces, sampled in fixed blocks and kept in the run, so that nothing is lost.

A block is a function of the settings alone and has its own seed. What a run has of a block that is
whole is read; any other block is sampled again from its beginning, to the same traces.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from reasonkit import console
from reasonkit.files import to_line, write_atomically
from reasonkit.generation import Engine, Sampling
from reasonkit.runs import Run
from reasonkit.tasks.recorded import NAME, from_record, to_record
from reasonkit.types import Example, Group

BLOCK = 64
"""Questions a block: what a kill costs at most."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a teacher gave.

    Attributes:
        groups: one an example, in the order of the examples.
        seconds: of the sampling, in all sessions.
    """

    groups: list[Group]
    seconds: float

    @property
    def tokens(self) -> int:
        """Sampled in all."""
        return sum(c.tokens for group in self.groups for c in group.completions)


def sample(
    run: Run, engine: Engine, examples: Sequence[Example], n: int, sampling: Sampling
) -> Sampled:
    """One group of ``n`` completions an example.

    Appends each finished block to the run's ``traces.jsonl``.
    """
    blocks = [examples[start : start + BLOCK] for start in range(0, len(examples), BLOCK)]
    kept = _whole(run, blocks)
    with console.progress(len(examples), "sampling traces") as (bar, task):
        for number, block in enumerate(blocks):
            if block[0].id not in kept:
                seeded = dataclasses.replace(sampling, seed=(sampling.seed << 12) + number)
                started = time.perf_counter()
                given = {g.example.id: g for g in engine.sample(block, n, seeded)}
                run.update(sampling_seconds=_spent(run) + time.perf_counter() - started)
                with (run.path / NAME).open("ab") as file:
                    file.write(_lines(given[example.id] for example in block))
                kept |= given
            bar.advance(task, len(block))
    return Sampled([kept[example.id] for example in examples], _spent(run))


def _spent(run: Run) -> float:
    return float(run.record.get("sampling_seconds", 0.0))


def _whole(run: Run, blocks: Sequence[Sequence[Example]]) -> dict[str, Group]:
    """What the run has of whole blocks, by id; the file is cleared of anything else."""
    path = run.path / NAME
    found: dict[str, Group] = {}
    if not path.exists():
        return found
    with path.open("rb") as file:
        for line in file:
            with suppress(ValueError, KeyError, TypeError):
                group = from_record(json.loads(line))
                found[group.example.id] = group
    whole = [block for block in blocks if all(example.id in found for example in block)]
    kept = {example.id: found[example.id] for block in whole for example in block}
    write_atomically(path, _lines(kept.values()))
    return kept


def _lines(groups: Iterable[Group]) -> bytes:
    return b"".join(to_line(to_record(group)) for group in groups)
