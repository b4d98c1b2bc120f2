"""Rewards what a trained preference model prefers (Ouyang et al., arXiv:2203.02155, equation 1).

Any `AutoModelForSequenceClassification` will do: one output is the reward; of two, the second minus
the first. Weights are read from safetensors only and no code of a model's author is run. Left out:
models that judge each step of a solution, or that are called in a way of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.errors import RefusedError
from reasonkit.hub import reachable
from reasonkit.models.loading import resolve
from reasonkit.types import Completion, Example, Group

LONGEST = 4096
"""Tokens that are read of a prompt and its completion, at most; its beginning is cut off."""

BATCH = 8
"""Completions a forward pass, at most."""


def make(parameter: str) -> Preference:
    """The reward of a model: a local folder, a run or a hub id. It is loaded at once.

    Raises:
        RefusedError: no model is named, or it can't be loaded or is no preference model.
        OfflineError: it would have to be downloaded and can't be.
    """
    if not parameter:
        raise RefusedError("reward 'preference' needs a model: write preference:PATH-OR-HUB-ID")
    source = resolve(str(Path(parameter).expanduser())).source
    try:
        tokenizer, model, missing = _load(source)
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise RefusedError(f"preference model {parameter!r} can't be loaded: {text}") from error
    if missing:
        raise RefusedError(
            f"{parameter!r} is no preference model: its weights lack {', '.join(sorted(missing))}"
        )
    if model.config.num_labels > 2:
        raise RefusedError(
            f"preference model {parameter!r} has {model.config.num_labels} outputs: one or two are "
            "wanted"
        )
    return Preference(tokenizer, model)


def _load(source: str) -> tuple[Any, Any, list[str]]:
    """Tokenizer, model, and the names of the weights that its files lack."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    cuda = torch.cuda.is_available()
    options = {
        "trust_remote_code": False,
        # A library that is offline would retry for minutes.
        "local_files_only": not Path(source).exists() and not reachable(),
    }
    tokenizer = AutoTokenizer.from_pretrained(source, truncation_side="left", **options)
    model, found = AutoModelForSequenceClassification.from_pretrained(
        source,
        use_safetensors=True,
        dtype="auto" if cuda else torch.float32,
        output_loading_info=True,
        **options,
    )
    # Which token is the last of a padded text is told by this one.
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.eval().to("cuda" if cuda else "cpu"), list(found["missing_keys"])


def score(group: Group) -> list[float | None]:
    """Needs to be told which model: see `make`.

    Raises:
        RefusedError: always.
    """
    return make("")(group)


@dataclass(frozen=True, slots=True)
class Preference:
    """Scores groups with one model.

    Attributes:
        tokenizer: of the model; without a padding token, texts are read one by one.
        model: on its device.
    """

    tokenizer: Any
    model: Any

    def __call__(self, group: Group) -> list[float | None]:
        """The model's logit for each completion."""
        size = BATCH if self.tokenizer.pad_token is not None else 1
        completions = group.completions
        values: list[float | None] = []
        for start in range(0, len(completions), size):
            values += self._scored(group.example, list(completions[start : start + size]))
        return values

    def _scored(self, example: Example, completions: list[Completion]) -> list[float]:
        import torch

        tokenizer = self.tokenizer
        positions = getattr(self.model.config, "max_position_embeddings", LONGEST)
        batch = tokenizer(
            *_texts(tokenizer, example, completions),
            return_tensors="pt",
            padding=len(completions) > 1,
            truncation=True,
            max_length=min(LONGEST, positions, tokenizer.model_max_length),
            add_special_tokens=tokenizer.chat_template is None,
        ).to(self.model.device)
        with torch.inference_mode():
            logits = self.model(**batch).logits.float()
        values = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return [float(value) for value in values]


def _texts(tokenizer: Any, example: Example, completions: list[Completion]) -> list[list[str]]:
    """The chats; of a model without a chat template the questions, and as pairs the completions."""
    texts = [completion.text for completion in completions]
    if tokenizer.chat_template is None:
        return [[example.question] * len(texts), texts]
    chats = [[*example.messages, {"role": "assistant", "content": text}] for text in texts]
    return [tokenizer.apply_chat_template(chats, tokenize=False)]
