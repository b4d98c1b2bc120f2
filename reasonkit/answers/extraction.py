"""Finds the final answer in a completion, whatever format it was written in.

The same extractor reads every model before and after training, so that learning a format is never
mistaken for learning to reason. Left out: joining several boxes into one answer; the last one is
the answer.
"""

from __future__ import annotations

import re

from reasonkit.answers.layout import bare_boxes, boxes, tidy
from reasonkit.answers.plain import is_calculation, is_word, plain

_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_BOX_TOKENS = re.compile(r"<\|begin_of_box\|>(.*?)<\|end_of_box\|>", re.DOTALL)
_ADVERB = (
    r"(?:(?:therefore|thus|hence|then|simply|just|exactly|approximately|about|indeed|clearly|for sure"
    r"|definitely|equal to|given by|option|choice)(?![A-Za-z])[ \t,:]*)?"
)
_MARKER = re.compile(
    r"(?:\b(?:answers?|(?:correct|right|best) (?:option|choice))(?:"
    r"\*{0,2}\s+(?:is|are|would be|must be|should be|=)(?![A-Za-z]):?|\*{0,2}[ \t]*[:：=]"
    r"|\*{0,2}[ \t]*\n|\s*(?=\$|\\[(\[]))"
    r"|\b(?:réponse|respuesta|resposta|antwort|risposta)(?:\s+(?:est|es|é|ist|è)(?!\w)|\s*:)"
    r"|(?:答案|答)(?:是|为|為|[:：])|(?m:^)A:)[\s*:]*" + _ADVERB,
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"\.?[ \t*]*(?:\n|\Z)|\.[*\"”]*\s|。|,?\s(?:because|since|so|which)\s", re.IGNORECASE
)
_NUMBER = re.compile(
    r"(?<![\w.])(?:[-+]\$?)?(?:\d+ \d+/\d+|(?<!\d,)(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+)(?![\d,])"
    r"|(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:e[-+]?\d+|/\d+)?"
    r"(?: (?:hundred|thousand|million|billion|trillion)(?![A-Za-z]))?)(?!\d)",
    re.IGNORECASE | re.ASCII,
)
# As in Markdown: no space inside a delimiter, no digit behind it, so that money opens no formula.
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<block>[^$]+)\$\$"
    r"|(?<![\\$])\$(?P<inline>[^\s$](?:(?:\\\$|[^$\n])*[^\s$\\])?)\$(?!\d)"
    r"|(?<![\\$])\$(?P<spaced>(?:\\\$|[^$\n])*\\[A-Za-z](?:\\\$|[^$\n])*)(?<!\\)\$(?!\d)"
    r"|\\\((?P<round>[^\n]+?)\\\)|(?<!\\)\\\[(?P<square>[^\]]+?)\\\]"
    r"|(?P<loose>-?\d*\\[dtc]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|-?\d*\\sqrt\s*\{[^{}]*\})"
)
_CHOICE = re.compile(r"\(([A-J])\)|(?<![\w'’])([B-HJ]|A(?!\s+[a-z]))(?![\w'’])")
_LEADING_CHOICE = re.compile(r"\(?([A-J])\)?[.,:;)。，]?(?:\s|\Z|(?=[^\x00-\x7f]))")
_WORD = re.compile(r"[^\W\d_]{2,}|[\u3040-\u30ff\u3400-\u9fff]")
_MOST_WORDS = 5
_SENTENCE = 3
_NO_WORD = re.compile(
    r"\\(?:text|mbox|mathrm)\s*\{[^{}]*\}|\\[A-Za-z]+|\{[a-z]*matrix\}"
    r"|(?<![A-Za-z])(?:and|or|sqrt|pi|infinity|(?:arc)?(?:sin|cos|tan|cot|sec|csc)|ln|log|exp)"
    r"(?![A-Za-z])"
)
_ALGEBRA = re.compile(r"[A-Za-z√∛π∞∅∪∩≤≥≠<>=\\^_!|:]")
_NAMED = re.compile(r"\s*(?:\\?[A-Za-z]\w*(?:\([^()]*\))?|[^A-Za-z\\]*)\s*")
_LABEL = re.compile(r"\(?(?:[a-z]|\d{1,2})[).]\s|[aI]\s")


def after_thinking(text: str) -> str | None:
    """What follows the last closed thought; None where a thought is still open."""
    _, closed, rest = text.rpartition("</think>")
    if "<think>" in rest:
        return None
    return rest if closed else text


