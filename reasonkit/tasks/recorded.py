"""Traces that somebody has recorded, read from a file in one of the usual shapes.

A record is one of

- a chat: ``messages`` (role, content) or ``conversations`` (from, value), the last one the answer;
- ``prompt`` and ``completion``, each a text or a list of messages;
- a question with its worked ``generations`` (OpenR1-Math's columns) or a single ``solution``.

The reference answer is a column of its own, or that of the task's question with the same text.
A trace is read as a model of ours would have written it: a thought that only ends in ``</think>``,
because a chat template had opened it, is opened, and the token that ends a turn is taken off.
Leaves out several turns of an assistant: only the last one is a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

from reasonkit import console
from reasonkit.answers.reading import FIELDS, THINK, opened, with_thought
from reasonkit.errors import DataError
from reasonkit.tasks.files import records
from reasonkit.tasks.rows import USUAL, agree, cell, final, id_of
from reasonkit.tasks.splits import normal
from reasonkit.types import Completion, Example, Group, Message

ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant"}
"""ShareGPT's names of the roles; others are left as they are."""

ENDS = (
    *("<|im_end|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"),
    *("<|eot|>", "<|return|>", "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>"),
    *("<end_of_turn>", "<turn|>", "[EOS]"),
)
"""What ends a turn in the usual families of models."""

ANSWERS = tuple(name for name in USUAL["answer"] if name != "solution")


Found = tuple[tuple[Message, ...], list[str]]
"""The prompt of a record, and its traces."""


def read(path: Path, known: Iterable[Example], ends: Iterable[str] = ()) -> list[Group]:
    """The groups of a file, one a prompt; those with two reference answers are left out, and named.

    Args:
        known: examples whose references stand in for what the file brings.
        ends: tokens that end a turn, beside `ENDS`.

    Raises:
        DataError: it can't be read, or a record has none of the shapes; says which.
    """
    find = _finder(known)
    all_ends = tuple(filter(None, (*ENDS, *ends)))
    examples: dict[str, Example] = {}
    completions: dict[str, list[Completion]] = {}
    disputed: dict[str, str] = {}
    for where, record in records(path):
        group = _group(where, record, find, all_ends)
        example = group.example
        first = examples.setdefault(example.id, example)
        if not first.answer:
            examples[example.id] = example
        elif example.answer and not agree(first.answer, example.answer):
            disputed.setdefault(
                example.id,
                f"{where} says {example.answer!r}, {first.where} {first.answer!r}",
            )
        completions.setdefault(example.id, []).extend(group.completions)
    if disputed:
        console.warn_once(
            f"{len(disputed)} prompt(s) with two reference answers are left out: "
            f"{next(iter(disputed.values()))}"
        )
    if disputed and len(disputed) == len(examples):
        raise DataError(f"{path}: every prompt has two reference answers")
    return [Group(e, completions[id]) for id, e in examples.items() if id not in disputed]


def _finder(known: Iterable[Example]) -> Callable[[Sequence[Message]], Example | None]:
    """Finds the known example that a prompt asks: the same question, or the only one like it.

    It has the prompt's messages where those are more than its question.
    """
    same: dict[str, Example] = {}
    like: dict[str, Example | None] = {}
    for example in known:
        same[example.question] = example
        key = normal(example.question)
        like[key] = None if key in like else example

    def find(messages: Sequence[Message]) -> Example | None:
        asked = [message["content"] for message in messages if message["role"] != "system"]
        found = (same.get(asked[0]) or like.get(normal(asked[0]))) if len(asked) == 1 else None
        if found is None or len(messages) == 1:
            return found
        return replace(found, id=id_of(messages), messages=tuple(messages))

    return find


