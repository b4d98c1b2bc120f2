"""Reads what a chat-completions server answers. Leaves out streamed answers and tool calls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from reasonkit.types import Completion

THOUGHTS = ("reasoning_content", "reasoning")
"""Where servers put the thought that they split off."""

ENDED = ("stop", "eos", "end_turn", "stop_sequence", "tool_calls", "function_call")


def completions(answer: Any, max_tokens: int) -> list[Completion]:
    """The completions of an answer, at least one.

    Tokens are counted by a completion's log-probabilities where there are any; else the answer's
    total, which is the bill, is shared out by length; else words stand in for tokens.

    Args:
        max_tokens: that a completion could have: a server that gives no finish reason has cut off
            those that are as long.

    Raises:
        ValueError, TypeError, KeyError: it hasn't the shape of an answer.
    """
    choices = _a(dict, answer, "answer")["choices"]
    if not _a(list, choices, "list of choices"):
        raise ValueError("it holds no choice")
    texts = [text_of(_a(dict, choice["message"], "message")) for choice in choices]
    logprobs = [_logprobs(choice) for choice in choices]
    total = (answer.get("usage") or {}).get("completion_tokens")
    if all(logprobs):
        counts = [len(given) for given in logprobs]
    elif isinstance(total, int) and total >= 0:
        counts = _shared(total, [len(text) for text in texts])
    else:
        counts = [len(text.split()) for text in texts]
    made = []
    for choice, text, given, count in zip(choices, texts, logprobs, counts, strict=True):
        reason = choice.get("finish_reason")
        ended = count < max_tokens if reason is None else reason in ENDED
        mean = fmean(given) if given else None
        made.append(Completion(text, (), "stop" if ended else "length", mean, count))
    return made


def text_of(message: Mapping[str, Any]) -> str:
    """A message's text, a thought that stands apart put back in front of it.

    A message without an answer is a thought that was never closed. A closing tag without an opening
    one belongs to a thought that the server's chat template opened.
    """
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    thought = next((message[name] for name in THOUGHTS if message.get(name)), "")
    # JSON can spell half a character, which no file takes.
    content, thought = (
        _a(str, part, "text").encode(errors="replace").decode() for part in (content, thought)
    )
    if thought:
        return f"<think>{thought}</think>{content}" if content else f"<think>{thought}"
    before, closed, _ = content.partition("</think>")
    return f"<think>{content}" if closed and "<think>" not in before else content


def _logprobs(choice: Mapping[str, Any]) -> list[float]:
    """The log-probability of each token; empty where the server gives none."""
    given = (choice.get("logprobs") or {}).get("content") or []
    values = [float(token["logprob"]) for token in given]
    if not all(map(math.isfinite, values)):
        raise ValueError("a log-probability isn't finite")
    return values


def _shared(total: int, lengths: Sequence[int]) -> list[int]:
    """``total`` in proportion to ``lengths``, in whole numbers that add up to it."""
    whole = sum(lengths) or len(lengths)
    ends, reached = [], 0
    for length in lengths:
        reached += length if sum(lengths) else 1
        ends.append(round(total * reached / whole))
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _a(kind: type, value: Any, name: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"no {name} but {type(value).__name__}")
    return value
