"""Finds the final answer in a completion, whatever format it was written in.

The same extractor reads every model before and after training, so that learning a format is never
mistaken for learning to reason. Left out: joining several boxes into one answer; the last one is
the answer.
"""

from __future__ import annotations

import re

from reasonkit.answers.layout import boxes

_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_MARKER = re.compile(r"(?:\banswer(?:\s+is:?|\s*:)|(?m:^)A:)[ \t*]*", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"\.?[ \t*]*(?:\n|\Z)|\.[*\"”]*\s|,?\s(?:because|since|so|which)\s", re.IGNORECASE
)
NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:e[-+]?\d+|/\d+)?(?!\d)",
    re.IGNORECASE,
)
# As in Markdown: no space inside a delimiter, no digit behind it, so that money opens no formula.
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<block>[^$]+)\$\$|(?<![\\$])\$(?P<inline>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?!\d)"
    r"|(?<![\\$])\$(?P<spaced>[^$\n]*\\[A-Za-z][^$\n]*)(?<!\\)\$(?!\d)"
    r"|\\\((?P<round>[^\n]+?)\\\)|(?<!\\)\\\[(?P<square>[^\]]+?)\\\]"
)
_MOST_WORDS = 5


def after_thinking(text: str) -> str | None:
    """What follows the last closed thought; None where a thought is still open."""
    _, closed, rest = text.rpartition("</think>")
    if "<think>" in rest:
        return None
    return rest if closed else text


def last_boxed(text: str) -> str | None:
    """The inside of the last ``\\boxed{…}``, brackets balanced."""
    found = boxes(text)
    return text[found[-1][1] : found[-1][2]] if found else None


def extract_answer(text: str) -> str | None:
    """The final answer of a completion, or None.

    Looked for after the thinking, in this order: the last ``<answer>`` tag, the last ``\\boxed{}``,
    ``#### …``, "the answer is …" or "A: …", the last formula or number, whichever ends later. An
    unfinished thought is no answer.
    """
    rest = after_thinking(text)
    if rest is None:
        return None
    opened, closed, _ = rest.rpartition("</answer>")
    if closed and "<answer>" in opened:
        inside = opened.rpartition("<answer>")[2].strip()
        return last_boxed(inside) or inside or None
    boxed = last_boxed(rest)
    if boxed is not None:
        return boxed.strip() or None
    hashes = _HASHES.findall(rest)
    if hashes:
        return _bare(hashes[-1])
    for marker in reversed(list(_MARKER.finditer(rest))):
        end = _SENTENCE_END.search(rest, marker.end())
        said = _bare(rest[marker.end() : end.start() if end else len(rest)])
        if said is not None:
            return _core(said)
    return _last_value(rest)


def _bare(said: str) -> str | None:
    said = said.strip(" \t*")
    if said.count("$") == 1 or (said.count("$") == 2 and said[0] == said[-1] == "$"):
        said = said.strip("$").strip()
    return said or None


def _core(said: str) -> str:
    """The value that a long sentence ends in, or the sentence where it is short or has none."""
    said = _bare(said.rpartition(" is ")[2]) or said
    words = re.findall(r"[^\W\d_]{2,}", _FORMULA.sub(" ", said))
    return (_last_value(said) or said) if len(words) >= _MOST_WORDS else said


def _last_value(text: str) -> str | None:
    formulas, numbers = list(_FORMULA.finditer(text)), list(NUMBER.finditer(text))
    if formulas and (not numbers or numbers[-1].end() <= formulas[-1].end()):
        inside = next(group for group in formulas[-1].groups() if group is not None).strip()
        if any(character.isdigit() for character in inside):
            return inside
    return numbers[-1][0] if numbers else None