def last_boxed(text: str) -> str | None:
    r"""The inside of the last ``\boxed{…}`` that isn't empty, brackets balanced.

    Returns:
        None where there is no box, and an empty text where each is empty.
    """
    insides = [text[start:end] for _, start, end in boxes(text)]
    insides = insides or _BOX_TOKENS.findall(text) or bare_boxes(text)
    filled = [inside for inside in insides if inside.strip()]
    return filled[-1] if filled else (insides or [None])[-1]


def extract_answer(text: str) -> str | None:
    """The final answer of a completion, or None.

    Looked for after the thinking, in this order: the last ``<answer>`` tag, the last ``\\boxed{}``,
    ``#### …``, "the answer is …", "Answer: …" or "A: …", a last line that is nothing but an answer,
    the last formula or number, whichever ends later, the last choice such as "(B)". An unfinished
    thought is no answer, and neither is a calculation that was left undone.
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
    lines = rest.rstrip().rsplit("\n", 1)
    for said in reversed(_HASHES.findall(rest)):
        if (value := _bare(said)) and (_alone(value) or lines[-1].strip().endswith(said.strip())):
            return value
    return (
        _after_marker(rest)
        or _alone(lines[-1])
        or _last_value(rest)
        or _last_choice(rest)
        or _only_word(rest)
    )


def is_sentence(text: str) -> bool:
    """Whether it is an answer with a sentence around it, which `extract_answer` can take away."""
    words = [w for w in _WORD.findall(_FORMULA.sub(" ", text)) if w not in ("and", "or")]
    delimited = len(words) > 1 and any(not f["loose"] for f in _FORMULA.finditer(text))
    return delimited or len(words) >= _SENTENCE or bool(_MARKER.search(text))


def _after_marker(text: str) -> str | None:
    for marker in reversed(list(_MARKER.finditer(text))):
        block = _FORMULA.match(text, marker.end())
        if block and (inside := block["block"] or block["square"]):
            return inside.strip() or None
        end = _SENTENCE_END.search(text, marker.end())
        said = _bare(text[marker.end() : end.start() if end else len(text)])
        if said is not None:
            return _core(said)
    return None


def _bare(said: str) -> str | None:
    said = said.strip(" \t*")
    if said.count("$") == 1 or (said.count("$") == 2 and said[0] == said[-1] == "$"):
        said = said.strip("$").strip()
    return said or None


def _core(said: str) -> str:
    """The value that a long sentence ends in, or the sentence where it is short or has none."""
    choice = _LEADING_CHOICE.match(said)
    said = _bare(said.rpartition(" is ")[2]) or said
    if len(_WORD.findall(_FORMULA.sub(" ", said))) < _MOST_WORDS:
        return said
    return choice[1] if choice else (_last_value(said) or _last_choice(said) or said)


def _alone(line: str) -> str | None:
    """The line where it is an answer and nothing else, without what it is said to equal."""
    line = line.strip(" \t*")
    name, equals, value = line.rpartition("=")
    if equals and _NAMED.fullmatch(name.rpartition("=")[2]):
        value = value.strip(" \t*")
        if not re.search("[A-Za-z]", name) or plain(tidy(value)) is not None:
            line = value
    read = tidy(line)
    known = plain(read)
    if known is not None:
        return None if _has_words(known) and not line.startswith("\\text") else line or None
    if _LABEL.match(line) or is_calculation(read) or _WORD.search(_NO_WORD.sub(" ", line)):
        return None
    balanced = sum(map(read.count, "([{")) == sum(map(read.count, ")]}"))
    return line if balanced and _ALGEBRA.search(read) else None


def _has_words(value: object) -> bool:
    members = value if isinstance(value, tuple | frozenset) else ()
    return is_word(value) or any(_has_words(member) for member in members)


def _last_value(text: str) -> str | None:
    formulas, numbers = list(_FORMULA.finditer(text)), list(_NUMBER.finditer(text))
    if formulas and (not numbers or numbers[-1].end() <= formulas[-1].end()):
        inside = next(group for group in formulas[-1].groups() if group is not None).strip()
        if any(character.isdigit() for character in inside):
            return inside
    return numbers[-1][0] if numbers else None


def _only_word(text: str) -> str | None:
    word = re.fullmatch(r"\s*([^\W\d_]+)[\s.]*", text)
    return word[1] if word else None


def _last_choice(text: str) -> str | None:
    found = [first or second for first, second in _CHOICE.findall(text)]
    return found[-1] if found else None
