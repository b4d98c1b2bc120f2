"""Rewards what a trained preference model prefers (Ouyang et al., arXiv:2203.02155, equation 1).

Any `AutoModelForSequenceClassification` will do: one output is the reward; of two, the second minus
the first. Weights are read from safetensors only and no code of a model's author is run. Left out:
models that judge each step of a solution, or that are called in a way of their own.

After DeepSeek-R1 (arXiv:2501.12948, section 2.3.4), ``helpful`` has the model read the answer
alone, ``harmless`` all that was written. With the model's reward r both give σ(r): the chance that
it is preferred to a text of reward 0 (Bradley and Terry).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonkit.answers.reading import answer_part
from reasonkit.errors import RefusedError
from reasonkit.types import Example, Group

if TYPE_CHECKING:
    from reasonkit.models.classifying import Classifier

LONGEST = 4096
"""Tokens that are read of a prompt and its completion, at most; its beginning is cut off."""


def make(parameter: str, device: str = "auto") -> Preference:
    """The reward of a model: a registry name, a local folder, a run or a hub id. Loaded at once.

    Args:
        device: as `reasonkit.models.loading.load_model` takes it.

    Raises:
        RefusedError: no model is named, or it can't be loaded or is no preference model.
        OfflineError: it would have to be downloaded and can't be.
    """
    if not parameter:
        raise RefusedError(
            "what is preferred is told by a model: write preference:, helpful: or harmless: and a "
            "registry name, a path or a hub id"
        )
    return Preference(_load(str(Path(parameter).expanduser()), device))


@functools.lru_cache(maxsize=1)
def _load(name: str, device: str) -> Classifier:
    """Two rewards of one model share it."""
    # Listing the rewards is no reason to import what reads models.
    from reasonkit.models import classifying
    from reasonkit.models.resolving import resolve

    classifier = classifying.load(resolve(name), device, "auto", classifying.SEQUENCE)
    classifier.tokenizer.truncation_side = "left"
    return classifier


def make_helpful(parameter: str, device: str = "auto") -> Callable[[Group], list[float | None]]:
    """How good a model of `make` finds the answers, 0 to 1; 0 for a thought that never ends."""
    return functools.partial(_chances, make(parameter, device), answer_part)


def make_harmless(parameter: str, device: str = "auto") -> Callable[[Group], list[float | None]]:
    """How good a model of `make` finds the completions, thoughts and all, from 0 to 1."""
    return functools.partial(_chances, make(parameter, device), str)


def _chances(
    preferred: Preference, read: Callable[[str], str | None], group: Group
) -> list[float | None]:
    texts = [read(completion.text) for completion in group.completions]
    found = iter(preferred.score(group.example, [text for text in texts if text is not None]))
    return [0.0 if text is None else 0.5 + 0.5 * math.tanh(next(found) / 2) for text in texts]


@dataclass(frozen=True, slots=True)
class Preference:
    """Scores groups with one model."""

    classifier: Classifier

    def __call__(self, group: Group) -> list[float | None]:
        """The model's logit for each completion."""
        return [*self.score(group.example, [completion.text for completion in group.completions])]

    def score(self, example: Example, texts: Sequence[str]) -> list[float]:
        """The model's logit for each text that answers an example; one given twice is read once."""
        from reasonkit.models.chat import positions

        if not texts:
            return []
        tokenizer, paired = self.classifier.tokenizer, self.classifier.paired
        longest = positions(self.classifier.model.config) or LONGEST
        columns = tokenizer(
            *_texts(tokenizer, paired, example, texts),
            truncation=True,
            max_length=min(LONGEST, longest, tokenizer.model_max_length),
            add_special_tokens=paired,
        )
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return [
            float(logits[-1] - logits[0] if len(logits) > 1 else logits[0])
            for logits in self.classifier.logits(rows)
        ]


def _texts(tokenizer: Any, paired: bool, example: Example, texts: Sequence[str]) -> list[list[str]]:
    """The chats; of a model without a chat template the questions, and as pairs the answers."""
    said = [_spelt_out(tokenizer, text) for text in texts]
    if paired:
        return [[example.question] * len(texts), said]
    chats = [[*example.messages, {"role": "assistant", "content": text}] for text in said]
    return [tokenizer.apply_chat_template(chats, tokenize=False)]


def _spelt_out(tokenizer: Any, text: str) -> str:
    """The text with no token in it that is none: one that a policy spells would end its turn."""
    from reasonkit.models.chat import controls

    for token in tokenizer.convert_ids_to_tokens(sorted(controls(tokenizer))):
        text = text.replace(token, " ".join(token))
    return text
