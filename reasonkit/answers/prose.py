r"""Sentences, and the quantities that stand in them, whole.

A quantity is the longest run of what formulas are made of: signs, numbers, names of unknowns,
operators, roots, exponents, brackets, LaTeX, with the known unit behind it and, where commas, "and"
or "or" join several, all of them. ``12 cm^2``, ``2x + 3``, ``(2, 3)``, ``3√2``, ``x = 2 or x = -3``
and ``6.02 x 10^23`` are one quantity each. Words end a run. Left out: numbers in words, and grammar
beyond the few words that tell what a sentence is about from what it says of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reasonkit.answers import units
from reasonkit.answers.layout import FUNCTION, ROW
from reasonkit.answers.numbers import SCALES
from reasonkit.answers.times import MONTH

# As in Markdown: no space inside a delimiter, no digit behind it, so that money opens no formula.
# No alternative reads past the next opening delimiter, so that the search is linear.
FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<block>[^$]+)\$\$"
    r"|(?<![\\$])\$(?P<inline>[^\s$](?:(?:\\\$|[^$\n])*[^\s$\\])?)\$(?!\d)"
    r"|(?<![\\$])\$(?=[^$\n]*\\[A-Za-z])(?P<spaced>(?:\\\$|[^$\n])*)(?<!\\)\$(?!\d)"
    r"|\\\((?P<round>(?:(?!\\[()])[^\n])+)\\\)"
    r"|(?<!\\)\\\[(?P<square>(?:(?!\\[\[\]])[\s\S])+)\\\]"
    r"|(?P<environment>\\begin\s*\{(?P<kind>[A-Za-z]+)\*?\}(?:(?!\\begin\s*\{(?P=kind))[\s\S]){0,4000}?"
    r"\\end\s*\{(?P=kind)\*?\})"
)
_ENVIRONMENTS = r"align|aligned|alignat|gather|gathered|equation|eqnarray|split|multline|flalign"
_OPENING = re.compile(rf"\s*\\begin\s*\{{(?:{_ENVIRONMENTS})\*?\}}(?:\{{\d+\}})?")
_CLOSING = re.compile(rf"\\end\s*\{{(?:{_ENVIRONMENTS})\*?\}}\s*$")
_MATRIX = re.compile(r"\\begin\s*\{(?!(?:" + _ENVIRONMENTS + r")\b)[^{}]*\}")

_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]{2,}")
_NO_WORD = re.compile(
    r"\\(?:text|mbox|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+|\{[a-z]*matrix\}"
    rf"|(?<![A-Za-z])(?:and|or|sqrt|pi|infinity|{FUNCTION})(?![A-Za-z])"
)
_MASK, _DISPLAYED = "\ue000", "\ue003"
_SENTENCE_END = re.compile(
    r"[.!?]+[*_\"”’)\]]*(?=\s|\Z)|。|(?<=[\ue000\ue003])\.(?=[A-Z(])|(?<=\ue003)(?=\s*[A-Z(][a-z])"
    r"|[.!?]\n|\n"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:[ap]\.?\s?m|e\.g|i\.e|vs|approx|no|mr|mrs|ms|dr|st|cf|eq|fig|ft|in|sq|lbs?|hrs?)"
    r"|(?:^|\n)\s*\(?\d{1,2})\.$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"(?:[:=,]|\b(?:is|are|be|equals?|gives?|get|have|obtain|yields?|of|to|that|by))[*_\s]*$"
)

_UNIT_AHEAD = re.compile(
    r"\s*(?:(?:square|cubic|sq\.?|cu\.?|degrees?|per)\s+)?[^\W\d_]+(?:\s*\^\s*\{?-?\d\}?|[²³])?\.?"
    r"(?:\s*(?:/|per\s|·|\*)\s*[^\W\d_]+(?:\s*\^\s*\{?-?\d\}?|[²³])?|\s+(?:squared|cubed))*"
)
_TRAILING_UNIT = re.compile(r"\\?%|°\s*[CF]?(?![^\W\d_])|\s?[€£¥¢$](?!\d)")
_SINGLE_UNIT = frozenset("mgshLlNJWV")
_TOKEN = re.compile(
    rf"(?P<formula>(?=[$\\])(?:{FORMULA.pattern}))"
    rf"|(?P<date>(?i:{MONTH})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?i:{MONTH})(?:,?\s+\d{{4}})?\b)"
    r"|(?P<clock>\d{1,2}:[0-5]\d(?!\d)(?:\s*[AaPp]\.?[Mm]\b\.?)?|\d{1,2}\s*[AaPp]\.?[Mm]\b\.?)"
    r"|(?P<ordinal>\d+(?:st|nd|rd|th)\b)"
    r"|(?P<number>(?:\\?[$€£¥]\s?)?(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+,\d{1,2}(?![\d,])|\d+)(?:\.\d+)?"
    r"(?:[eE][-+]?\d+)?|(?:\\?[$€£¥]\s?)?\.\d+)"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)"
    r"|(?P<latex>\\[A-Za-z]+|[√∛∜πφθ∞∅ℝ])"
    r"|(?P<script>[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ₀₁₂₃₄₅₆₇₈₉½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞°%!']+|\\%)"
    r"|(?P<operator>[-+−–*×·÷/^=≈≡<>≤≥≠±∓|_:∪∩∈&~]|\\[\\,;:! |])"
    r"|(?P<open>\\?[(\[{])|(?P<close>\\?[)\]}])"
    r"|(?P<comma>[,;])"
    r"|(?P<space>\s+|\*\*|__|`)"
    r"|(?P<other>.)",
    re.ASCII | re.DOTALL,
)
_FUNCTION = re.compile(rf"{FUNCTION}|sqrt|pi|infinity|mod", re.IGNORECASE)
_PROSE = re.compile(r"\\(?:text(?:bf|it|rm)?|mbox|item|q?quad|[hv]space|newline)")
_BEFORE_UNKNOWN = re.compile(r"[\d^_=+*/<>(){}|√×·−-]$|[=+*/<>^(]\s$")
_BEHIND_UNKNOWN = re.compile(r"[\d^_=+*/<>)}|×·−-]|\s[=+*/<>^]")
_LABEL = 20
"""Characters that tell what a number counts."""

_NOT_COUNTED = re.compile(
    r"\b(?:step|case|figure|fig|equation|eq|problem|question|part|example|theorem|lemma|chapter"
    r"|section|page|line|option|choice|method|solution|exercise|scenario|day|week|year|grade)\s+#?$",
    re.IGNORECASE,
)


class Quantity(NamedTuple):
    """A quantity as it is written, without the delimiters of formulas, and where it stands."""

    text: str
    start: int
    end: int


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def inside(formula: re.Match[str]) -> str:
    """What stands between a formula's delimiters."""
    return formula[formula.lastgroup or 0].strip()


