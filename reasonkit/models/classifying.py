"""Models that classify texts or their tokens, as verifiers and preference models do.

Leaves out models that need code of their own, and those with more than two labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.errors import RefusedError
from reasonkit.models import chat
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import ResolvedModel

TOKENS, SEQUENCE = "TokenClassification", "SequenceClassification"

BATCH_TOKENS = 16_384
"""Read in one pass, padding included."""

Row = dict[str, list[int]]
"""What a model takes of one text: ``input_ids`` and more."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model with one label (a logit) or two (no, yes).

    Attributes:
        model: for token or sequence classification.
        tokenizer: its own.
        paired: whether it reads question and text as a pair, as models without a chat template do.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    paired: bool = False

    @property
    def by_token(self) -> bool:
        """Whether it has logits for every token, not for the whole alone."""
        return type(self.model).__name__.endswith(TOKENS)

    def logits(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        """Of each row, in double precision: (tokens and padding, labels), or (labels,).

        Rows that are the same are computed once, so that they can't differ by rounding.
        """
        keys = [tuple(row["input_ids"]) for row in rows]
        distinct = dict(zip(keys, rows, strict=True))
        found: dict[tuple[int, ...], torch.Tensor] = {}
        for batch in self._batches(sorted(distinct, key=len)):
            texts = [distinct[key] for key in batch]
            padded = self.tokenizer.pad(texts, padding_side="right", return_tensors="pt")
            with torch.inference_mode():
                logits = self.model(**padded.to(self.model.device)).logits
            found |= zip(batch, logits.double().cpu(), strict=True)
        return [found[key] for key in keys]

    def _batches(self, rows: Sequence[tuple[int, ...]]) -> Iterator[Sequence[tuple[int, ...]]]:
        """Cuts rows, the shortest first, into batches of `BATCH_TOKENS`."""
        # Without a padding token, which token is a text's last is known only where it is alone.
        alone = not self.by_token and self.model.config.pad_token_id is None
        start = 0
        for stop in range(1, len(rows) + 1):
            full = stop < len(rows) and (stop + 1 - start) * len(rows[stop]) > BATCH_TOKENS
            if full or alone or stop == len(rows):
                yield rows[start:stop]
                start = stop


def load(resolved: ResolvedModel, device: str, dtype: str, kind: str) -> Classifier:
    """Loads a classifier of a kind: `TOKENS` or `SEQUENCE`.

    Args:
        device: as `reasonkit.models.loading.load_model` takes it, and ``dtype`` too.

    Raises:
        RefusedError: it can't be read, it is no classifier, it has too many labels, or its
            tokenizer doesn't fit its weights.
    """
    tokenizer, remark = load_tokenizer(resolved)
    model = load_model(resolved, device, dtype, kind)
    config = model.config
    if config.num_labels > 2:
        raise RefusedError(
            f"{resolved.entry.name} has {config.num_labels} labels: one or two are wanted"
        )
    # What ends a turn stands in for a padding token that there isn't.
    if config.pad_token_id is not None or tokenizer.pad_token_id != chat.turn_end(tokenizer):
        config.pad_token_id = tokenizer.pad_token_id
    return Classifier(model, tokenizer, chat.NO_TEMPLATE in remark)
