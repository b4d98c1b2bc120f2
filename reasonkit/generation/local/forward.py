"""A transformers model's own forward: prompts in one go, then a token a row and step."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel

from reasonkit.generation.local.cache import Slots, Wave, windows
from reasonkit.generation.local.quick import Quick, quick

PATIENCE = 4
"""Steps that a model takes by itself first: fewer are not worth making a quick one."""

ROUNDING = {t: 4 * torch.finfo(t).eps for t in (torch.bfloat16, torch.float16)}
"""By which share of their spread two ways to the same logits may differ: four roundings. Models of
4 to 28 layers came to two of bfloat16's at most."""

EXACT = 3e-4
"""The same for wider formats."""


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in eval mode (no dropout) without gradients, put back as it was afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


class Forward:
    """Any causal language model of transformers, with the rows that it is decoding.

    Args:
        model: on its device; may be wrapped by PEFT.
        longest: tokens a row may have, its prompt included.

    Attributes:
        refills: whether new rows may be let in while others are running.
    """

    def __init__(self, model: PreTrainedModel, longest: int) -> None:
        self.model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.windows = windows(self.model.config)
        self.refills = self.windows is not None
        self.longest = longest
        self.slots: Slots | Wave | None = None
        self.quick: Quick | None = None
        self.steps = 0
        self._accepted = inspect.signature(self.model.forward).parameters
        self._cache = "cache" if "cache" in self._accepted else "past_key_values"

    def admit(self, prompts: Sequence[Sequence[int]], which: Tensor, rows: int) -> Tensor:
        """Reads prompts once each and gives slots to new rows, behind those in use.

        Args:
            prompts: token ids.
            which: the number of each new row's prompt, of shape (new rows,).
            rows: slots there are in all.

        Returns:
            The logits after each prompt, of shape (prompts, vocabulary).
        """
        device, width = self.model.device, max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(p)) + [*p] for p in prompts], device=device)
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        start = width - lengths[:, None]
        columns = torch.arange(width, device=device)
        cache = DynamicCache(config=None if self.refills else self.model.config)
        mask = (columns >= start).long()
        logits = self._call(ids, mask, (columns - start).clamp(min=0), cache)
        if self.slots is None:
            self.slots = Slots(rows, cache, self.longest) if self.refills else Wave()
        self.slots.admit(cache, lengths, which)
        return logits

    def step(self, tokens: Tensor) -> Tensor:
        """Logits after one more token a row, of shape (live, vocabulary)."""
        slots = self.slots
        assert slots is not None
        slots.room()
        if self.quick is not None and isinstance(slots, Slots):
            logits = self.quick(tokens, slots)
        elif self.steps == PATIENCE and isinstance(slots, Slots):
            logits = self._quicken(tokens, slots)
        else:
            logits = self._own(tokens, slots)
        slots.advance()
        self.steps += 1
        return logits

    def _quicken(self, tokens: Tensor, slots: Slots) -> Tensor:
        """A step of its own, beside a quick one that takes over if it gives the same."""
        made = quick(self.model, self.windows, self.longest)
        if made is None:
            return self._own(tokens, slots)
        given = made(tokens, slots).float()
        # Last, as it writes into the same column what is right in any case.
        logits = self._own(tokens, slots)
        expected = logits.float()
        difference = (given - expected).norm() / (expected - expected.mean()).norm()
        if difference <= ROUNDING.get(self._format(), EXACT):
            self.quick = made
        return logits

    def _format(self) -> torch.dtype:
        """What products are computed in."""
        device = self.model.device.type
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
        return cast(torch.dtype, self.model.dtype)

    def _own(self, tokens: Tensor, slots: Slots | Wave) -> Tensor:
        mask = slots.mask(slots.begin)
        return self._call(tokens[:, None], mask, slots.positions()[:, None], slots.cache)

    def keep(self, kept: Tensor) -> None:
        """Drops all rows but those in slots ``kept``, which take the first slots in that order."""
        assert self.slots is not None
        self.slots.keep(kept)

    def _call(self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: Cache) -> Tensor:
        given = {"position_ids": positions, "logits_to_keep": 1}
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            use_cache=True,
            **{self._cache: cache},
            **{name: value for name, value in given.items() if name in self._accepted},
        )
        return cast(Tensor, output.logits[:, -1])
