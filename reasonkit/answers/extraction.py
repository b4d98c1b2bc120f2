"""Finds the final answer in a completion, whatever format it was written in.

The same extractor reads every model before and after training, so that learning a format is never
mistaken for learning to reason.
"""

from __future__ import annotations

import re

_ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_HASHES = re.compile(r"####[ \t]*(.+)")
_MARKER = re.compile(
    r"(?:\b(?:final\s+)?answer(?:\s+is:?|\s*:)|(?m:^)A:)[ \t*]*"
    r"(.+?)(?=\.?[ \t*]*(?:\n|\Z)|\.\s|,?\s(?:because|since|so|which)\s)",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:e[-+]?\d+|/\d+)?(?!\d)",
    re.IGNORECASE,
)


def after_thinking(text: str) -> str | None:
    """What follows the last closed thought; None where a thought is still open."""
    _, closed, rest = text.rpartition("</think>")
    if "<think>" in rest:
        return None
    return rest if closed else text


def last_boxed(text: str) -> str | None:
    """The inside of the last ``\\boxed{…}``, brackets balanced."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    inside = start + len("\\boxed{")
    depth = 1
    for i in range(inside, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[inside:i]
    return None


def extract_answer(text: str) -> str | None:
    """The final answer of a completion, or None.

    Looked for after the thinking, in this order: the last ``<answer>`` tag, the last ``\\boxed{}``,
    ``#### …``, "the answer is …" or "A: …", the last number. An unfinished thought is no answer.
    """
    rest = after_thinking(text)
    if rest is None:
        return None
    tagged = _ANSWER_TAG.findall(rest)
    if tagged:
        inside = tagged[-1].strip()
        return last_boxed(inside) or inside or None
    boxed = last_boxed(rest)
    if boxed is not None:
        return boxed.strip() or None
    for pattern in (_HASHES, _MARKER):
        found = pattern.findall(rest)
        if found:
            return found[-1].strip(" \t*$") or None
    numbers = NUMBER.findall(rest)
    return numbers[-1] if numbers else None
