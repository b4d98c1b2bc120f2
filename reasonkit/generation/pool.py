"""An engine that never samples anything twice, whenever it is stopped.

What a `Store` holds is handed out again; what is missing is sampled and stored first. Samples of a
model in this process come in blocks, each a fixed slice of the examples with a seed of its own: a
function of the calls that were made, so that a resumed run gets the same samples and does at most
one block again. Samples that are paid for are stored one by one, the moment they arrive.

Several processes share out each block, and each of them gets all; what is paid for is asked for by
the main one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from reasonkit import processes
from reasonkit.errors import RunError
from reasonkit.generation.engine import Engine, Sampling
from reasonkit.generation.paid import Drawn, PaidEngine, Wish
from reasonkit.generation.store import Store, key_of
from reasonkit.types import Example, Group

BLOCK = 384
"""Completions a block: what a kill can cost, and at most what is sampled together."""

FAILED = 20
"""Questions with failed samples that it takes to end a call midway: a server refuses faster than it
answers, so that the first to arrive may all be refusals."""

MOST_FAILED = 0.5
"""The share of a question's samples that may fail, in the mean."""


class Pool:
    """The samples of an engine, kept in a store of its model; more are added to those there are.

    The engine gives the same completions for the same call, or is a `PaidEngine`. ``block`` is part
    of what settles the samples.
    """

    def __init__(self, store: Store, engine: Engine, block: int = BLOCK) -> None:
        self.store = store
        self.engine = engine
        self.block = block

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of the first ``n`` completions an example.

        In the order of ``examples``, but for a `PaidEngine`: there the groups that are complete
        come first, the others as they get so.

        Raises:
            ReasonkitError: of the engine, once all that it has given is stored.
            RunError: the engine left samples out, too many failed, or they can't be written.
        """
        if isinstance(self.engine, PaidEngine):
            paid = partial(self._singly, examples, n, sampling)
            return paid() if processes.size() == 1 else self._by_main(paid, sampling)
        return self._in_blocks(examples, n, sampling)

    def _in_blocks(
        self, examples: Sequence[Example], n: int, sampling: Sampling
    ) -> Iterator[Group]:
        keyed = {key_of(example, sampling): example for example in examples}
        had = {key: len(self.store.held(key)) for key in keyed}
        for key, example in keyed.items():
            if len(self.store.held(key)) < n:
                alike = [k for k in keyed if had[k] == had[key] == len(self.store.held(k))]
                part = alike[: max(1, self.block // (n - had[key]))]
                self._add_block({key: keyed[key] for key in part}, had[key], n, sampling)
            yield self._group(key, example, n)

    def _add_block(
        self, examples: Mapping[str, Example], have: int, n: int, sampling: Sampling
    ) -> None:
        """Samples the places from ``have`` to ``n`` of examples that are given by key."""
        seeded = replace(sampling, seed=_seed(examples, have, n))
        order = {key: i for i, key in enumerate(examples)}
        own = processes.share(list(examples.values()))
        drawn = list(self.engine.sample(own, n - have, seeded))
        groups = sorted(
            chain(*processes.gathered(drawn)),
            key=lambda group: order[key_of(group.example, sampling)],
        )
        block = [
            Drawn(group.example, have + i, completion)
            for group in groups
            for i, completion in enumerate(group.completions)
        ]
        if len(block) != len(examples) * (n - have):
            raise RunError(f"the engine gave {len(block)} of {len(examples) * (n - have)} samples")
        self.store.add(block, sampling)

    def _singly(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        awaited: defaultdict[str, int] = defaultdict(lambda: n)
        for drawn in self.draw((Wish(example, range(n)) for example in examples), sampling):
            key = key_of(drawn.example, sampling)
            awaited[key] -= 1
            if awaited[key] == 0:
                yield self._group(key, drawn.example, n)

    def _by_main(self, paid: Callable[[], Iterator[Group]], sampling: Sampling) -> Iterator[Group]:
        for group in processes.from_main(lambda: list(paid())):
            if not processes.is_main():
                completions = enumerate(group.completions)
                self.store.add([Drawn(group.example, i, c) for i, c in completions], sampling)
            yield group

    def draw(
        self,
        wishes: Iterable[Wish],
        sampling: Sampling,
        keep: Callable[[Drawn], None] = lambda drawn: None,
    ) -> Iterator[Drawn]:
        """Yields every sample that is wished for of a `PaidEngine`: those that are held first.

        Raises:
            ReasonkitError: see `sample`.
        """
        assert isinstance(self.engine, PaidEngine)
        missing, why = [], ""
        for wish in wishes:
            key = key_of(wish.example, sampling)
            held = self.store.held(key)
            there = [place for place in wish.places if place in held]
            given = zip(there, self.store.completions(key, there), strict=True)
            yield from (Drawn(wish.example, place, completion) for place, completion in given)
            if len(there) < len(wish.places):
                left = [place for place in wish.places if place not in held]
                missing.append(replace(wish, places=left))

        def store(drawn: Drawn) -> None:
            nonlocal why
            self.store.add([drawn], sampling)
            keep(drawn)
            if drawn.completion.failure:
                why = drawn.completion.failure
                if len(self.store.failed) >= FAILED:
                    self._require_few_failed(why)

        if missing:
            yield from self.engine.draw(missing, sampling, store)
            self._require_few_failed(why)

    def _require_few_failed(self, why: str) -> None:
        share = self.store.failed_share
        if share > MOST_FAILED:
            raise RunError(
                f"{sum(self.store.failed.values())} samples could not be had, {share:.0%} of a "
                f"question's in the mean, which is too many to go on; last: {why}"
            )

    def _group(self, key: str, example: Example, n: int) -> Group:
        return Group(example, list(self.store.completions(key, range(n))))


def _seed(keys: Iterable[str], have: int, n: int) -> int:
    """A block's own seed; 40 bits, to which an engine may add some of its own."""
    digest = hashlib.sha256(f"{have} {n} {' '.join(keys)}".encode()).digest()
    return int.from_bytes(digest[:5], "big")