def is_displayed(formula: re.Match[str]) -> bool:
    """Whether a formula stands on lines of its own."""
    return formula.lastgroup in ("block", "square", "environment")


def last_row(formula: str) -> str:
    """The last row of an aligned formula, any other as it is; without a full stop at its end."""
    text = formula.strip()
    while opening := _OPENING.match(text):
        text = _CLOSING.sub("", text[opening.end() :]).strip()
        rows = [row for row in ROW.split(text) if row.strip(" &\t\n.,\\")]
        if _MATRIX.search(text):
            text = text.replace("&=", "=").replace("& =", "=")
        elif rows:
            text = rows[-1].replace("&", " ").strip()
    return re.sub(r"(?:\\[,;:! ]|[.,;\s])+$", "", text) if text.strip(".,; ") else text


def words(text: str) -> int:
    """How many words stand in a text outside of formulas."""
    return len(_WORDS.findall(_NO_WORD.sub(" ", FORMULA.sub(" ", text))))


def sentences(text: str) -> list[str]:
    """The sentences of a text, in their order. A line is one too, unless it goes on in the next.

    No formula is cut.
    """
    masked = FORMULA.sub(_masked, text)
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(masked):
        before = masked[start : end.end()]
        if end[0] == "\n":
            if not before.strip() or _joined(before, masked[end.end() :], text[end.end() :]):
                continue
        elif _ABBREVIATION.search(before.rstrip('*_"”’)] ')):
            continue
        found.append(text[start : end.end()])
        start = end.end()
    found.append(text[start:])
    return [sentence.strip() for sentence in found if sentence.strip()]


