"""Where a completion ends: at an end-of-sequence token, or once its text holds a stop string."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

SLACK = 8
"""Tokens before a stop string that are decoded with it: some tokenizers read a first one apart."""


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The ids of the tokens that end a completion."""
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ids = configured if isinstance(configured, list) else [configured]
    return {int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None}


class Stops:
    """The stop strings of a sampling.

    Args:
        stop: the strings.

    Attributes:
        closing: ids of the tokens that may complete one, of shape (tokens,).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = tuple(s for s in stop if s)
        self.closing = torch.tensor([], dtype=torch.long)
        if self.stop:
            texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
            # A token that is only part of a character decodes to U+FFFD: any could complete one.
            last = {s[-1] for s in self.stop} | {"\N{REPLACEMENT CHARACTER}"}
            self.closing = torch.tensor([i for i, t in enumerate(texts) if last & set(t)])
            self.longest = max(len(s.encode()) for s in self.stop)

    def __bool__(self) -> bool:
        return bool(self.stop)

    def ended(self, tokens: Tensor) -> bool:
        """Whether a completion whose last token is one of ``closing`` holds a stop string."""
        tail = self.tokenizer.decode(tokens[-self.longest - SLACK :])
        return any(s in tail for s in self.stop)
