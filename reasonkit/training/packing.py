"""Which rows of an epoch share a pack, and which packs an update.

Rows are packed by best fit, the longest first, so that hardly any padding is left. The order is a
function of the seed and the epoch, and each epoch has the same number of updates.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

Pack = list[int]
"""Numbers of the rows that stand in one line."""

SHORTEST_PACK = 256
"""Tokens of a pack where no row is longer: on a CPU the mask of longer ones costs more than the
padding of shorter ones."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole run in the order in which it is trained.

    ``accumulation`` micro-batches make an update, ``updates`` of them an epoch; a pack has
    ``capacity`` tokens. Where there are too few packs for all processes, some are empty.
    """

    micro_batches: list[list[Pack]]
    accumulation: int
    updates: int
    capacity: int


def lay_out(
    lengths: Sequence[int],
    batch_tokens: int,
    micro_batch_tokens: int,
    epochs: int,
    seed: int,
    packed: bool = True,
    processes: int = 1,
) -> Layout:
    """Packs the rows anew for each epoch and deals the packs evenly to its updates.

    Args:
        packed: whether several rows may share a pack.
        processes: among which the micro-batches of an update are shared out evenly; the rows of an
            update are the same for any number of them.
    """
    capacity = max(SHORTEST_PACK if packed else 1, *lengths)
    taken = lengths if packed else [capacity] * len(lengths)
    packs = [pack(taken, capacity, f"{seed} {epoch}") for epoch in range(epochs)]
    # The lengths alone decide how many packs there are.
    (count,) = set(map(len, packs))
    updates = math.ceil(count / max(1, batch_tokens // capacity))
    accumulation = min(
        math.ceil(count / updates / max(1, micro_batch_tokens // capacity)), count // updates
    )
    accumulation = math.ceil(accumulation / processes) * processes
    parts = updates * accumulation
    # Of sizes that differ by one at most.
    edges = [round(i * count / parts) for i in range(parts + 1)]
    cuts = list(itertools.pairwise(edges))
    micro_batches = [of_epoch[a:b] or [[]] for of_epoch in packs for a, b in cuts]
    return Layout(micro_batches, accumulation, updates, capacity)


def pack(lengths: Sequence[int], capacity: int, seed: str) -> list[Pack]:
    """Packs of rows, each of at most ``capacity`` tokens, in an order drawn from the seed.

    Best fit decreasing: each row, the longest first, goes where the least room is left over. Rows
    of one length take each other's places by the seed.
    """
    rng = random.Random(seed)
    order = list(range(len(lengths)))
    rng.shuffle(order)
    order.sort(key=lambda row: -lengths[row])
    packs: list[Pack] = []
    open_packs: list[tuple[int, int]] = []
    for row in order:
        place = bisect.bisect_left(open_packs, (lengths[row], 0))
        if place == len(open_packs):
            room, number = capacity, len(packs)
            packs.append([])
        else:
            room, number = open_packs.pop(place)
        packs[number].append(row)
        bisect.insort(open_packs, (room - lengths[row], number))
    rng.shuffle(packs)
    return packs
