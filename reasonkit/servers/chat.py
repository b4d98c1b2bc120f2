"""Reads what a chat-completions server answers. Leaves out streamed answers and tool calls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise
from statistics import fmean
from typing import Any

from reasonkit.answers.reading import FIELDS, opened, with_thought
from reasonkit.types import Completion, FinishReason, token_confidence

CHAT = "/chat/completions"
"""Its path below the URL."""

ENDED = ("stop", "eos", "end_turn", "stop_sequence", "tool_calls", "function_call")

IMPROPER = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading the parts of an answer raises that hasn't the shape of one."""


def completions(answer: Any, max_tokens: int) -> list[Completion]:
    """The completions of an answer, at least one; choices that hold none are left out.

    A choice without a text, because it was filtered or refused, is a completion that failed. What
    an answer says about tokens beside its texts was paid for with them, and is passed over where it
    makes no sense. Tokens are counted by a completion's log-probabilities where there are any; else
    the answer's total, which is the bill, is shared out by length; else words stand in for tokens.

    Args:
        max_tokens: that a completion could have: a server that gives no finish reason has cut off
            those that are as long.

    Raises:
        ValueError, TypeError, KeyError: it hasn't the shape of an answer.
    """
    choices, texts = _proper(_a(list, _a(dict, answer, "answer")["choices"], "list of choices"))
    logprobs = [_logprobs(choice) for choice in choices]
    total = _total(answer.get("usage"))
    if all(logprobs):
        counts = [len(given) for given in logprobs]
    elif total is not None:
        counts = _shared(total, [len(text) for text in texts])
    else:
        counts = [len(text.split()) for text in texts]
    made = []
    for choice, text, given, count in zip(choices, texts, logprobs, counts, strict=True):
        reason = str(choice.get("finish_reason") or "").lower()
        if failure := "" if text else _failure(choice, reason):
            made.append(Completion("", (), "failed", None, count, failure))
            continue
        ended = reason in ENDED if reason else count < max_tokens
        mean = fmean(given) if given and all(map(math.isfinite, given)) else None
        finish: FinishReason = "stop" if ended else "length"
        sure = _confidences(choice)
        made.append(Completion(text, (), finish, mean, count, confidences=sure))
    return made


def _proper(choices: Sequence[Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The choices that hold a message, and its text."""
    there, texts = [], []
    wrong: Exception = ValueError("it holds no choice")
    for choice in choices:
        try:
            text = text_of(_message(choice))
            if not text and choice.get("error"):
                raise ValueError(f"a choice holds an error: {choice['error']}")
        except IMPROPER as error:
            wrong = error
        else:
            there.append(choice)
            texts.append(text)
    if not there:
        raise wrong
    return there, texts


def _message(choice: Mapping[str, Any]) -> dict[str, Any]:
    """A choice's message; an empty one where it was filtered away."""
    if choice.get("message") is None and _is_filtered(choice):
        return {}
    message: dict[str, Any] = _a(dict, choice["message"], "message")
    return message


def _is_filtered(choice: Mapping[str, Any]) -> bool:
    reason = str(choice.get("finish_reason")).lower()
    return "filter" in reason or reason in ("refusal", "safety")


def _failure(choice: Mapping[str, Any], reason: str) -> str:
    """Why a choice has no text; empty where the model just said nothing."""
    message = _message(choice)
    if message.get("refusal"):
        return f"refusal: the model says {str(message['refusal'])[:200]!r}"
    if _is_filtered(choice):
        return f"content filter: held back, with finish reason {reason!r}"
    if message.get("content") is None and reason not in ("length", "max_tokens"):
        return f"no text: a message without content, with finish reason {reason!r}"
    return ""


def text_of(message: Mapping[str, Any]) -> str:
    """A message's text, a thought that stands apart put back in front of it.

    A message without an answer is a thought that was never closed. A closing tag without an opening
    one belongs to a thought that the server's chat template opened.
    """
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    thought = next((message[name] for name in FIELDS if message.get(name)), "")
    # JSON can spell half a character, which no file takes.
    content, thought = (
        _a(str, part, "text").encode(errors="replace").decode() for part in (content, thought)
    )
    return with_thought(thought, content) if thought else opened(content)


def _logprobs(choice: Mapping[str, Any]) -> list[float]:
    """The log-probability of each token, NaN where it isn't told; empty where there are none."""
    try:
        given = choice["logprobs"]["content"]
        return [math.nan if t["logprob"] is None else float(t["logprob"]) for t in given]
    except IMPROPER:
        return []


def _confidences(choice: Mapping[str, Any]) -> tuple[float, ...]:
    """How sure the model was of each token; empty where the likeliest aren't told."""
    try:
        likeliest = [place["top_logprobs"] for place in choice["logprobs"]["content"]]
        places = [[float(token["logprob"]) for token in tokens] for tokens in likeliest]
        told = all(map(math.isfinite, chain(*places))) and all(places)
        return tuple(map(token_confidence, places)) if told else ()
    except IMPROPER:
        return ()


def _total(usage: Any) -> int | None:
    """The completion tokens of an answer's usage; None where it doesn't tell a number."""
    try:
        total = round(float(usage["completion_tokens"]))
    except IMPROPER:
        return None
    return total if total >= 0 else None


def _shared(total: int, lengths: Sequence[int]) -> list[int]:
    """``total`` in proportion to ``lengths``, in whole numbers that add up to it."""
    weights = lengths if sum(lengths) else [1] * len(lengths)
    ends = [round(total * reached / sum(weights)) for reached in accumulate(weights)]
    return [end - start for start, end in pairwise([0, *ends])]


def _a(kind: type, value: Any, name: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"no {name} but {type(value).__name__}")
    return value
