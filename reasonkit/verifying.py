"""Scoring completions with a verifier: how likely each is to be right, told without the answer.

A verifier is a sequence- or token-classification model of transformers. One of the second kind
scores every token, so it can judge a solution that is still being written (Cobbe et al.,
arXiv:2110.14168, section 4.2). What it leaves out, `reasonkit.models.classifying` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from reasonkit.config import Aggregate
from reasonkit.errors import RefusedError
from reasonkit.generation.drafts import step_ends
from reasonkit.generation.local import evaluating
from reasonkit.models import chat, classifying
from reasonkit.models.chat import encode_prompts
from reasonkit.models.classifying import SEQUENCE, TOKENS, Classifier, Row
from reasonkit.models.loading import read_config
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.types import Completion, Example, Group

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


@dataclass(frozen=True, slots=True)
class Reading:
    """How the scores of single tokens are read.

    Attributes:
        aggregate: makes a solution's score of those of its steps.
        ends: texts that end a step, as the end of the completion does; an empty one ends it at
            every token.
    """

    aggregate: Aggregate = Aggregate.last
    ends: tuple[str, ...] = ("\n",)

    def to_config(self) -> dict[str, Any]:
        """Plain values, as they stand in config.json."""
        return {"aggregate": str(self.aggregate), "ends": list(self.ends)}


class Verifier:
    """Scores completions.

    Where the vocabulary of their generator's tokenizer is the verifier's own, the ids are read as
    they were sampled; else their text is.
    """

    def __init__(
        self,
        classifier: Classifier,
        reading: Reading = Reading(),
        generator: PreTrainedTokenizerBase | None = None,
    ) -> None:
        self.classifier = classifier
        self.model, self.tokenizer = classifier.model, classifier.tokenizer
        self.reading = reading
        self.by_token = classifier.by_token
        vocabulary = None if generator is None or classifier.paired else generator.get_vocab()
        self.reads_ids = vocabulary == self.tokenizer.get_vocab()

    def score(self, group: Group) -> list[float | None]:
        """How likely each completion is to be right, 0 to 1; None for one that is too long."""
        combine = AGGREGATES[self.reading.aggregate if self.by_token else Aggregate.last]
        found = self.step_scores(group) if self.by_token else self._scores(*self._rows(group))
        return [combine(scores) if scores else None for scores in found]

    def step_scores(self, group: Group) -> list[Scores | None]:
        """The scores of those tokens that end a step; the last one always does.

        Raises:
            RefusedError: the verifier scores whole completions only.
        """
        if not self.by_token:
            raise RefusedError(
                f"the verifier ({type(self.model).__name__}) scores whole completions only: to "
                "score steps, pass one for token classification"
            )
        rows, starts = self._rows(group)
        return [
            scores
            and [
                scores[place]
                for place in step_ends(self.tokenizer, row["input_ids"][start:], self.reading.ends)
            ]
            for row, start, scores in zip(rows, starts, self._scores(rows, starts), strict=True)
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

    def _rows(self, group: Group) -> tuple[list[Row], list[int]]:
        """The completions with their question, and where in each the completion begins."""
        if self.classifier.paired:
            pairs = [self.tokenizer(group.example.question, c.text) for c in group.completions]
            return [dict(p) for p in pairs], [p.sequence_ids(0).index(1) for p in pairs]
        (prompt,), (opened,) = encode_prompts(self.tokenizer, [group.example])
        rows = []
        for completion in group.completions:
            ids = list(completion.token_ids) if self.reads_ids else []
            ids = ids or self._encode(group.example, completion, opened)
            rows.append({"input_ids": prompt + ids})
        return rows, [len(prompt)] * len(rows)

    def _encode(self, example: Example, completion: Completion, opened: str) -> list[int]:
        """A completion's text as the template has it, but nothing dropped from it."""
        text = completion.text.removeprefix(opened)
        if completion.finish_reason == "stop":
            turns = [*example.messages, {"role": "assistant", "content": STAND_IN}]
            rendered = str(self.tokenizer.apply_chat_template(turns, tokenize=False))
            text += rendered.rpartition(STAND_IN)[2]
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _scores(self, rows: Sequence[Row], starts: Sequence[int]) -> list[Scores | None]:
        """One score a completion's token, or a single one where the model gives no more."""
        limit = chat.positions(self.model.config) or math.inf
        fitting = [row for row in rows if len(row["input_ids"]) <= limit]
        with evaluating(self.model):
            found = iter(self.classifier.logits(fitting))
        scores: list[Scores | None] = []
        for row, start in zip(rows, starts, strict=True):
            length = len(row["input_ids"])
            if length > limit:
                scores.append(None)
                continue
            logits = next(found)
            right = logits.sigmoid()[..., 0] if logits.size(-1) == 1 else logits.softmax(-1)[..., 1]
            scores.append(right[start:length].tolist() if self.by_token else [right.item()])
        return scores


def load(
    name: str,
    device: str = "auto",
    dtype: str = "auto",
    generator: PreTrainedTokenizerBase | None = None,
) -> Verifier:
    """Loads a verifier from a folder, a run or the hub.

    Args:
        device: as `reasonkit.models.loading.load_model` takes it, and ``dtype`` too.
        generator: the tokenizer of the completions' ids, where they have any.

    Raises:
        RefusedError: there is none, it is no verifier, or its tokenizer doesn't fit its weights.
    """
    resolved = resolve(name)
    classifier = classifying.load(resolved, device, dtype, _kind(resolved))
    reading = _reading(name, getattr(classifier.model.config, SETTINGS, None))
    return Verifier(classifier, reading, generator)


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
