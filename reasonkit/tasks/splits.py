"""Which split a question belongs to: a stable hash of its text decides, on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal, TypeVar

from reasonkit.errors import DataError
from reasonkit.types import Part

T = TypeVar("T")
Split = Literal["corpus", "train", "validation", "test"]

SHARES: dict[Split, range] = {
    "corpus": range(50),
    "train": range(50, 80),
    "validation": range(80, 88),
    "test": range(88, 100),
}
"""Of the generated questions."""

PATIENCE = 20_000
"""Draws in a row that find nothing new before a split counts as exhausted."""


def normal(question: str, between: str = "") -> str:
    """A question without regard to case and spacing; what stands between its words."""
    return between.join(question.lower().split())


def bucket(key: str) -> int:
    """A stable number from 0 to 99 for a normalised question."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 100


def split_of(question: str) -> Split:
    """The split of a generated question."""
    place = bucket(normal(question))
    return next(split for split, share in SHARES.items() if place in share)


def part_of(id: str) -> Part:
    """Which of the two halves of train an example belongs to."""
    return Part.rl if bucket(f"half {id}") % 2 else Part.sft


def distinct(
    task: str,
    split: str,
    count: int,
    draw: Callable[[], tuple[str, T] | None],
    at_most: bool = False,
) -> dict[str, T]:
    """The first ``count`` questions of a split, with what is drawn for each.

    Args:
        draw: gives a question and the rest; None for one that isn't wanted.
        at_most: take as many as there are.

    Raises:
        DataError: the split has not so many distinct questions.
    """
    found: dict[str, T] = {}
    since = 0
    while len(found) < count:
        drawn = draw()
        since += 1
        if drawn and drawn[0] not in found and split_of(drawn[0]) == split:
            found[drawn[0]], since = drawn[1], 0
        elif since >= PATIENCE:
            if at_most and found:
                break
            wider = ", or widen its settings" if at_most else ""
            raise DataError(
                f"{task}: its {split} split ends near {len(found)} questions: ask for fewer{wider}"
            )
    return found
