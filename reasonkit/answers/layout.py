r"""Strips an answer of what only lays it out.

Delimiters of formulas (``$…$``, ``\(…\)``), ``\boxed{}``, bold, quotes, spacing commands, ``\left``
and ``\right``, punctuation at the end; superscripts, fractions and dashes of Unicode become ASCII.
Several boxes with no more than a few words between them are one list. Left out: everything that
needs the meaning of the text, and digits of other scripts, which are no digits here.
"""

from __future__ import annotations

import itertools
import re
import unicodedata

EQUALS = re.compile(r"(?<![<>!:=\\])=(?![=>])")

FUNCTION = r"(?:arc)?(?:sin|cos|tan|cot|sec|csc)h?|ln|log|exp"
NAME = r"\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?(?:\s*\([^()]*\))?"
"""Patterns of an unknown or a function that is named: ``x``, ``x_1``, ``f(x)``."""

ROW = re.compile(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-z])")
"""Ends a row of a matrix or of aligned formulas."""

LONGEST = 1000
"""Answers of more characters are compared as text only."""

# A backslash and "b" that was read as an escape is a backspace.
_BOX = r"\\f?box(?:ed)?\s*\{|\x08oxed\s*\{|(?<![A-Za-z\\])boxed\s*\{"
_BRACE = re.compile(rf"(?P<box>{_BOX})|(?<!\\)\\[{{}}]|[{{}}]")
_BARE_BOX = re.compile(r"\\f?box(?:ed)?(?:\s+(?=[^\s{])|(?=\d))([^\s$]+)")
_UNCLOSED = re.compile(_BOX)
_WORDS_BETWEEN_BOXES = 4
_BETWEEN_BOXES = re.compile(r"(?<!\\)\b[A-Za-z]+")
_WORDS_ONLY = re.compile(r"[^\W\d_]{2,}(?:[ ,:]+[^\W\d_]+)*[ ,:]*")

_BARE = re.compile(r"-?\d+(?:,\d{3})*", re.ASCII)
_MONEY = re.compile(r"(?<![A-Za-z\\])(?P<land>[A-Z]{0,3})(?P<sure>\\?)\$\s*(?=[-+]?\s*[\d.])")
_DELIMITER = re.compile(r"(?<!\\)(?:\$|\\[()\[\]])")
_SPACING = re.compile(r"(?<!\\)\\(?:[!,;:> ]|n(?![A-Za-z])|quad(?![a-z])|qquad)|(?<!\\)~")
_SIZING = re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle)(?![A-Za-z])\s*")
_THOUSANDS = re.compile(
    r",\s*\\!\s*|\s*\{\s*,\s*\}\s*|(?<=\d)(?:\\[,;: ]|')(?=\d{3}(?!\d))", re.ASCII
)
_WRAPPED = re.compile(
    r"\*\*(.*)\*\*|\*([^*]*)\*|__(.*)__|`([^`]*)`|\"([^\"]*)\"|“([^”]*)”|'([^']*)'"
    r"|\\(?:mathbf|boldsymbol|bm)\{([^{}]*)\}"
)
_LEAD = re.compile(r"(?:[=≈:]|\\approx(?![a-z]))\s*")
_TAIL = re.compile(r"(?<!\\)[,;:]$|(?<!\.\.)\.$|\\+$")
SIGNS = {
    "lbrace": r"\{",
    "rbrace": r"\}",
    "langle": "(",
    "rangle": ")",
    "colon": ":",
    "lt": "<",
    "gt": ">",
    "le": "≤",
    "leq": "≤",
    "leqslant": "≤",
    "ge": "≥",
    "geq": "≥",
    "geqslant": "≥",
    "ne": "≠",
    "neq": "≠",
    "equiv": "≡",
    "in": "∈",
    "cup": "∪",
    "bigcup": "∪",
    "cap": "∩",
    "lor": "∨",
    "vee": "∨",
    "emptyset": "∅",
    "varnothing": "∅",
    "infty": "∞",
    "pm": "±",
    "mp": "∓",
    "times": "×",
    "cdot": "·",
    "div": "÷",
}
"""What stands for a sign by its name in LaTeX, the usual name first."""

_NAMED_SIGNS = re.compile(rf"\\({'|'.join(SIGNS)})(?![A-Za-z])")
_JOINING_WORD = re.compile(r"\\(?:text|mbox)\s*\{\s*(and|or)\s*\}")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z])")

