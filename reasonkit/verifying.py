"""Scoring completions with a verifier: how likely each is to be right, told without the answer.

A verifier is a sequence- or token-classification model of transformers. One of the second kind
scores every token, so it can judge a solution that is still being written (Cobbe et al.,
arXiv:2110.14168, section 4.2). Leaves out models that need code of their own, and those with more
than two labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.config import Aggregate
from reasonkit.errors import RefusedError
from reasonkit.generation.local import evaluating
from reasonkit.models import chat
from reasonkit.models.chat import encode_prompts
from reasonkit.models.loading import (
    ResolvedModel,
    load_model,
    load_tokenizer,
    read_config,
    resolve,
)
from reasonkit.types import Completion, Example, Group

TOKENS, SEQUENCE = "TokenClassification", "SequenceClassification"

BATCH_TOKENS = 16_384
"""Scored in one pass, padding included."""

SETTINGS = "verifier"
"""The field of a checkpoint's config.json that says how its scores are read."""

STAND_IN = "the completion"
"""Shows what a chat template puts behind a completion; some would drop a part of a real one."""

AGGREGATES: dict[Aggregate, Callable[[Sequence[float]], float]] = {
    Aggregate.last: lambda scores: scores[-1],
    Aggregate.lowest: min,
    Aggregate.mean: lambda scores: math.fsum(scores) / len(scores),
    Aggregate.product: math.prod,
}

Scores = list[float]
Row = tuple[dict[str, list[int]], int]
"""What the model takes (``input_ids`` and more), and where in it the completion begins."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the scores of single tokens are read.

    Attributes:
        aggregate: makes a solution's score of those of its steps.
        ends: texts whose token ends a step, as the end of the completion does.
    """

    aggregate: Aggregate = Aggregate.last
    ends: tuple[str, ...] = ("\n",)

    def to_config(self) -> dict[str, Any]:
        """Plain values, as they stand in config.json."""
        return {"aggregate": str(self.aggregate), "ends": list(self.ends)}


class Verifier:
    """Scores completions.

    Args:
        model: for token or sequence classification, with one label (a logit) or two (wrong, right).
        tokenizer: its own.
        reading: of its tokens' scores.
        generator: the tokenizer of the completions' ids. Where its vocabulary is the verifier's
            own, ids are read as they were sampled; else their text is.
        paired: whether it reads question and text as a pair, as models without a chat template do.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        reading: Reading = Reading(),
        generator: PreTrainedTokenizerBase | None = None,
        paired: bool = False,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.reading = reading
        self.paired = paired
        self.by_token = type(model).__name__.endswith(TOKENS)
        vocabulary = None if generator is None or paired else generator.get_vocab()
        self.reads_ids = vocabulary == tokenizer.get_vocab()
        self._pieces: dict[int, str] = {}

    def score(self, group: Group) -> list[float | None]:
        """How likely each completion is to be right, 0 to 1; None for one that is too long."""
        if not self.by_token:
            return [scores[-1] if scores else None for scores in self._scores(self._rows(group))]
        combine = AGGREGATES[self.reading.aggregate]
        return [combine(scores) if scores else None for scores in self.step_scores(group)]

    def token_scores(self, group: Group) -> list[Scores | None]:
        """How likely each completion is to end well, after each of its tokens.

        Raises:
            RefusedError: the verifier scores whole completions only.
        """
        self._require_by_token()
        return self._scores(self._rows(group))

    def step_scores(self, group: Group) -> list[Scores | None]:
        """The scores of those tokens that end a step; the last one always does.

        Raises:
            RefusedError: the verifier scores whole completions only.
        """
        self._require_by_token()
        rows = self._rows(group)
        return [
            scores and [scores[i] for i in self._ends(fields["input_ids"][start:])]
            for (fields, start), scores in zip(rows, self._scores(rows), strict=True)
        ]

    def require_fit(self, examples: Iterable[Example]) -> None:
        """Checks that the tokenizer can write the questions.

        Raises:
            RefusedError: there is a question with a character that it has no token for.
        """
        unknown = self.tokenizer.unk_token_id
        for example in examples:
            ids = self.tokenizer(example.question, add_special_tokens=False).input_ids
            if not ids or (unknown is not None and unknown in ids):
                raise RefusedError(
                    f"the verifier's tokenizer has no token for a part of {example.question!r}: "
                    "pass one that reads the same language as the generator"
                )

    def _require_by_token(self) -> None:
        if not self.by_token:
            raise RefusedError(
                f"the verifier ({type(self.model).__name__}) scores whole completions only: to "
                "score steps, pass one for token classification"
            )

    def _rows(self, group: Group) -> list[Row]:
        if self.paired:
            return [self._pair(group.example.question, c.text) for c in group.completions]
        prompts, opened = encode_prompts(self.tokenizer, [group.example])
        rows = []
        for completion in group.completions:
            ids = list(completion.token_ids) if self.reads_ids else []
            ids = ids or self._encode(group.example, completion, opened[0])
            rows.append(({"input_ids": prompts[0] + ids}, len(prompts[0])))
        return rows

    def _encode(self, example: Example, completion: Completion, opened: str) -> list[int]:
        """A completion's text as the template has it, but nothing dropped from it."""
        text = completion.text.removeprefix(opened)
        if completion.finish_reason == "stop":
            turns = [*example.messages, {"role": "assistant", "content": STAND_IN}]
            rendered = str(self.tokenizer.apply_chat_template(turns, tokenize=False))
            text += rendered.rpartition(STAND_IN)[2]
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _pair(self, question: str, text: str) -> Row:
        encoded = self.tokenizer(question, text)
        return dict(encoded), encoded.sequence_ids(0).index(1)

    def _ends(self, ids: Sequence[int]) -> list[int]:
        for id in set(ids) - self._pieces.keys():
            self._pieces[id] = str(self.tokenizer.decode([id]))
        marked = [any(end in self._pieces[id] for end in self.reading.ends) for id in ids]
        return [i for i, ends in enumerate(marked) if ends or i == len(ids) - 1]

    def _scores(self, rows: Sequence[Row]) -> list[Scores | None]:
        """One score a completion's token, or a single one where the model gives no more.

        Rows that are the same are computed once, so that they can't differ by rounding.
        """
        limit = chat.positions(self.model.config) or math.inf
        keys = [tuple(fields["input_ids"]) for fields, _ in rows]
        distinct = dict(zip(keys, rows, strict=True))
        fitting = sorted((key for key in distinct if len(key) <= limit), key=len)
        found: dict[tuple[int, ...], Scores] = {}
        with evaluating(self.model):
            for batch in _batches(fitting):
                starts = [distinct[key][1] for key in batch]
                chances = self._chances([distinct[key][0] for key in batch])
                for key, start, row in zip(batch, starts, chances, strict=True):
                    found[key] = row[start : len(key)] if self.by_token else row
        return [found.get(key) for key in keys]

    def _chances(self, rows: list[dict[str, list[int]]]) -> list[Scores]:
        padded = self.tokenizer.pad(rows, padding_side="right", return_tensors="pt")
        logits = self.model(**padded.to(self.model.device)).logits.double()
        right = logits.sigmoid()[..., 0] if logits.size(-1) == 1 else logits.softmax(-1)[..., 1]
        chances: list[Scores] = right.reshape(len(rows), -1).tolist()
        return chances


