"""Finds the final answer in a completion, whatever format it was written in.

The same extractor reads every model before and after training, so that learning a format is never
mistaken for learning to reason. Left out: joining boxes of several formulas into one answer (the
last one is the answer), and weighing what an answer says against the words around it.
"""

from __future__ import annotations

import re

from reasonkit.answers.layout import LONGEST, are_one_list, bare_boxes, boxes, tidy
from reasonkit.answers.plain import is_calculation, is_word, plain

_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_ADVERB = (
    r"(?:(?:therefore|thus|hence|then|simply|just|exactly|approximately|about|indeed|clearly"
    r"|definitely|for sure|equal to|given by|option|choice)(?![A-Za-z])[ \t,:]*)?"
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
# No alternative reads past the next opening delimiter, so that the search is linear.
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<block>[^$]+)\$\$"
    r"|(?<![\\$])\$(?P<inline>[^\s$](?:(?:\\\$|[^$\n])*[^\s$\\])?)\$(?!\d)"
    r"|(?<![\\$])\$(?=[^$\n]*\\[A-Za-z])(?P<spaced>(?:\\\$|[^$\n])*)(?<!\\)\$(?!\d)"
    r"|\\\((?P<round>(?:(?!\\[()])[^\n])+)\\\)"
    r"|(?<!\\)\\\[(?P<square>(?:(?!\\[\[\]])[\s\S])+)\\\]"
    r"|(?<!\d)(?P<loose>-?\d*\\[dtc]?(?:frac\s*\{[^{}]*\}\s*\{[^{}]*\}|sqrt\s*\{[^{}]*\}))"
)
_CHOICE = re.compile(r"\(([A-J])\)|(?<![\w'’])([B-HJ]|A(?!\s+[a-z]))(?![\w'’])")
_LEADING_CHOICE = re.compile(r"(?:\(([A-J])\)|([A-J])[).,:;。，]|([B-HJ])(?=\s))(?=\W)")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]{2,}")
_MOST_WORDS = 5
_SENTENCE = 3
_MOST_HEADINGS = 8
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


def answer_part(text: str) -> str | None:
    """What a completion says in the end, of whatever kind it is; None while it is still thinking.

    That is what stands in the last ``<answer>…</answer>`` after the thinking; without one, all that
    follows the last thought; without a thought, all of it.
    """
    rest = after_thinking(text)
    if rest is None:
        return None
    tagged = _between(rest, "<answer>", "</answer>")
    return (rest if tagged is None else tagged).strip()


def last_boxed(text: str) -> str | None:
    r"""The inside of the last ``\boxed{…}`` that isn't empty, brackets balanced.

    Several boxes in one formula, ``$\boxed{1}, \boxed{2}$``, are one answer and returned as they
    are written.

    Returns:
        None where there is no box, and an empty text where each is empty.
    """
    found = boxes(text)
    filled = [box for box in found if text[box[1] : box[2]].strip()]
    if not filled:
        return next(reversed(bare_boxes(text)), "" if found else None)
    last = filled[-1]
    for formula in _FORMULA.finditer(text):
        beside = [box for box in filled if formula.start() < box[0] < formula.end()]
        if len(beside) > 1 and beside[-1] == last and are_one_list(text, beside):
            return text[beside[0][0] : last[2] + 1]
    return text[last[1] : last[2]]


def extract_answer(text: str) -> str | None:
    """The final answer of a completion, or None.

    Looked for after the thinking, in this order: the last ``<answer>`` tag, the last ``\\boxed{}``,
    ``#### …``, "the answer is …", "Answer: …" or "A: …", a last line that is nothing but an answer,
    the last formula or number, whichever ends later, the last choice such as "(B)". An unfinished
    thought is no answer.
    """
    rest = after_thinking(text)
    if rest is None:
        return None
    tagged = _between(rest, "<answer>", "</answer>")
    if tagged is not None:
        return (last_boxed(tagged) or tagged).strip() or None
    boxed = last_boxed(rest)
    if boxed is not None:
        return boxed.strip() or None
    last_line = rest.rstrip().rpartition("\n")[2]
    return (
        _after_hashes(rest, last_line)
        or _after_marker(rest)
        or _alone(last_line)
        or _last_value(rest)
        or _last_choice(rest)
        or _only_word(rest)
    )


def is_sentence(text: str) -> bool:
    """Whether it is an answer with a sentence around it, which `extract_answer` can take away."""
    words = _words(text)
    delimited = words > 1 and any(not f["loose"] for f in _FORMULA.finditer(text))
    return delimited or words >= _SENTENCE or bool(_MARKER.search(text) or _HASHES.search(text))


def _words(text: str) -> int:
    outside = _NO_WORD.sub(" ", _FORMULA.sub(" ", text))
    return len(_WORD.findall(outside))


def _between(text: str, opening: str, closing: str) -> str | None:
    before, closed, _ = text.rpartition(closing)
    _, opened, inside = before.rpartition(opening)
    return inside if closed and opened else None


def _after_hashes(text: str, last_line: str) -> str | None:
    """What follows the last ``####`` that isn't the heading of something else."""
    for said in _HASHES.findall(text)[: -_MOST_HEADINGS - 1 : -1]:
        value = _bare(said)
        if value and (_alone(value) or last_line.strip().endswith(said.strip())):
            return value
    return None


def _after_marker(text: str) -> str | None:
    for marker in reversed(list(_MARKER.finditer(text))):
        block = _FORMULA.match(text, marker.end())
        if block and (inside := block["block"] or block["square"]):
            return inside.strip() or None
        following = text[marker.end() : marker.end() + LONGEST]
        end = _SENTENCE_END.search(following)
        said = _bare(following[: end.start() if end else None])
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
    if choice and _words(said) > 1:
        return choice[choice.lastindex or 1]
    said = _bare(said.rpartition(" is ")[2]) or said
    if _words(said) < _MOST_WORDS:
        return said
    return _last_value(said) or _last_choice(said) or said


def _alone(line: str) -> str | None:
    """The line where it is an answer and nothing else, without what it is said to equal."""
    line = line.strip(" \t*")
    if len(line) > LONGEST:
        return None
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
        if any(character.isdigit() for character in inside) and _words(inside) < 2:
            return inside
    return numbers[-1][0] if numbers else None


def _only_word(text: str) -> str | None:
    word = re.fullmatch(r"\s*([^\W\d_]+)[\s.]*", text)
    return word[1] if word else None


def _last_choice(text: str) -> str | None:
    found = [first or second for first, second in _CHOICE.findall(text)]
    return found[-1] if found else None
