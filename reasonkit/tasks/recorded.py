"""Traces that somebody has recorded, read from a file in one of the usual shapes.

A record is one of

- a chat: ``messages`` (role, content) or ``conversations`` (from, value), the last one the answer;
- ``prompt`` and ``completion``, each a text or a list of messages;
- a question with its worked ``generations`` (OpenR1-Math's columns) or a single ``solution``.

The reference answer is a column of its own, or that of the task's question with the same text.
Leaves out several turns of an assistant: only the last one is a trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonkit.errors import DataError
from reasonkit.tasks.files import records
from reasonkit.tasks.rows import USUAL
from reasonkit.types import Completion, Example, FinishReason, Group, Message

ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant"}
"""ShareGPT's names of the roles; others are left as they are."""

ANSWERS = tuple(name for name in USUAL["answer"] if name != "solution")


@dataclass(frozen=True, slots=True)
class _Recorded:
    messages: tuple[Message, ...]
    texts: tuple[str, ...]
    finishes: tuple[FinishReason, ...] = ()
    answer: str | None = None


def read(path: Path, known: Iterable[Example]) -> list[Group]:
    """The groups of a file, one a question.

    Args:
        known: examples whose references stand in where the file brings none.

    Raises:
        DataError: it can't be read, or a record has none of the shapes; says which.
    """
    references = {normal(example.question): example for example in known}
    examples: dict[str, Example] = {}
    completions: dict[str, list[Completion]] = {}
    for where, record in records(path):
        group = _group(where, record, references)
        examples.setdefault(group.example.id, group.example)
        completions.setdefault(group.example.id, []).extend(group.completions)
    return [Group(example, completions[id]) for id, example in examples.items()]


def normal(question: str) -> str:
    """A question without regard to case and spacing."""
    return "".join(question.lower().split())


def _group(where: str, record: Mapping[str, Any], references: Mapping[str, Example]) -> Group:
    shape = next((shape for needed, shape in SHAPES if needed <= record.keys()), None)
    if shape is None:
        there = ", ".join(record) or "none"
        raise DataError(
            f"{where}: no trace found: expected messages, conversations, prompt and completion, or "
            f"a question with generations or a solution; there are: {there}"
        )
    found = shape(where, record)
    question = next((m["content"] for m in reversed(found.messages) if m["role"] == "user"), "")
    if not question.strip():
        raise DataError(f"{where}: there is no user message to answer")
    if not any(text.strip() for text in found.texts):
        raise DataError(f"{where}: the trace is empty")
    key = normal(question)
    if key in references:
        example = references[key]
    else:
        id = hashlib.sha256(question.encode()).hexdigest()[:12]
        example = Example(id, "recorded", found.messages, found.answer or "")
    finishes: Sequence[FinishReason] = found.finishes or ["stop" for _ in found.texts]
    return Group(
        example,
        [Completion(text, (), end) for text, end in zip(found.texts, finishes, strict=True)],
    )


def _chat(where: str, record: Mapping[str, Any]) -> _Recorded:
    said = _messages(where, record.get("messages", record.get("conversations")))
    if not said or said[-1]["role"] != "assistant":
        raise DataError(f"{where}: the last message is not the assistant's")
    return _Recorded(said[:-1], (said[-1]["content"],), answer=_reference(record))


def _pair(where: str, record: Mapping[str, Any]) -> _Recorded:
    prompt, completion = record["prompt"], record["completion"]
    if isinstance(completion, list):
        completion = _messages(where, completion)[-1]["content"]
    messages = (
        _messages(where, prompt)
        if isinstance(prompt, list)
        else ({"role": "user", "content": _text(where, "prompt", prompt)},)
    )
    text = _text(where, "completion", completion)
    return _Recorded(messages, (text,), answer=_reference(record))


def _question(where: str, record: Mapping[str, Any]) -> _Recorded:
    name = next((name for name in USUAL["question"] if name in record), None)
    if name is None:
        raise DataError(f"{where}: no question beside the trace")
    message = {"role": "user", "content": _text(where, name, record[name])}
    if "generations" not in record:
        text = _text(where, "solution", record["solution"])
        return _Recorded((message,), (text,), answer=_reference(record))
    generations = record["generations"]
    if not isinstance(generations, list) or not generations:
        raise DataError(f"{where}: generations is no list of texts")
    texts = tuple(_text(where, "generations", text) for text in generations)
    given = record.get("finish_reasons") or []
    cut = [i < len(given) and given[i] == "length" for i in range(len(texts))]
    finishes: tuple[FinishReason, ...] = tuple("length" if end else "stop" for end in cut)
    return _Recorded((message,), texts, finishes, _reference(record))


SHAPES: tuple[tuple[set[str], Callable[[str, Mapping[str, Any]], _Recorded]], ...] = (
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
        thought = message.get("reasoning_content")
        if not isinstance(role, str) or not isinstance(content, str):
            raise DataError(f"{where}: expected messages with role and content, both text")
        if isinstance(thought, str) and thought and "<think>" not in content:
            content = f"<think>{thought}</think>{content}"
        made.append({"role": ROLES.get(role, role), "content": _whole(content)})
    return tuple(made)


def _text(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} is no text")
    return _whole(value)


def _whole(text: str) -> str:
    """The text without the half characters that JSON can spell and no file takes."""
    return text.encode(errors="replace").decode()


def _reference(record: Mapping[str, Any]) -> str | None:
    for name in ANSWERS:
        value = record.get(name)
        if isinstance(value, str | int | float) and str(value).strip():
            return str(value).rpartition("####")[2].strip()
    return None
