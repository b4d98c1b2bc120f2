r"""Strips an answer of what only lays it out.

Delimiters of formulas (``$…$``, ``\(…\)``), ``\boxed{}``, bold, spacing commands, ``\left`` and
``\right``, the full stop at the end. Several boxes with no more than a few words between them are
one list. Left out: everything that needs the meaning of the text.
"""

from __future__ import annotations

import itertools
import re

LONGEST = 1000
"""Answers of more characters are compared as text only."""

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|(?<!\\)\\[{}]|[{}]")
_WORDS_BETWEEN_BOXES = 4

_DELIMITER = re.compile(r"(?<!\\)(?:\$|\\[()\[\]])")
_SPACING = re.compile(r"(?<!\\)\\(?:[!,;:> ]|quad(?![a-z])|qquad)|(?<!\\)~")
_SIZING = re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle)(?![A-Za-z])\s*")
_THOUSANDS = re.compile(r",\s*\\!\s*|\s*\{\s*,\s*\}\s*|(?<=\d)\\[,;](?=\d{3}(?!\d))")
_BOLD = re.compile(r"\*\*(.*)\*\*|__(.*)__|\\(?:mathbf|boldsymbol|bm)\{([^{}]*)\}")
_SAME = str.maketrans({"−": "-", "–": "-", "\u200b": None, "，": ",", "＝": "="})


def boxes(text: str) -> list[tuple[int, int, int]]:
    r"""Start, start of the inside and end of the inside of each ``\boxed{…}``, brackets balanced.

    A box inside another is not listed, and neither is one that is never closed.
    """
    found: list[tuple[int, int, int]] = []
    opened: list[re.Match[str]] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "}" and opened:
            start = opened.pop()
            if start[0] != "{":
                while found and found[-1][0] > start.start():
                    found.pop()
                found.append((start.start(), start.end(), brace.start()))
        elif brace[0].endswith("{") and brace[0] != "\\{":
            opened.append(brace)
    return found


def tidy(text: str) -> str:
    """The answer without what only lays it out; empty if nothing else is left."""
    text = " ".join(text.translate(_SAME).split())
    if len(text) > LONGEST:
        return text
    while True:
        bare = _DELIMITER.sub("", _unboxed(text)).strip()
        bare = bare.rstrip(".").strip() if not bare.endswith("...") else bare
        if bold := _BOLD.fullmatch(bare):
            bare = next(inside for inside in bold.groups() if inside is not None).strip()
        if bare == text:
            break
        text = bare
    text = _SIZING.sub("", _THOUSANDS.sub(lambda m: "," if "," in m[0] else "", text))
    return " ".join(_SPACING.sub(" ", text).split())


def _unboxed(text: str) -> str:
    found = boxes(text)
    if not found:
        return text
    if len(found) == 1:
        start, inside, end = found[0]
        return text[:start] + text[inside:end] + text[end + 1 :]
    gaps = [text[a[2] + 1 : b[0]] for a, b in itertools.pairwise(found)]
    if any(len(re.findall(r"(?<!\\)\b[A-Za-z]+", g)) > _WORDS_BETWEEN_BOXES for g in gaps):
        return text
    return ", ".join(text[inside:end] for _, inside, end in found)


_PLAIN_TO_LATEX = (
    (re.compile(r"\\\$|\\?%|[$€£°]"), ""),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\^(-\d+)"), r"^{\1}"),
    (re.compile(r"(?<![A-Za-z\\])(?:sqrt|√)\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"√\s*(\d+|[a-z])"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![A-Za-z\\])pi(?![A-Za-z])|π"), r"\\pi "),
    (re.compile(r"∞|(?<![A-Za-z\\])(?:oo|infinity)(?![A-Za-z])"), r"\\infty "),
    (re.compile("≤"), r"\\le "),
    (re.compile("≥"), r"\\ge "),
    (re.compile("≠"), r"\\ne "),
    (re.compile("∪"), r"\\cup "),
    (re.compile("±"), r"\\pm "),
    (re.compile("∈"), r"\\in "),
    (re.compile("[×·]"), r"\\cdot "),
    (re.compile("²"), "^2"),
    (re.compile("³"), "^3"),
)


def formula(text: str) -> str:
    """A tidied answer as LaTeX, with the plain-text and Unicode notations of models rewritten."""
    for pattern, latex in _PLAIN_TO_LATEX:
        text = pattern.sub(latex, text)
    return text
