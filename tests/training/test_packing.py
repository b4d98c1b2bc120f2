"""Packs hold every row once an epoch, in an order that seed and epoch alone decide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reasonkit.training.packing import SHORTEST_PACK, Layout, lay_out, pack

lengths = st.lists(st.integers(1, 300), min_size=1, max_size=60)


@given(lengths, st.integers(1, 5000), st.integers(1, 2000), st.integers(1, 4))
def test_every_row_is_trained_once_an_epoch(
    lengths: list[int], batch: int, micro: int, epochs: int
) -> None:
    layout = lay_out(lengths, batch, micro, epochs, seed=0)
    per_epoch = layout.updates * layout.accumulation
    assert len(layout.micro_batches) == per_epoch * epochs
    for epoch in range(epochs):
        part = layout.micro_batches[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert all(part)
        rows = [row for micro_batch in part for packed in micro_batch for row in packed]
        assert sorted(rows) == list(range(len(lengths)))
    for micro_batch in layout.micro_batches:
        assert all(sum(lengths[row] for row in packed) <= layout.capacity for packed in micro_batch)


@given(lengths, st.integers(1, 5000), st.integers(1, 2000), st.integers(2, 5))
def test_an_update_has_the_same_rows_for_any_number_of_processes(
    lengths: list[int], batch: int, micro: int, processes: int
) -> None:
    one = lay_out(lengths, batch, micro, 2, seed=0)
    shared = lay_out(lengths, batch, micro, 2, seed=0, processes=processes)
    assert shared.updates == one.updates
    assert shared.accumulation % processes == 0
    assert shared.accumulation < one.accumulation + processes

    def rows(layout: Layout) -> list[list[int]]:
        """Of each update."""
        cuts = range(0, len(layout.micro_batches), layout.accumulation)
        updates = [layout.micro_batches[i : i + layout.accumulation] for i in cuts]
        return [[row for micro in update for line in micro for row in line] for update in updates]

    assert rows(shared) == rows(one)


@given(lengths)
def test_no_two_packs_would_fit_into_one(lengths: list[int]) -> None:
    capacity = max(SHORTEST_PACK, *lengths)
    sizes = sorted(sum(lengths[row] for row in packed) for packed in pack(lengths, capacity, "0"))
    assert len(sizes) < 2 or sizes[0] + sizes[1] > capacity


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    lengths = [10 + i % 7 for i in range(200)]
    one, same, other = (lay_out(lengths, 1024, 512, 2, seed) for seed in (0, 0, 1))
    assert one == same != other
    half = len(one.micro_batches) // 2
    assert one.micro_batches[:half] != one.micro_batches[half:]
    longer = lay_out(lengths, 1024, 512, 3, 0)
    assert longer.micro_batches[: 2 * half] == one.micro_batches


def test_updates_are_of_even_size() -> None:
    layout = lay_out([100] * 101, batch_tokens=1024, micro_batch_tokens=512, epochs=1, seed=0)
    sizes = {len(micro_batch) for micro_batch in layout.micro_batches}
    assert max(sizes) - min(sizes) <= 1
    assert layout.updates == 13
    assert layout.accumulation == 2


def test_without_packing_each_row_has_a_line_of_its_own() -> None:
    layout = lay_out([10, 30, 20, 10], 64, 64, epochs=1, seed=0, packed=False)
    lines = [line for micro_batch in layout.micro_batches for line in micro_batch]
    assert sorted(lines) == [[0], [1], [2], [3]]
    assert layout.updates == 2
