r"""Rewrites a tidied answer as the LaTeX that math-verify reads as it was meant.

Notations of plain text and of Unicode become LaTeX, units are dropped, decimals become fractions so
that nothing is rounded, ``a \pm b`` becomes two members of a list, degrees inside a trigonometric
function become radians. Left out: repeating decimals, conversion between units.
"""

from __future__ import annotations

import re
from fractions import Fraction

from reasonkit.answers.layout import FUNCTION, SIGNS
from reasonkit.answers.numbers import number, unit_scale

_REWRITES = tuple(
    (re.compile(pattern), latex)
    for pattern, latex in (
        (r"\\\$|\\?%|[$€£¥₹]|(?<![A-Za-z])USD(?![A-Za-z])", ""),
        (r"\\(?:mathrm|text|mathit|mbox)\s*\{\s*(i|[\d.]+)\s*\}", r"{\1}"),
        (r"\[\s*(\[[^\[\]]*\](?:\s*,\s*\[[^\[\]]*\])*)\s*\]", lambda m: _matrix(m[1])),
        (r"\*\*", "^"),
        (r"\^(-\d+)", r"^{\1}"),
        (r"\\[dtc]frac(?![A-Za-z])|\\(?:nice|s)frac(?![A-Za-z])", r"\\frac"),
        (r"\\operatorname\s*\*?\s*\{(" + FUNCTION + r")\}", r"\\\1 "),
        (r"(?<![A-Za-z\\])(" + FUNCTION + r")(?![A-Za-z])", r"\\\1 "),
        (r"(?<![A-Za-z\\])(?:sqrt|√)\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"√\s*(\d+|[a-z])", r"\\sqrt{\1}"),
        (r"∛\s*\(?([\w.]+)\)?", r"\\sqrt[3]{\1}"),
        (r"(\\sqrt\s*\[[^\[\]]*\])\s*(\w)", r"\1{\2}"),
        (r"(\\sqrt(?:\s*\[[^\[\]]*\])?)\s*(\\frac\s*\{[^{}]*\}\s*\{[^{}]*\})", r"\1{\2}"),
        (r"\\sqrt\s*\[([3579])\]\s*\{\s*-\s*(\d+)\s*\}", r"(-\\sqrt[\1]{\2})"),
        (r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
        (r"(?<![A-Za-z\\])(?:oo|infinity)(?![A-Za-z])", r"\\infty "),
        (r"\\backslash(?![a-z])", r"\\setminus "),
        (r"\\bmod(?![a-z])", r"\\mod "),
        (r"\{smallmatrix\}", "{matrix}"),
        (r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?=\s*\\?[A-Za-z])", lambda m: m[1].replace(",", "")),
    )
)
_SIGNS = str.maketrans(
    {sign: rf"\{name} " for name, sign in reversed(SIGNS.items()) if not sign.isascii()}
    | {"π": r"\pi ", "∖": r"\setminus ", "⋅": r"\cdot "}
)
_BREAK = r" \\ "
_EXPONENT = re.compile(r"\^\s*\(")
_ROOT = re.compile(r"(?<![A-Za-z\\])sqrt\s*\(")
_DEGREE = r"(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree(?![a-z]))"
_DEGREES = re.compile(rf"(\d+(?:\.\d+)?)\s*{_DEGREE}", re.ASCII)
_NO_DEGREES = re.compile(_DEGREE)
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_UNIT = re.compile(
    r"(?<=[\d}\w)])\s*(?:\\(?:text|mbox|textnormal)\s*\{[^{}]*[A-Za-z][^{}]*\}"
    r"|\\mathrm\s*\{[\s~]*(?:[A-Za-z]{2,}|[mgsLhNJWV])[^{}]*\})(?:\s*\^\s*\{?\d\}?)?$"
)
_UNIT_WORDS = re.compile(r"(?:(?<=[\d})])|(?<=\\pi))(?:\s+[A-Za-z]{2,})+(?:\s*\^\s*\{?\d\}?)?$")
_DECIMAL = re.compile(r"(?<![\d._])(\d*)\.(\d+)(?![\d.])", re.ASCII)
_PLAIN_NUMBER = re.compile(r"-?\d*\.?\d+", re.ASCII)
_CHAIN = re.compile(r"([^<>=]*?)(>|\\ge )([^<>=]*?)(>|\\ge )([^<>=]*)")
_TURNED = {">": "<", "\\ge ": "\\le "}


def formula(text: str) -> str:
    """A tidied answer as LaTeX, with the plain-text and Unicode notations of models rewritten."""
    if _PLAIN_NUMBER.fullmatch(text):
        return text
    if isinstance(value := number(text), Fraction):
        return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    text = _braced(_EXPONENT, "^", _braced(_ROOT, r"\sqrt", text))
    for pattern, latex in _REWRITES:
        text = pattern.sub(latex, text)
    text = text.translate(_SIGNS)
    if _TRIGONOMETRIC.search(text):
        text = _DEGREES.sub(r"(\\frac{\1 \\pi}{180})", text)
    text = _UNIT.sub("", _NO_DEGREES.sub("", text)).strip()
    text = _UNIT_WORDS.sub(lambda m: "" if unit_scale(m[0]) == 1 else m[0], text)
    text = _DECIMAL.sub(_fraction, text)
    if (chain := _CHAIN.fullmatch(text)) and "\\le" not in text:
        first, above, middle, below, last = chain.groups()
        text = f"{last} {_TURNED[below]} {middle} {_TURNED[above]} {first}"
    return _both_signs(text)


def _braced(opening: re.Pattern[str], command: str, text: str) -> str:
    """``command(…)`` with braces for the brackets that belong together."""
    for found in reversed(list(opening.finditer(text))):
        depth = 1
        for end in range(found.end(), len(text)):
            depth += (text[end] == "(") - (text[end] == ")")
            if depth == 0:
                inside = text[found.end() : end]
                text = f"{text[: found.start()]}{command}{{{inside}}}{text[end + 1 :]}"
                break
    return text


def _matrix(rows: str) -> str:
    cells = [row.replace(",", " & ") for row in re.findall(r"\[([^\[\]]*)\]", rows)]
    return rf"\begin{{pmatrix}}{_BREAK.join(cells)}\end{{pmatrix}}"


def _fraction(decimal: re.Match[str]) -> str:
    whole, part = decimal.groups()
    return rf"\frac{{{int(whole + part)}}}{{1{'0' * len(part)}}}"


def _both_signs(text: str) -> str:
    r"""``\frac{1 \pm a}{2}`` as a list of two, which math-verify makes of no fraction."""
    bracketed = text.startswith(("(", "[", "{", "\\{"))
    if bracketed or "\\pm" not in text or "\\frac" not in text:
        return text
    parts = re.split(r",(?![^{(]*[)}])", text)
    signs = (("+", "-"), ("-", "+"))
    return ", ".join(
        part.replace("\\pm", upper).replace("\\mp", lower)
        for part in parts
        for upper, lower in (signs if "\\pm" in part else signs[:1])
    )