def _batches(rows: Sequence[tuple[int, ...]]) -> Iterator[Sequence[tuple[int, ...]]]:
    """Cuts rows, the shortest first, into batches of `BATCH_TOKENS`."""
    start = 0
    for stop in range(1, len(rows) + 1):
        full = stop < len(rows) and (stop + 1 - start) * len(rows[stop]) > BATCH_TOKENS
        if full or stop == len(rows):
            yield rows[start:stop]
            start = stop


def load(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    generator: PreTrainedTokenizerBase | None = None,
) -> Verifier:
    """Loads a verifier from a folder, a run or the hub: safetensors only, no code of its author.

    Args:
        device: as `reasonkit.models.loading.load_model` takes it.
        dtype: as it does.
        generator: the tokenizer of the completions' ids, where they have any.

    Raises:
        RefusedError: there is none, it is no verifier, or its tokenizer doesn't fit its weights.
    """
    resolved = resolve(name)
    kind = _kind(resolved)
    tokenizer, remark = load_tokenizer(resolved)
    model = load_model(resolved, device, dtype, kind)
    config = model.config
    if config.num_labels > 2:
        raise RefusedError(f"{name} has {config.num_labels} labels: a verifier has one or two")
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    reading = _reading(name, getattr(config, SETTINGS, None))
    return Verifier(model, tokenizer, reading, generator, paired=chat.NO_TEMPLATE in remark)


def _kind(resolved: ResolvedModel) -> str:
    names = read_config(resolved).architectures or ["no known architecture"]
    kind = next((kind for kind in (TOKENS, SEQUENCE) if names[0].endswith(f"For{kind}")), None)
    if kind is None:
        raise RefusedError(
            f"{resolved.entry.name} is no verifier but {names[0]}: pass a model for token or "
            "sequence classification"
        )
    return kind


def _reading(name: str, settings: Any) -> Reading:
    if settings is None:
        return Reading()
    try:
        return Reading(Aggregate(settings["aggregate"]), tuple(map(str, settings["ends"])))
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedError(
            f"{name}: the field {SETTINGS!r} of its config.json can't be read"
        ) from error
