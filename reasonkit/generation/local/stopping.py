"""Where a completion ends: at an end-of-sequence token, or once its text holds a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.models.chat import end_tokens

SLACK = 8
"""Tokens before a stop string that are decoded with it: some tokenizers read a first one apart."""


@lru_cache(maxsize=4)
def _texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Of each token alone."""
    return list(tokenizer.batch_decode([[i] for i in range(len(tokenizer))]))


class Ending:
    """Tells which completions have ended; strings of ``stop`` end one."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]
    ) -> None:
        self.tokenizer = tokenizer
        self.ends = torch.tensor(sorted(end_tokens(model, tokenizer)), device=model.device)
        self.stop = tuple(s for s in stop if s)
        if self.stop:
            texts = _texts(tokenizer)
            # A token that is only part of a character decodes to U+FFFD: any could complete one.
            last = {s[-1] for s in self.stop} | {"\N{REPLACEMENT CHARACTER}"}
            closing = [i for i, text in enumerate(texts) if last & set(text)]
            self.closing = torch.tensor(closing, device=model.device)
            self.tail = max(len(s.encode()) for s in self.stop) + SLACK

    def __call__(self, drawn: Tensor, tokens: Tensor, place: Tensor, count: Tensor) -> Tensor:
        """Which rows have ended by what they have drawn; all but ``tokens`` of shape (rows,).

        Args:
            drawn: newest token of each row.
            tokens: all tokens of each place, of shape (places, steps).
            place: of each row.
            count: tokens of each row.
        """
        ended = torch.isin(drawn, self.ends)
        if self.stop:
            for row in torch.isin(drawn, self.closing).nonzero()[:, 0].tolist():
                size = int(count[row])
                ids = tokens[place[row], max(0, size - self.tail) : size]
                ended[row] |= any(s in self.tokenizer.decode(ids) for s in self.stop)
        return ended
