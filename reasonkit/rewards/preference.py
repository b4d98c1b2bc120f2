"""Rewards what a trained preference model prefers (Ouyang et al., arXiv:2203.02155, equation 1).

Any `AutoModelForSequenceClassification` will do: one output is the reward; of two, the second minus
the first. Left out: models with their own code or their own way of calling them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.errors import DataError, RefusedError
from reasonkit.hub import is_id
from reasonkit.types import Completion, Example, Group

LONGEST = 4096
"""Tokens that are read of a prompt and its completion, at most; its beginning is cut off."""


def make(parameter: str) -> Callable[[Group], list[float | None]]:
    """The reward of a model: a local folder or a hub id. It is loaded when first used.

    Raises:
        RefusedError: no model is named, or it can't be one.
    """
    if not parameter:
        raise RefusedError("reward 'preference' needs a model: write preference:PATH-OR-HUB-ID")
    if not (Path(parameter).expanduser() / "config.json").is_file() and not is_id(parameter):
        raise RefusedError(f"preference model {parameter!r} is no model folder and no hub id")
    return Preference(parameter)


def score(group: Group) -> list[float | None]:
    """Needs to be told which model: see `make`.

    Raises:
        RefusedError: always.
    """
    return make("")(group)


@dataclass(frozen=True)
class Preference:
    """Scores groups with one model."""

    source: str

    def __call__(self, group: Group) -> list[float | None]:
        """The model's logit for each completion.

        Raises:
            DataError: the model can't be loaded or has more than two outputs.
        """
        import torch

        tokenizer, model = self._loaded
        texts = [_text(tokenizer, group.example, c) for c in group.completions]
        batch = tokenizer(
            texts,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=min(LONGEST, tokenizer.model_max_length),
            add_special_tokens=tokenizer.chat_template is None,
        ).to(model.device)
        with torch.inference_mode():
            logits = model(**batch).logits.float()
        values = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return [float(value) for value in values]

    @functools.cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        path = str(Path(self.source).expanduser()) if not is_id(self.source) else self.source
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, truncation_side="left")
            model = AutoModelForSequenceClassification.from_pretrained(path)
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split())
            raise DataError(f"preference model {self.source!r}: {text}") from error
        if model.config.num_labels > 2:
            raise DataError(
                f"preference model {self.source!r} has {model.config.num_labels} outputs: "
                "one or two are wanted"
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
        return tokenizer, model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _text(tokenizer: Any, example: Example, completion: Completion) -> str:
    if tokenizer.chat_template is None:
        return f"{example.question}\n\n{completion.text}"
    answered = {"role": "assistant", "content": completion.text}
    text: str = tokenizer.apply_chat_template([*example.messages, answered], tokenize=False)
    return text
