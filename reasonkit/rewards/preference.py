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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.answers.reading import answer_part
from reasonkit.errors import RefusedError
from reasonkit.hub import local_only
from reasonkit.types import Example, Group

LONGEST = 4096
"""Tokens that are read of a prompt and its completion, at most; its beginning is cut off."""

BATCH_TOKENS = 8 * LONGEST
"""Tokens a forward pass, padding included, at most."""


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
    # Listing the rewards is no reason to import what reads models.
    from reasonkit.models import precision
    from reasonkit.models.loading import resolve

    source = resolve(str(Path(parameter).expanduser())).source
    try:
        tokenizer, model, missing = _load(source, precision.device(device))
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


def make_helpful(parameter: str, device: str = "auto") -> Callable[[Group], list[float | None]]:
    """How good a model finds the answers, from 0 to 1; 0 for a thought that never ends.

    Raises:
        RefusedError: as `make`.
        OfflineError: as `make`.
    """
    preferred = make(parameter, device)

    def helpful(group: Group) -> list[float | None]:
        answers = [answer_part(completion.text) for completion in group.completions]
        found = iter(preferred.score(group.example, [a for a in answers if a is not None]))
        return [0.0 if answer is None else _chance(next(found)) for answer in answers]

    return helpful


def make_harmless(parameter: str, device: str = "auto") -> Callable[[Group], list[float | None]]:
    """How good a model finds the completions, thoughts and all, from 0 to 1.

    Raises:
        RefusedError: as `make`.
        OfflineError: as `make`.
    """
    preferred = make(parameter, device)

    def harmless(group: Group) -> list[float | None]:
        texts = [completion.text for completion in group.completions]
        return [_chance(value) for value in preferred.score(group.example, texts)]

    return harmless


def _chance(reward: float) -> float:
    return 0.5 + 0.5 * math.tanh(reward / 2)


@functools.lru_cache(maxsize=1)
def _load(source: str, device: str) -> tuple[Any, Any, list[str]]:
    """Tokenizer, model, and the names of the weights that its files lack.

    Two rewards of one model share it.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

    from reasonkit.models.chat import settle

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    options = {
        "trust_remote_code": False,
        "local_files_only": local_only(source),
    }
    tokenizer = AutoTokenizer.from_pretrained(source, truncation_side="left", **options)
    if tokenizer.chat_template is not None:
        settle(source, tokenizer)
    model, found = AutoModelForSequenceClassification.from_pretrained(
        source,
        use_safetensors=True,
        dtype="auto" if device == "cuda" else torch.float32,
        output_loading_info=True,
        **options,
    )
    # Which token is the last of a padded text is told by this one.
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model.eval().to(device), list(found["missing_keys"])


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
        return [*self.score(group.example, [completion.text for completion in group.completions])]

    def score(self, example: Example, texts: Sequence[str]) -> list[float]:
        """The model's logit for each text that answers an example; one given twice is read once."""
        import torch

        from reasonkit.models.chat import positions

        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return []
        tokenizer = self.tokenizer
        longest = positions(self.model.config) or LONGEST
        rows = tokenizer(
            *_texts(tokenizer, example, distinct),
            truncation=True,
            max_length=min(LONGEST, longest, tokenizer.model_max_length),
            add_special_tokens=tokenizer.chat_template is None,
        )
        values: dict[str, float] = {}
        for places in self._batches([len(ids) for ids in rows["input_ids"]]):
            batch = {name: [column[i] for i in places] for name, column in rows.items()}
            if len(places) > 1:
                batch = dict(tokenizer.pad(batch))
            tensors = {k: torch.tensor(v, device=self.model.device) for k, v in batch.items()}
            with torch.inference_mode():
                logits = self.model(**tensors).logits.float()
            found = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
            values |= zip((distinct[i] for i in places), found.tolist(), strict=True)
        return [values[text] for text in texts]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Places of texts that are read together, the shortest first."""
        batch: list[int] = []
        for place in sorted(range(len(lengths)), key=lengths.__getitem__):
            full = (len(batch) + 1) * lengths[place] > BATCH_TOKENS
            if batch and (full or self.tokenizer.pad_token is None):
                yield batch
                batch = []
            batch.append(place)
        yield batch


def _texts(tokenizer: Any, example: Example, texts: Sequence[str]) -> list[list[str]]:
    """The chats; of a model without a chat template the questions, and as pairs the answers."""
    said = [_spelt_out(tokenizer, text) for text in texts]
    if tokenizer.chat_template is None:
        return [[example.question] * len(texts), said]
    chats = [[*example.messages, {"role": "assistant", "content": text}] for text in said]
    return [tokenizer.apply_chat_template(chats, tokenize=False)]


def _spelt_out(tokenizer: Any, text: str) -> str:
    """The text with no token in it that is none: one that a policy spells would end its turn."""
    from reasonkit.models.chat import controls

    for token in tokenizer.convert_ids_to_tokens(sorted(controls(tokenizer))):
        text = text.replace(token, " ".join(token))
    return text
