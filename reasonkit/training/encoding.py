"""A trace as the tokens that a student is trained on.

The chat template renders the prompt alone, up to where the assistant begins; what follows are the
tokens of the trace and the end of the sequence. So no template can drop a thought from what is
learned, as DeepSeek-R1-Distill's does with everything up to ``</think>``, and training sees the
same tokens as sampling.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from transformers import PreTrainedTokenizerBase

from reasonkit.errors import RunError
from reasonkit.models.chat import controls, each_prompt, turn_end
from reasonkit.types import Trace

IGNORED = -100
"""The label of a token that is read and not learned."""

SHOWN = 200
"""Tokens of a row that are shown of its prompt, and of its trace."""


@dataclass(frozen=True, slots=True)
class Row:
    """A trace as it is learned.

    Attributes:
        trace: that it is.
        opened: the tag of a thought that the prompt has opened already.
        ids: prompt, trace and end of sequence.
        prompt: how many of them are the prompt's, which is not learned.
    """

    trace: Trace
    opened: str
    ids: array[int]
    prompt: int

    @property
    def text(self) -> str:
        """Of the trace, without what the prompt has opened."""
        return _behind(self.opened, self.trace.completion.text)

    @property
    def labels(self) -> list[int]:
        """The ids, with the prompt's put aside."""
        return [IGNORED] * self.prompt + list(self.ids[self.prompt :])

    @property
    def learned(self) -> array[int]:
        """The ids that are learned."""
        return self.ids[self.prompt :]


def encode(tokenizer: PreTrainedTokenizerBase, traces: Sequence[Trace]) -> list[Row | None]:
    """A row a trace, in their order; None for a trace that can't be learned as it is.

    That is one with a character or a special token that doesn't come back from the tokenizer as
    text, and one without a thought where the template has opened one.
    """

    def row(trace: Trace, prompt: list[int], opened: str) -> Row | None:
        text = trace.completion.text
        if not text.lstrip().startswith(opened):
            return None
        ids = tokenizer(_behind(opened, text), add_special_tokens=False).input_ids
        if not ids or not controls(tokenizer).isdisjoint(ids):
            return None
        return Row(trace, opened, array("i", (*prompt, *ids, turn_end(tokenizer))), len(prompt))

    prompts = each_prompt(tokenizer, [trace.example for trace in traces])
    return [
        row(trace, ids, opened.strip())
        for trace, (ids, opened) in zip(traces, prompts, strict=True)
    ]


def _behind(opened: str, text: str) -> str:
    return text.lstrip().removeprefix(opened).lstrip() if opened else text


def check(tokenizer: PreTrainedTokenizerBase, row: Row, labels: Sequence[int]) -> None:
    """That labels, as a trainer got them, hold a trace to its last token and the end of sequence.

    Raises:
        RunError: something is missing; says what.
    """
    learned = [label for label in labels if label != IGNORED]
    if not learned or learned[-1] != turn_end(tokenizer):
        raise RunError("a trace is cut off before its end: the end of sequence is not learned")
    wanted = _as_written(tokenizer, row.text)
    got = _as_written(tokenizer, str(tokenizer.decode(learned[:-1], skip_special_tokens=False)))
    if "</think>" in wanted and "</think>" not in got:
        raise RunError("the end of the thought, </think>, is not learned")
    if got != wanted:
        raise RunError(f"a trace is not learned as it is: {wanted[:80]!r} became {got[:80]!r}")


def _as_written(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A text as the tokenizer's normaliser leaves it, without spaces, which some don't keep."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    return "".join(text.split())


def coloured(tokenizer: PreTrainedTokenizerBase, row: Row) -> Text:
    """A row with what is learned in green and the rest dim; long parts are cut in the middle."""

    def text(ids: Sequence[int]) -> str:
        if len(ids) <= SHOWN:
            return str(tokenizer.decode(list(ids)))
        half = SHOWN // 2
        left_out = len(ids) - 2 * half
        head, tail = tokenizer.decode(list(ids[:half])), tokenizer.decode(list(ids[-half:]))
        return f"{head} … {left_out} tokens … {tail}"

    return Text.assemble((text(row.ids[: row.prompt]), "dim"), (text(row.learned), "green"))
