"""What a run does at once is counted by what it learns from, where that is known."""

from __future__ import annotations

import sys

import pytest

from reasonkit.config import DistillConfig
from reasonkit.plan.room import Room
from reasonkit.training import memory
from reasonkit.training.shapes import ModelShape

SHAPE = ModelShape(1000, 100, 2, 8, 8, 4, 50, kept=100)
ROOM = Room(SHAPE, process=0, there=10**9, prompt=20, shares=True)
CONFIG = DistillConfig(
    max_completion_tokens=64, batch_tokens=4096, micro_batch_tokens=1024, validation_size=10
)


@pytest.mark.parametrize(
    ("rows", "tokens", "several"),
    [(4, 256, False), (16, 1024, False), (32, 1024, True), (2000, 1024, True)],
)
def test_few_traces_fill_no_micro_batch(rows: int, tokens: int, several: bool) -> None:
    seen = ROOM.load(CONFIG, [64] * rows)
    assert (seen.tokens, seen.scored, seen.several) == (tokens, tokens, several)


def test_traces_that_nobody_has_seen_fill_it() -> None:
    unseen = ROOM.load(CONFIG)
    assert (unseen.tokens, unseen.several, unseen.rows) == (1024, True, 10)


def test_a_library_that_is_loaded_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "held", lambda device: 10**9)
    monkeypatch.setitem(sys.modules, "trl", memory)
    with_it = memory.process("cpu")
    monkeypatch.delitem(sys.modules, "trl")
    assert memory.process("cpu") - with_it == memory.TRL
    assert memory.process("cuda") == 10**9
