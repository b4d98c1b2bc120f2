"""The keys and values of the rows that are being decoded, written in place.

All rows share one clock: what they decode next goes into one column, so that a step's write is one
copy and rows that began at different times are left-padded beside each other. Rows that end make
room for others; memory grows with the longest row that is still running.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from reasonkit.models.pages import Pages

GROWTH = 64
"""Columns that are added at least when the clock has run out of them."""


def windows(config: PretrainedConfig) -> list[int | None] | None:
    """How many tokens each layer looks back, None for all.

    None in place of the list if a layer keeps anything else than the keys and values of tokens: a
    state space model, say.
    """
    layers = DynamicCache(config=config).layers
    if not layers or {type(layer) for layer in layers} - {DynamicLayer, DynamicSlidingWindowLayer}:
        return None
    return [getattr(layer, "sliding_window", None) for layer in layers]


class Slots:
    """A slot for each row; a cache of the model, ``prefilled``, tells the shapes.

    Attributes:
        cache: for a transformers model's forward.
        live: rows in use; slots 0 to ``live`` - 1.
        begin: the first column that a live row still reads.
        end: the column that the next step writes.
        start: each live row's first column, of shape (live,).
    """

    def __init__(self, rows: int, prefilled: Cache, longest: int) -> None:
        self.rows, self.longest = rows, longest
        # In a circle of references they would stay in memory while the next rows have theirs.
        own = weakref.proxy(self)
        self.layers = [Layer(own, like.keys, like.values) for like in prefilled.layers]
        self.cache = Cache(layers=list(self.layers))
        self.live = self.begin = self.end = self.capacity = 0
        device = prefilled.layers[0].keys.device
        self.start = torch.zeros(0, dtype=torch.long, device=device)
        self._latest = 0

    def admit(self, prefilled: Cache, lengths: Tensor, prompt: Tensor) -> None:
        """Gives slots to new rows, behind those in use.

        Args:
            prefilled: of left-padded prompts; each layer's keys of shape (prompts, heads, width of
                the padding, head width).
            lengths: of the prompts, of shape (prompts,).
            prompt: which prompt each new row has, of shape (new rows,).
        """
        width = prefilled.layers[0].keys.size(2)
        if not self.live:
            self.begin = self.end = 0
        if self.end < width or self.end + 1 > self.capacity:
            self._move_columns(max(width, self.end - self.begin))
        rows = slice(self.live, self.live + len(prompt))
        columns = slice(self.end - width, self.end)
        for layer, given in zip(self.layers, prefilled.layers, strict=True):
            for kept, fresh in ((layer.keys, given.keys), (layer.values, given.values)):
                # What is masked is still multiplied, by zero: it must be finite.
                kept[rows, :, : columns.start] = 0
                kept[rows, :, columns] = fresh[prompt]
        self.live = rows.stop
        self.start = torch.cat([self.start, self.end - lengths[prompt]])
        self._look()

    def keep(self, kept: Tensor) -> None:
        """Drops all rows but those in slots ``kept``, which take the first slots in that order."""
        moved = (kept != torch.arange(len(kept), device=kept.device)).nonzero()[:, 0]
        columns = slice(self.begin, self.end)
        if len(moved):
            origin = kept[moved]
            for layer in self.layers:
                layer.keys[moved, :, columns] = layer.keys[origin, :, columns]
                layer.values[moved, :, columns] = layer.values[origin, :, columns]
        self.start = self.start[kept]
        self.live = len(kept)
        if self.live:
            self._look()

    def room(self) -> None:
        """Makes sure that there is a column to write."""
        if self.end == self.capacity:
            self._move_columns(self.end - self.begin)

    def positions(self) -> Tensor:
        """Of the tokens that the next step reads, of shape (live,)."""
        return self.end - self.start

    def mask(self, begin: int) -> Tensor | None:
        """Which columns from ``begin`` on each row reads next, (live, columns); None if all."""
        if begin >= self._latest:
            return None
        columns = torch.arange(begin, self.end + 1, device=self.start.device)
        return columns >= self.start[:, None]

    def bias(self, begin: int, dtype: torch.dtype) -> Tensor | None:
        """The mask as what is added to attention scores, of shape (live, 1, 1, columns)."""
        mask = self.mask(begin)
        if mask is None:
            return None
        zeros = torch.zeros((), dtype=dtype, device=mask.device)
        return torch.where(mask, zeros, float("-inf"))[:, None, None]

    def _look(self) -> None:
        first, last = self.start.aminmax()
        self.begin, self._latest = int(first), int(last)

    def _move_columns(self, end: int) -> None:
        """Moves what live rows read to new memory so that the clock stands at ``end``."""
        held = self.end - self.begin
        self.capacity = min(end + max(GROWTH, end // 2), self.longest + GROWTH)
        for layer in self.layers:
            layer.move_columns(held, end)
        shift = end - self.end
        self.start += shift
        self._latest += shift
        self.begin, self.end = self.begin + shift, end


class Layer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, of shape (slots, heads, columns, head width)."""

    def __init__(self, slots: Slots, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.slots = slots
        self.keys, self.values = (t.new_empty((0, t.size(1), 0, t.size(3))) for t in (keys, values))
        self.is_initialized = True

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Writes a step's keys and values, and returns those of all columns that are read."""
        return self.write(keys[:, :, 0], values[:, :, 0], self.slots.begin)

    def write(self, keys: Tensor, values: Tensor, begin: int) -> tuple[Tensor, Tensor]:
        """The same for tensors of shape (live, heads, head width), from column ``begin`` on."""
        live, end = self.slots.live, self.slots.end
        kept_keys, kept_values = self.keys[:live], self.values[:live]
        kept_keys[:, :, end] = keys
        kept_values[:, :, end] = values
        return kept_keys[:, :, begin : end + 1], kept_values[:, :, begin : end + 1]

    def get_seq_length(self) -> int:
        """Columns that were written before this step."""
        return self.slots.end - self.slots.begin

    def move_columns(self, held: int, end: int) -> None:
        """Copies the ``held`` columns before the clock to new memory, before column ``end``."""
        slots = self.slots
        old = slice(slots.end - held, slots.end)
        for name in ("keys", "values"):
            kept = getattr(self, name)
            shape = (slots.rows, kept.size(1), slots.capacity, kept.size(3))
            fresh = Pages().empty(shape, kept)
            fresh[: slots.live, :, : end - held] = 0
            fresh[: slots.live, :, end - held : end] = kept[: slots.live, :, old]
            setattr(self, name, fresh)


class Wave:
    """Rows of one length over transformers' own cache, where that is more than keys and values.

    What a state space model keeps has no columns that could be masked, so there is no padding: rows
    begin together, after prompts of one length, and others wait until the last has ended.
    """

    def __init__(self, config: PretrainedConfig) -> None:
        self.cache: Cache = DynamicCache(config=config)
        self.live = self.end = 0

    def read(self, ids: Tensor) -> dict[str, Any]:
        """What the model is called with to read ids, of shape (rows, new columns)."""
        columns = torch.arange(self.end, self.end + ids.size(1), device=ids.device)
        self.end = self.end + ids.size(1)
        positions = columns.expand(len(ids), -1)
        return {"input_ids": ids, "position_ids": positions, "cache": self.cache}

    def admit(self, prompt: Tensor) -> None:
        """Makes a copy of what was kept of the prompts for each row, by the number of its own."""
        self.cache.reorder_cache(prompt)

    keep = admit


class Whole:
    """Rows of one length that are read anew at every step: for models that keep nothing of use."""

    def __init__(self, config: PretrainedConfig) -> None:
        self.ids: Tensor | None = None

    def read(self, ids: Tensor) -> dict[str, Any]:
        """As of `Wave`."""
        self.ids = ids if self.ids is None else torch.cat([self.ids, ids], 1)
        return {"input_ids": self.ids}

    def admit(self, prompt: Tensor) -> None:
        """As of `Wave`."""
        assert self.ids is not None
        self.ids = self.ids[prompt]

    keep = admit
