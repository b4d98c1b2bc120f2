"""A transformers model's own forward: prompts in one go, then a token a row and step.

What a model keeps of what it has read, and what padding does to it, differs more than any list of
names could say. So each model is asked once, on a few tokens: rows are decoded in the first way
that gives what reading them whole gives.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel

from reasonkit.generation.local.cache import Slots, Wave, Whole, windows
from reasonkit.generation.local.quick import Quick, quick

PATIENCE = 4
"""Steps that a model takes by itself first: fewer are not worth making a quick one."""

ROUNDING = {t: 4 * torch.finfo(t).eps for t in (torch.bfloat16, torch.float16)}
"""By which share of their spread two ways to the same logits may differ: four roundings, `EXACT`
for wider formats. Models of 4 to 28 layers came to two of bfloat16's at most."""

EXACT = 3e-4
PROBE = 12
"""Tokens of a row on which a way to decode is tried."""

WRONG, WRONG_EXACT = 0.1, 1e-3
"""By how much, as of `ROUNDING` and `EXACT`, a way differs that is wrong: far more than any
rounding."""

Way = type[Slots] | type[Wave] | type[Whole]

_ways: WeakKeyDictionary[torch.nn.Module, Way] = WeakKeyDictionary()


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
        way: of keeping what was read; by default the first that is right for the model.
    """

    def __init__(self, model: PreTrainedModel, longest: int, way: Way | None = None) -> None:
        self.model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.windows = windows(self.model.config)
        self.longest = longest
        self.slots: Slots | None = None
        self.wave: Wave | Whole | None = None
        self.quick: Quick | None = None
        self.steps = 0
        self._given = way
        self._accepted = inspect.signature(self.model.forward).parameters
        self._cache = "cache" if "cache" in self._accepted else "past_key_values"

    @cached_property
    def way(self) -> Way:
        """How what was read is kept. To be asked for where the model is evaluated."""
        if self._given is None and self.model not in _ways:
            _ways[self.model] = _right_way(self.model, self.windows is not None)
        return self._given or _ways[self.model]

    @property
    def refills(self) -> bool:
        """Whether rows may be let in while others run, and beside others of another length."""
        return self.way is Slots

    def admit(self, prompts: Sequence[Sequence[int]], which: Tensor, rows: int) -> Tensor:
        """Reads prompts once each and gives slots to new rows, behind those in use.

        Args:
            prompts: token ids; of one length unless it `refills`.
            which: the number of each new row's prompt, of shape (new rows,).
            rows: slots there are in all.

        Returns:
            The logits after each prompt, of shape (prompts, vocabulary).
        """
        device, width = self.model.device, max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(p)) + [*p] for p in prompts], device=device)
        if not issubclass(self.way, Slots):
            wave = self.wave = self.way(self.model.config)
            logits = self._call(**wave.read(ids))
            wave.admit(which)
            return logits
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        start = width - lengths[:, None]
        columns = torch.arange(width, device=device)
        cache = DynamicCache()
        logits = self._call(
            input_ids=ids,
            attention_mask=(columns >= start).long(),
            position_ids=(columns - start).clamp(min=0),
            cache=cache,
        )
        if self.slots is None:
            self.slots = Slots(rows, cache, self.longest)
        self.slots.admit(cache, lengths, which)
        return logits

    def step(self, tokens: Tensor) -> Tensor:
        """Logits after one more token a row, of shape (live, vocabulary)."""
        slots = self.slots
        if slots is None:
            assert self.wave is not None
            return self._call(**self.wave.read(tokens[:, None]))
        slots.room()
        if self.quick is not None:
            logits = self.quick(tokens, slots)
        elif self.steps == PATIENCE:
            logits = self._quicken(tokens, slots)
        else:
            logits = self._own(tokens, slots)
        slots.end += 1
        self.steps += 1
        return logits

    def _quicken(self, tokens: Tensor, slots: Slots) -> Tensor:
        """A step of its own, beside a quick one that takes over if it gives the same."""
        made = quick(self.model, self.windows, self.longest, slots.live)
        if made is None:
            return self._own(tokens, slots)
        given = made(tokens, slots)
        # Last, as it writes into the same column what is right in any case.
        logits = self._own(tokens, slots)
        if _difference(given, logits) <= ROUNDING.get(_format(self.model), EXACT):
            self.quick = made
        return logits

    def _own(self, tokens: Tensor, slots: Slots) -> Tensor:
        return self._call(
            input_ids=tokens[:, None],
            attention_mask=slots.mask(slots.begin),
            position_ids=slots.positions()[:, None],
            cache=slots.cache,
        )

    def keep(self, kept: Tensor) -> None:
        """Drops all rows but those in slots ``kept``, which take the first slots in that order."""
        held = self.slots or self.wave
        assert held is not None
        held.keep(kept)

    def _call(self, cache: Cache | None = None, **inputs: Tensor | None) -> Tensor:
        given: dict[str, Any] = {"logits_to_keep": 1, "attention_mask": None, **inputs}
        output = self.model(
            use_cache=cache is not None,
            **({} if cache is None else {self._cache: cache}),
            **{name: value for name, value in given.items() if name in self._accepted},
        )
        return cast(Tensor, output.logits[:, -1])


def _right_way(model: PreTrainedModel, plain_cache: bool) -> Way:
    """The first way that gives the logits of rows that are read whole, each by itself."""
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None) or PROBE
    length, vocabulary = min(PROBE, most), model.get_input_embeddings().weight.size(0)
    spread = torch.arange(2 * length, device=model.device).view(2, -1) * 7 + 3
    tokens, half = spread % vocabulary, length // 2
    expected = torch.stack(
        [model(input_ids=row[None], use_cache=False).logits[0] for row in tokens]
    )
    limit = WRONG if _format(model) in ROUNDING else WRONG_EXACT
    ways: list[Way] = [*([Slots] if plain_cache else []), Wave]
    for way in ways:
        trials = [(1, half)] if way is Slots else [(1, 1), (half, half)]
        try:
            wrong = [_astray(Forward(model, length, way), tokens, expected, t) for t in trials]
        except Exception:
            # A model that takes no such cache says so in words of its own.
            continue
        if not max(wrong) > limit:
            return way
    return Whole


def _astray(forward: Forward, tokens: Tensor, expected: Tensor, widths: tuple[int, int]) -> float:
    """How far decoding is from what is expected, with rows that share a prompt, end and move.

    Args:
        tokens: of two rows, of shape (2, length).
        expected: logits after each of them.
        widths: how many are the prompts'.
    """
    source = torch.tensor([0, 1, 1], device=tokens.device)
    places = torch.tensor(widths, device=tokens.device)[source]
    asked = [row[:width].tolist() for row, width in zip(tokens, widths, strict=True)]
    logits = forward.admit(asked, source, 3)[source]
    differences = [_difference(logits, expected[source, places - 1])]
    steps = tokens.size(1) - max(widths)
    for step in range(steps):
        logits = forward.step(tokens[source, places])
        differences.append(_difference(logits, expected[source, places]))
        places = places + 1
        if step == steps // 2:
            kept = torch.tensor([2, 0], device=tokens.device)
            forward.keep(kept)
            source, places = source[kept], places[kept]
    return max(differences)


def _difference(given: Tensor, expected: Tensor) -> float:
    """How far logits are from others, as a share of the spread of these."""
    given, expected = given.float(), expected.float()
    return float((given - expected).norm() / (expected - expected.mean()).norm())


def _format(model: PreTrainedModel) -> torch.dtype:
    """What products are computed in."""
    device = model.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return cast(torch.dtype, model.dtype)