def _joined(before: str, ahead: str, written: str) -> bool:
    """Whether a line goes on in the next: a displayed formula belongs to the words around it."""
    gap = re.match(r"\s*", ahead)
    blank = gap is not None and "\n" in gap[0]
    line, written = ahead.strip().partition("\n")[0], written.lstrip()
    if _GOES_ON.search(before.rstrip()):
        return bool(line) and (not blank or re.search(r"[^\W\d_]{2}", line) is None)
    shown = written.startswith(("\\[", "$$", "\\begin"))
    return shown and not blank and before.rstrip()[-1:] != "."


def _masked(formula: re.Match[str]) -> str:
    said = inside(formula)
    closing = _CLOSING.sub("", said).rstrip() if formula["environment"] else said
    end = "." if closing.endswith(".") else _DISPLAYED if is_displayed(formula) else _MASK
    return _MASK * (len(formula[0]) - 1) + end


def quantities(sentence: str) -> list[Quantity]:
    """All quantities of a sentence, each whole, in their order."""
    found: list[Quantity] = []
    run: list[_Token] = []
    for token in (*_tokens(sentence), _Token("other", "", len(sentence), len(sentence))):
        if _belongs(token, sentence, run) or (token.kind == "space" and run):
            run.append(token)
            continue
        run = _trimmed(run)
        if run and _says_how_much(run, sentence):
            text = "".join(part.text for part in run).replace("**", "").strip()
            if text:
                found.append(Quantity(text, run[0].start, run[-1].end))
        run = []
    return found


def _tokens(text: str) -> Iterator[_Token]:
    """The tokens of a text; what follows a number and is a unit is one. A formula is its inside."""
    behind = 0
    for match in _TOKEN.finditer(text):
        if match.start() < behind:
            continue
        kind, said = match.lastgroup or "other", match[0]
        if kind == "formula" and (formula := FORMULA.match(text, match.start())):
            said = last_row(inside(formula))
        yield _Token(kind, said, match.start(), match.end())
        scale = said.casefold() in SCALES
        if scale or kind in ("number", "formula", "script", "close", "latex"):
            behind = _unit_end(text, match.end())
            if behind > match.end():
                yield _Token("unit", text[match.end() : behind], match.end(), behind)


def _belongs(token: _Token, text: str, run: Sequence[_Token]) -> bool:
    """Whether a token goes on with a run, or begins one."""
    kind, said = token.kind, token.text
    before, ahead = text[max(0, token.start - 2) : token.start], text[token.end : token.end + 2]
    if kind in ("space", "other", "ordinal"):
        return False
    if kind == "latex":
        return _PROSE.fullmatch(said) is None or bool(run)
    if kind == "operator" and said in "-–":
        dash = ahead[:1].isspace() and not before[-1:].isspace()
        return not dash and not before.isalpha()
    if kind == "operator" and said == ":":
        return bool(run) and ahead.lstrip()[:1].isdigit()
    if (kind == "operator" and said == "*") or (kind == "script" and not said.strip("'")):
        return bool(run)
    if kind != "word":
        return True
    low = said.casefold()
    if low in ("and", "or") or (low in SCALES and run and run[-1].kind in ("number", "space")):
        return bool(run)
    if _FUNCTION.fullmatch(said):
        return True
    if said in ("a", "A", "I"):
        return bool(_BEFORE_UNKNOWN.search(before) or _BEHIND_UNKNOWN.match(ahead))
    # Unknowns may stand without a sign between them, and behind a number: 3xy.
    return len(said) == 1 or (len(said) <= 3 and before[-1:].isdigit())


