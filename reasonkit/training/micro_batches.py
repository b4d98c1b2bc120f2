"""Which completions of a rollout share a micro-batch.

An update adds up the gradients of all the micro-batches of a rollout, so their make-up is free, and
the one is taken that computes the fewest tokens: by length, which leaves little padding, or by
group, which reads a prompt in as few micro-batches as there can be. Leaves out micro-batches of
unequal size, which TRL does not know.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

PASS_ROWS = 16
"""Completions that go through the model at once: enough to keep a CPU busy, few enough to be of
like length and to stay in a core's cache."""


class Lengths(NamedTuple):
    """Of a completion: the number of its prompt, the prompt's tokens and its own."""

    prompt: int
    prompt_tokens: int
    tokens: int


def arranged(rows: Sequence[Lengths], size: int, shared: bool) -> list[int]:
    """The numbers of all rows, in the order in which they are cut into micro-batches.

    Args:
        rows: as many as fill a number of micro-batches.
        size: rows of a micro-batch.
        shared: whether a micro-batch reads each of its prompts once, and not once a row.
    """
    longest: dict[int, int] = {}
    for row in rows:
        longest[row.prompt] = max(row.tokens, longest.get(row.prompt, 0))
    groups = Counter(row.prompt for row in rows)
    as_given = list(range(len(rows)))
    by_length = sorted(as_given, key=lambda i: -_read(rows[i], shared))
    by_group = sorted(by_length, key=lambda i: (-longest[rows[i].prompt], rows[i].prompt))
    return min(
        _dealt(by_length, math.gcd(size, PASS_ROWS), size),
        _dealt(by_group, math.gcd(size, *groups.values()), size),
        by_length,
        by_group,
        as_given,
        key=lambda order: computed([rows[i] for i in order], size, shared),
    )


def _dealt(order: list[int], piece: int, size: int) -> list[int]:
    """The order with its pieces dealt out, there and back.

    Where micro-batches have several, none needs much more memory for having all the longest.
    """
    dealt: list[list[int]] = [[] for _ in range(len(order) // size)]
    for number, first in enumerate(range(0, len(order), piece)):
        turn, place = divmod(number, len(dealt))
        dealt[-1 - place if turn % 2 else place] += order[first : first + piece]
    return [i for micro_batch in dealt for i in micro_batch]


def computed(rows: Sequence[Lengths], size: int, shared: bool) -> int:
    """Tokens that go through the model, padding included; arguments as of `arranged`."""
    tokens = 0
    for first in range(0, len(rows), size):
        batch = rows[first : first + size]
        if shared:
            prompts = {row.prompt: row.prompt_tokens for row in batch}
            # Its last token goes with each completion, whose own last one predicts nothing.
            tokens += len(prompts) * (max(prompts.values()) - 1)
        lengths = sorted((_read(row, shared) for row in batch), reverse=True)
        for begin in range(0, len(batch), PASS_ROWS):
            tokens += lengths[begin] * len(lengths[begin : begin + PASS_ROWS])
    return tokens


def _read(row: Lengths, shared: bool) -> int:
    return row.tokens if shared else row.prompt_tokens + row.tokens
