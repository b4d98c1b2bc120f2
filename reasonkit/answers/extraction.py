r"""Finds the final answer in what a completion says, whatever format it was written in.

The whole of what the text commits to, or nothing: a fragment that is paid for would train a model
on noise. Stages, each of which says what it took:

1. *tag*: what stands in the last ``<answer>…</answer>``;
2. *box* and *declared*: the last ``\boxed{}`` with those beside it, or what is declared the answer
   (``#### 5``, "the answer is …", "Answer: …"), whichever comes later;
3. *formula*: a last line that is nothing but a formula, the right side of a chain of equations;
4. *sentence*: the quantity that the last sentence states, or what stands in bold there;
5. *choice* and *word*: "(B)", or a text of one word.

The same extractor reads every model before and after training, so that learning a format is never
mistaken for learning to reason. Drawings and programs hold no answers. What a thought is, and where
another turn begins, `reasonkit.answers.reading` tells. Left out: weighing what an answer says
against the words around it, but for a few that take it back ("not 12 but 15").
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from reasonkit.answers.layout import BARE_BOX, LONGEST, boxes, tidy
from reasonkit.answers.plain import is_calculation, is_word, plain
from reasonkit.answers.prose import FORMULA, inside, is_displayed, last_row, sentences, words
from reasonkit.answers.statements import (
    BULLET,
    MOST_WORDS,
    committed,
    in_sentence,
    last_choice,
    stated,
)


class Found(NamedTuple):
    """An answer, and the stage that took it."""

    text: str
    stage: str


_DRAWING = re.compile(
    r"\[asy\].*?(?:\[/asy\]|\Z)|\\begin\s*\{(tikzpicture|asy)\}.*?(?:\\end\s*\{\1\}|\Z)"
    r"|\\begin\s*\{array\}(?:(?!\\end\s*\{array\})[\s\S]){0,4000}?\\(?:cline|multicolumn"
    r"|hline)[\s\S]*?(?:\\end\s*\{array\}|\Z)"
    r"|```(?!text|latex|tex|math|markdown|md|plain)[A-Za-z+#]+[^\n]*\n.*?(?:```|\Z)",
    re.DOTALL,
)
_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_ADVERB = (
    r"(?:(?:therefore|thus|hence|then|simply|just|exactly|approximately|about|indeed|clearly"
    r"|definitely|for sure|equal to|given by|option|choice)(?![A-Za-z])[ \t,:]*)?"
)
_MARKER = re.compile(
    r"(?:\b(?:answers?|(?:correct|right|best) (?:option|choice)|final (?:result|value))[\"']?(?:"
    r"\*{0,2}\s+of(?=\s+\\?[$\d])|"
    r"\*{0,2}\s+(?:is|are|would be|must be|should be|=)(?![A-Za-z]):?|\*{0,2}[ \t]*[:：=]"
    r"|\*{0,2}[ \t]*\n|\s*(?=\$|\\[(\[]))"
    r"|\b(?:réponse|respuesta|resposta|antwort|risposta)(?:\s+(?:est|es|é|ist|è)(?!\w)|\s*:)"
    r"|(?:答案|答)(?:是|为|為|[:：])|(?m:^)A:)[\s*:]*" + _ADVERB,
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"\.?[ \t*]*(?:\n|\Z)|\.[*\"”]*\s|。|,?\s(?:because|since|so|which)\s", re.IGNORECASE
)
_LEADING_CHOICE = re.compile(r"(?:\(([A-J])\)|([A-J])[).,:;。，]|([B-HJ])(?=\s))(?=\W)")
_EXPLAINED = re.compile(r"[\s*_#]*(?:explanation|reasoning|rationale|justification|proof)\b", re.I)
_SENTENCE = 3
_MOST_HEADINGS = 8
_TAIL = 20_000
_LABEL = re.compile(r"\(?(?:[a-z]|\d{1,2})[).]\s|[aI]\s")

_ALGEBRA = re.compile(r"[A-Za-z√∛π∞∅∪∩≤≥≠<>=\\^_!|:]")
_ONE_WORD = re.compile(r"[\s*_]*([^\W\d_]+)[\s.*_]*")
_WORDS_ALONE = re.compile(r"\A\$?\s*\\(?:text|mbox|textbf)\s*\{([^{}]*)\}\s*\$?\Z")
_CHECKED = re.compile(r"\b(?:check|verify|confirm)\w*\b[^.\n]*\Z", re.IGNORECASE)
_AND_OR = re.compile(r"\b(?:and|or)\b|[,;]")
_WORD = re.compile(r"\\?[^\W\d_]{2,}")
_JUDGEMENT = frozenset(
    (
        *("correct", "right", "wrong", "incorrect", "reasonable", "valid", "consistent", "unique"),
        *("confirmed", "verified", "as", "in", "to", "that", "rounded", "given", "simply", "here"),
        *("below", "above", "not", "clear", "obvious", "the"),
    )
)
"""What is said of an answer rather than in it."""


@functools.lru_cache(maxsize=1 << 13)
def find(text: str) -> Found | None:
    """The final answer of a text without thoughts and the stage that took it, or None."""
    tagged = between(text, "<answer>", "</answer>")
    if tagged is not None:
        inner = _bare(_inside(tagged))
        return Found(inner, "tag") if inner else None
    if any(sign in text for sign in ("[asy]", "```", "\\begin")):
        text = _DRAWING.sub("\n", text)
    box, declared = _last_box(text), _declared(text)
    if box is not None and (declared is None or box[1] > declared[1]):
        inner = _inside(box[0]).strip()
        return Found(inner, "box") if inner else None
    if declared is not None:
        return Found(declared[0], "declared")
    if boxes(text):
        return None
    said = sentences(text[-_TAIL:])
    if not said:
        return None
    if len(said) > 1 and _EXPLAINED.match(said[1]):
        said = said[:1]
    if alone := _alone(BULLET.sub("", said[-1])):
        return Found(alone, "formula")
    if word := _ONE_WORD.fullmatch(text):
        return Found(word[1], "word")
    if value := stated(said):
        return Found(value, "sentence")
    choice = last_choice(text)
    return Found(choice, "choice") if choice else None


def is_sentence(text: str) -> bool:
    """Whether it is an answer with a sentence around it, which `find` can take away."""
    count = words(text)
    delimited = count > 1 and FORMULA.search(text) is not None
    return delimited or count >= _SENTENCE or bool(_MARKER.search(text) or _HASHES.search(text))


def between(text: str, opening: str, closing: str) -> str | None:
    """What stands in the last pair of tags; None where there is none."""
    before, closed, _ = text.rpartition(closing)
    _, opened, inner = before.rpartition(opening)
    return inner if closed and opened else None


def _last_box(text: str) -> tuple[str, int] | None:
    r"""The inside of the last ``\boxed{…}`` that isn't empty, and where it ends; empty if all are.

    Several boxes in one sentence, ``$\boxed{1}, \boxed{2}$``, are one answer.
    """
    found = boxes(text)
    filled = [box for box in found if text[box[1] : box[2]].strip()]
    if not filled:
        bare = list(BARE_BOX.finditer(text))
        if bare:
            return bare[-1][1], bare[-1].start(1)
        return ("", len(text)) if found else None
    beside = [filled[-1]]
    for box in reversed(filled[:-1]):
        gap = text[box[2] + 1 : beside[0][0]]
        if not _joined(gap):
            break
        beside.insert(0, box)
    return ", ".join(text[box[1] : box[2]] for box in beside), beside[-1][2]


def _joined(gap: str) -> bool:
    """Whether what stands between two boxes lists them; any word may take the first one back.

    A word may stand with the first one before "and" or "or", as a unit does.
    """
    if len(gap) > LONGEST or len(sentences(f"a{gap}a")) > 1:
        return False
    said = [word for word in _WORD.findall(gap) if not word.startswith("\\")]
    return not said or (said[-1] in ("and", "or") and len(said) <= 2)


def _inside(text: str) -> str:
    """What a box or a tag holds: the answer in it where it holds a sentence."""
    boxed = _last_box(text)
    text = (boxed[0] if boxed and boxed[0] else text).strip()
    said = _WORDS_ALONE.sub(r"\1", text)
    if "\\boxed" in text or plain(tidy(text)) is not None or not is_sentence(said):
        return text
    found = find(said)
    return found.text if found else text


def _declared(text: str) -> tuple[str, int] | None:
    """The last answer that is declared one, and where its declaration begins."""
    found = [said for said in (_after_hashes(text), _after_marker(text)) if said]
    return max(found, key=lambda said: said[1], default=None)


def _after_hashes(text: str) -> tuple[str, int] | None:
    """What follows the last ``####`` that isn't the heading of something else."""
    last_line = text.rstrip().rpartition("\n")[2].strip()
    for said in list(_HASHES.finditer(text))[: -_MOST_HEADINGS - 1 : -1]:
        value = _bare(said[1])
        if value and (_alone(value) or last_line.endswith(said[1].strip())):
            return value, said.start()
    return None