def _unit_end(text: str, end: int) -> int:
    """Where a unit behind a number ends; ``end`` where there is none."""
    marked = _TRAILING_UNIT.match(text, end)
    if marked and not FORMULA.match(text, marked.end() - 1):
        return marked.end()
    ahead = _UNIT_AHEAD.match(text, end)
    said = ahead[0] if ahead else ""
    while bare := said.strip().rstrip("."):
        after = text[end + len(said) : end + len(said) + _LABEL]
        lone = len(bare) == 1
        preposition = bare.casefold() in ("in", "at", "as") and re.match(r"\s+\w", after)
        attached = lone and not said[:1].isspace()
        usual = not lone or bare in _SINGLE_UNIT
        if units.is_known(bare) and usual and not attached and not preposition:
            return end + len(said.rstrip("."))
        shorter = re.sub(r"(?:\s*(?:/|per\s|·|\*)\s*|\s+)\S+$", "", said)
        if shorter == said:
            break
        said = shorter
    return end


def _trimmed(parts: list[_Token]) -> list[_Token]:
    """A run without what it can neither begin nor end with."""
    count = -1
    while len(parts) != count:
        count = len(parts)
        while parts and not _can_begin(parts[0]):
            parts = parts[1:]
        while parts and not _can_end(parts[-1]):
            parts = parts[:-1]
        parts = _balanced(parts)
    return parts


def _can_begin(part: _Token) -> bool:
    if part.kind == "operator":
        return part.text in "-+−±√|~"
    joins = part.kind == "word" and part.text.casefold() in ("and", "or", "mod")
    return not joins and part.kind not in ("space", "comma", "close", "unit")


def _can_end(part: _Token) -> bool:
    if part.kind == "word":
        said = part.text.casefold()
        function = _FUNCTION.fullmatch(said) is not None and said not in ("pi", "infinity")
        return not function and said not in ("and", "or")
    return part.kind not in ("space", "comma", "open") and (
        part.kind != "operator" or part.text == "|"
    )


def _balanced(parts: list[_Token]) -> list[_Token]:
    """The parts up to a bracket that has no other, or behind it where it comes first."""
    opened: list[int] = []
    for i, part in enumerate(parts):
        if part.kind == "open":
            opened.append(i)
        elif part.kind == "close":
            if not opened:
                return parts[:i] if i else parts[1:]
            opened.pop()
    if not opened:
        return parts
    return parts[: opened[0]] if opened[0] else parts[1:]


def _says_how_much(parts: Sequence[_Token], text: str) -> bool:
    """Whether a run is a value or a relation, rather than a name or a number that counts lines."""
    if len(parts) == 1 and (
        re.match(r"[-–][^\W\d_]{2}", text[parts[0].end : parts[0].end + 3])
        or _NOT_COUNTED.search(text[max(0, parts[0].start - _LABEL) : parts[0].start])
    ):
        return False
    return any(
        part.kind in ("number", "clock", "date", "latex")
        or (part.kind == "formula" and _is_value(part.text))
        or (part.kind == "script" and part.text.strip("'!"))
        or (part.kind == "operator" and part.text in "=+<>≤≥^")
        or part.text.casefold() in ("pi", "infinity")
        for part in parts
    )


_ORDINAL = re.compile(r"\d+\s*(?:\^?\s*\{?\s*\\(?:text|mathrm|mbox)\s*\{\s*)?(?:st|nd|rd|th)[\s}]*")
_VALUE = re.compile(
    r"\d|[=<>√π∞]|\\(?:pi|infty|text|emptyset|varnothing|mathbb|boxed|sqrt|d?frac|cot|sin|cos|tan"
    r"|pm|sec|csc|ln|log)(?![a-z])"
)


def _is_value(formula: str) -> bool:
    return _ORDINAL.fullmatch(formula) is None and _VALUE.search(formula) is not None