def _group(
    where: str,
    record: Mapping[str, Any],
    find: Callable[[Sequence[Message]], Example | None],
    ends: tuple[str, ...],
) -> Group:
    shape = next((shape for needed, shape in SHAPES if needed <= record.keys()), None)
    if shape is None:
        there = ", ".join(record) or "none"
        raise DataError(
            f"{where}: no trace found: expected messages, conversations, prompt and completion, or "
            f"a question with generations or a solution; there are: {there}"
        )
    prompt, texts = shape(where, record)
    question = next((m["content"] for m in reversed(prompt) if m["role"] == "user"), "")
    if not question.strip():
        raise DataError(f"{where}: there is no user message to answer")
    if not any(text.strip() for text in texts):
        raise DataError(f"{where}: the trace is empty")
    messages = tuple({**m, "content": _without_end(m["content"], ends)} for m in prompt)
    answers = (final(cell(record.get(name))) for name in ANSWERS)
    answer = next(filter(None, answers), "")
    example = find(messages) or Example(id_of(messages), "recorded", messages, answer, where=where)
    cut = [reason == "length" for reason in record.get("finish_reasons") or ()]
    return Group(
        example,
        [
            Completion(opened(_without_end(text, ends)), (), "length" if ended else "stop")
            for text, ended in zip(texts, (*cut, *repeat(False, len(texts))), strict=False)
        ],
    )


def _without_end(text: str, ends: tuple[str, ...]) -> str:
    """A text without the tokens that end its turn."""
    while (bare := text.rstrip()).endswith(ends):
        text = bare.removesuffix(next(end for end in ends if bare.endswith(end)))
    return text


def _chat(where: str, record: Mapping[str, Any]) -> Found:
    said = _messages(where, record.get("messages", record.get("conversations")))
    if not said or said[-1]["role"] != "assistant":
        raise DataError(f"{where}: the last message is not the assistant's")
    return said[:-1], [said[-1]["content"]]


def _pair(where: str, record: Mapping[str, Any]) -> Found:
    prompt, completion = record["prompt"], record["completion"]
    if isinstance(completion, list):
        completion = _messages(where, completion)[-1]["content"]
    if not isinstance(prompt, list):
        prompt = [{"role": "user", "content": _text(where, "prompt", prompt)}]
    return _messages(where, prompt), [_text(where, "completion", completion)]


def _question(where: str, record: Mapping[str, Any]) -> Found:
    name = next((name for name in USUAL["question"] if name in record), None)
    if name is None:
        raise DataError(f"{where}: no question beside the trace")
    source = "generations" if "generations" in record else "solution"
    texts = record[source] if source == "generations" else [record[source]]
    if not isinstance(texts, list) or not texts:
        raise DataError(f"{where}: generations is no list of texts")
    message = {"role": "user", "content": _text(where, name, record[name])}
    return (message,), [_text(where, source, text) for text in texts]


SHAPES: tuple[tuple[set[str], Callable[[str, Mapping[str, Any]], Found]], ...] = (
    ({"prompt", "completion"}, _pair),
    ({"generations"}, _question),
    ({"messages"}, _chat),
    ({"conversations"}, _chat),
    ({"solution"}, _question),
)
"""The columns that a shape is known by; the first one that fits is taken."""


def _messages(where: str, value: Any) -> tuple[Message, ...]:
    if not isinstance(value, Sequence) or not value:
        raise DataError(f"{where}: expected a list of messages")
    made = []
    for message in value:
        if not isinstance(message, Mapping):
            raise DataError(f"{where}: expected messages with role and content")
        role = message.get("role", message.get("from"))
        content = message.get("content", message.get("value"))
        thought = next(filter(None, map(message.get, FIELDS)), None)
        if not isinstance(role, str) or not isinstance(content, str):
            raise DataError(f"{where}: expected messages with role and content, both text")
        if isinstance(thought, str) and thought and THINK[0] not in content:
            content = with_thought(thought, content)
        made.append({"role": ROLES.get(role, role), "content": content})
    return tuple(made)


def _text(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} is no text")
    return value