_SAME = str.maketrans(
    {
        **dict.fromkeys("−–—‐‑", "-"),
        **dict.fromkeys("\u200b\u2060\ufeff", None),
        "，": ",",
        "；": ";",
        "：": ":",
        "。": ".",
        "（": "(",
        "）": ")",
        "＝": "=",
        "％": "%",
        "⁄": "/",
        "∕": "/",
        "’": "'",
        "⟨": "(",
        "⟩": ")",
    }
)
_SUPERSCRIPT = re.compile("([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+|ⁿ)")
_SUBSCRIPT = re.compile("([₀₁₂₃₄₅₆₇₈₉]+)")
_SCRIPTS = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ₀₁₂₃₄₅₆₇₈₉", "+-0123456789n0123456789")
_VULGAR = re.compile("(\\d?)([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])", re.ASCII)


def boxes(text: str) -> list[tuple[int, int, int]]:
    r"""Start, start of the inside and end of the inside of each ``\boxed{…}``, brackets balanced.

    A box inside another is not listed, and neither is one that is never closed.
    """
    found: list[tuple[int, int, int]] = []
    if "box" not in text and "\x08ox" not in text:
        return found
    opened: list[re.Match[str]] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "}" and opened:
            start = opened.pop()
            if start["box"]:
                while found and found[-1][0] > start.start():
                    found.pop()
                found.append((start.start(), start.end(), brace.start()))
        elif brace[0] == "{" or brace["box"]:
            opened.append(brace)
    return found


def bare_boxes(text: str) -> list[str]:
    r"""What stands in each ``\boxed 5``, written without braces."""
    return list(_BARE_BOX.findall(text))


def are_one_list(text: str, found: list[tuple[int, int, int]]) -> bool:
    """Whether no more than a few words stand between one of the `boxes` and the next."""
    gaps = (text[a[2] + 1 : b[0]] for a, b in itertools.pairwise(found))
    return all(len(_BETWEEN_BOXES.findall(gap)) <= _WORDS_BETWEEN_BOXES for gap in gaps)


def tidy(text: str) -> str:
    """The answer without what only lays it out; empty if nothing else is left."""
    if _BARE.fullmatch(text):
        return text
    text = " ".join(text.translate(_SAME).split())
    if len(text) > LONGEST:
        return text
    text = _SUPERSCRIPT.sub(lambda m: f"^{{{m[1].translate(_SCRIPTS)}}}", text)
    text = _SUBSCRIPT.sub(lambda m: f"_{{{m[1].translate(_SCRIPTS)}}}", text)
    text = _VULGAR.sub(_vulgar, text)
    if "\\" in text:
        text = text if "\\begin" in text else _DOUBLED.sub(r"\\", text)
        text = _JOINING_WORD.sub(r" \1 ", text)
    text = with_signs(text)
    while True:
        bare = _DELIMITER.sub("", _priced(_unboxed(text))).strip()
        bare = _TAIL.sub("", _LEAD.sub("", bare, count=1) if _LEAD.match(bare) else bare).strip()
        if wrapped := _WRAPPED.fullmatch(bare):
            bare = next(inside for inside in wrapped.groups() if inside is not None).strip()
        if bare == text:
            break
        text = bare
    text = _SIZING.sub("", _THOUSANDS.sub(lambda m: "," if "," in m[0] else "", text))
    return " ".join(_SPACING.sub(" ", text).split())


def with_signs(text: str) -> str:
    """The text with the one sign for whatever a relation or an operation is called."""
    text = text.replace("<=", "≤").replace(">=", "≥").replace("!=", "≠")
    return _NAMED_SIGNS.sub(lambda sign: SIGNS[sign[1]], text) if "\\" in text else text


def _priced(text: str) -> str:
    """Money as ``USD 5``, where the dollar sign is no delimiter of a formula."""
    delimits = len(re.findall(r"(?<!\\)\$", text)) % 2 == 0

    def price(sign: re.Match[str]) -> str:
        return "USD " if sign["sure"] or sign["land"] or not delimits else ""

    return _MONEY.sub(price, text)


def _vulgar(match: re.Match[str]) -> str:
    fraction = unicodedata.normalize("NFKC", match[2]).replace("⁄", "/")
    return f"{match[1]} {fraction}" if match[1] else fraction


def _unboxed(text: str) -> str:
    found = boxes(text)
    if not found:
        return _BARE_BOX.sub(r"\1", _UNCLOSED.sub("", text))
    if len(found) == 1:
        start, inside, end = found[0]
        before = text[:start]
        bare = _WORDS_ONLY.fullmatch(before.rstrip("$([\\ "))
        return ("" if bare else before) + text[inside:end] + text[end + 1 :]
    if not are_one_list(text, found):
        return text
    return ", ".join(text[inside:end] for _, inside, end in found)