def _after_marker(text: str) -> tuple[str, int] | None:
    for marker in list(_MARKER.finditer(text))[: -_MOST_HEADINGS - 1 : -1]:
        block = FORMULA.match(text, marker.end())
        if block and is_displayed(block):
            value = committed(last_row(inside(block)))
            return (value, marker.start()) if value else None
        following = text[marker.end() : marker.end() + LONGEST]
        first = next(iter(sentences(following)), "")
        if _CHECKED.search(text[max(0, marker.start() - 80) : marker.start()]):
            continue
        if (said := _core(first)) is not None:
            return said, marker.start()
    return None


def _bare(said: str) -> str | None:
    said = said.strip(" \t\n*")
    signs = said.count("$")
    if (signs == 1 and not re.match(r"-?\$\s?[\d.]", said)) or (
        signs == 2 and said[0] == said[-1] == "$"
    ):
        said = said.strip("$").strip()
    return said or None


def _core(said: str) -> str | None:
    """The answer in what follows "the answer is", None where that is none."""
    said = _bare(said) or ""
    end = _SENTENCE_END.search(said)
    short = _bare(said[: end.start() if end else None]) or ""
    choice = _LEADING_CHOICE.match(said)
    if choice and words(said) > 1:
        return choice[choice.lastindex or 1]
    value = plain(tidy(short))
    if value is not None and not is_word(value):
        return short
    found = in_sentence(said, opens=True)
    if found is not None and (words(short) >= MOST_WORDS or not is_word(value)):
        return found
    said_words = re.findall(r"[^\W\d_]+", short.casefold())
    if not said_words or said_words[0] in _JUDGEMENT:
        return None
    return short if len(said_words) <= MOST_WORDS else last_choice(short)


def _alone(line: str) -> str | None:
    """A line that is an answer and nothing else, without what it is said to equal."""
    line = line.strip(" \t*")
    block = FORMULA.fullmatch(line.rstrip(".")) or FORMULA.fullmatch(line)
    name, _, said = line.rpartition("=")
    several = "=" in name and _AND_OR.search(name)
    if len(line) > 4 * LONGEST or (not block and (several or words(said) or words(name) > 1)):
        return None
    value = committed(last_row(inside(block))) if block else committed(_bare(line) or "")
    if not value or len(value) > LONGEST:
        return None
    read = tidy(value)
    known = plain(read)
    if known is not None:
        return None if _haswords(known) and not value.startswith("\\text") else value
    if _LABEL.match(value) or is_calculation(read) or words(value):
        return None
    balanced = sum(map(read.count, "([{")) == sum(map(read.count, ")]}"))
    return value if balanced and _ALGEBRA.search(read) else None


def _haswords(value: object) -> bool:
    members = value if isinstance(value, tuple | frozenset) else ()
    return is_word(value) or any(_haswords(member) for member in members)
