r"""What sentences say of quantities: which one they state, and what an equation comes to.

The last sentence that isn't a remark, a question or a check states the answer: what follows "is",
"has", an equals sign and their like, in its last clause. What only qualifies another quantity (9
divisors *of 196*), what stands in a clause that begins with "because" and its like, and what is
denied (not 12 but 15) is not stated. Where a sentence leaves open which of its quantities it is
about, it states none. Left out: every language but English, of which plain forms are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reasonkit.answers.layout import EQUALS, NAME, tidy
from reasonkit.answers.lists import members
from reasonkit.answers.numbers import in_words
from reasonkit.answers.plain import plain
from reasonkit.answers.prose import Quantity, quantities, words

_CHOICE = re.compile(r"\(([A-J])\)|(?<![\w'’])([B-HJ]|A(?!\s+[a-z]))(?![\w'’])")
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*|\\textbf\s*\{([^{}]*)\}")
MOST_WORDS = 5
_AHEAD = 80
"""Characters before a quantity that tell what a sentence says of it."""

_LONGEST_SENTENCE = 4000
_MOST_SENTENCES = 6
BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)]|#+)\s+")
_REMARK = re.compile(
    r"[\s*_>#(-]*(?:note|check|verify|verification|to (?:check|verify|confirm)|alternatively"
    r"|(?:i )?hope|let me know|feel free|if you|thank|great|remember|please|good luck|would you"
    r"|do you|this (?:confirms|matches|agrees|checks)|here(?:'s| is)"
    r"|(?:\(?we|one) (?:may|might|can|could) (?:also )?(?:have|check|verify|confirm)"
    r"|(?:checking|testing|equality (?:holds|occurs))\b(?!.*\b(?:so|find that|thus|hence)\b))\b",
    re.IGNORECASE | re.DOTALL,
)
_REFUSAL = re.compile(
    r"\b(?:can ?not|can't|unable to|couldn't|could not|impossible to|not possible to"
    r"|(?:won't be|not) able to)\s+(?:be\s+)?(?:determin|answer|solv|find|tell|say|comput|help"
    r"|calculat|provid|know|conclud|give|decid|assist|work)\w*"
    r"|\b(?:(?:isn't|is not|not|without) enough|insufficient|(?:don't|do not) know|not sure"
    r"|no idea)\b",
    re.IGNORECASE,
)
_UNKNOWABLE = re.compile(
    r"(?:enough|insufficient|sufficient)\W+(?:\w+\W+){0,2}(?:information|data|context)"
    r"|can ?not be (?:determined|found|answered|solved)",
    re.IGNORECASE,
)
_CUT_OFF = re.compile(
    r"(?:\b(?:is|are|was|the|an?|of|to|and|or|which|that|equals?|be|by|with|so|we|plus|minus"
    r"|times|get|gives?|have|has|for|from|in|than|as|if|because|since|need|must|will|our|her|his"
    r"|their|this)|[,:=+/(\[{]|(?<=\s)[-−])[\s*$]*$",
    re.IGNORECASE,
)
_SUBORDINATE = re.compile(
    r"\b(?:since|because|when|whenever|where|if|given that|after|before|than|out of|independent"
    r"|regardless|though|although|while|compared|such that|assuming|unless|until|as required|namely"
    r"|as desired|for (?:all|any|every|each)|instead of|rather than|so that|who|whose|instead)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\b(?:and(?= (?:after|when|if|since|because|as|once|with)\b)|so(?! that)|thus|hence|therefore"
    r"|then|giving|meaning|leaving|yielding|for a total"
    r"|which (?:gives|means|implies|leaves|makes|yields|equals|comes|simplifies|leads|is|are|we)"
    r"|(?:it follows|conclude|find|see|know) that)\b",
    re.IGNORECASE,
)
_LEADING_CLAUSE = re.compile(
    r"[\s*]*(?:(?:so|and|but|now|thus|therefore)\s*,?\s*)?(?:since|because|if|when|as|given|after"
    r"|for|with|at|in|on|from|by|of|using|once|while|although|though|to|note|[a-z]+ing)\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|isn't|aren't|wasn't|rather than|instead of|never|no longer)\s*[*_]*\s*$",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|gives?|get|gets|got|leaves?|yields?|becomes?|has|have|had"
    r"|costs?|makes?|totals?|find|obtain|need|needs|pays?|earns?|takes?|answer|est|es|ist)\b|[:=→⇒])"
    r"[\s*_,]*(?:(?:a|an|the|only|just|about|around|exactly|approximately|roughly|simply|now|then"
    r"|also|still|therefore|thus|left with|at most|at least|at|to|total|of|a total of|be|equal|our"
    r"|answer|that|by|in total|nearly|almost|another|indeed|precisely|one of)[\s*_,:]+)*$",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"\b(?:of|by|than|from|in|for|with|at|on|per|between|over|under|below|above|within|into|through|among|until|mod"
    r"|every|each|first|last|next|previous|other|divided by|multiple of)\s+(?:the\s+|a\s+|an\s+"
    r"|these\s+|those\s+|all\s+|its\s+|his\s+|her\s+)?[*_]*$",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"[\s*_,]*(?:is|are|was|has|would be|must be) (?:the|our|a|an)\b", re.IGNORECASE
)
_OPENING_WORDS = re.compile(
    r"(?:[\s*_,.]*\b(?:so|thus|therefore|hence|then|finally|and|but|now|only|there|that|it|which"
    r"|means|we|see|find|conclude|know)\b)*[\s*_,:.]*",
    re.IGNORECASE,
)
_PURPOSE = re.compile(r"\bto [a-z]+\b[^,]*$", re.IGNORECASE)
_JOINED = re.compile(r"[,;:=]|\b(?:and|but|or)\b", re.IGNORECASE)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|has|have|had|makes?|gives?|equals?|leaves?|yields?|takes?|gets?|needs?"
    r"|costs?|becomes?|contains?|holds?)\b",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[\s*_,]*(?:and|or|,)[\s*_]*$", re.IGNORECASE)
_EITHER = re.compile(r"(?<![\w'’])[A-J]\W{1,4}or\W{1,4}$")
_LETTERS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)?")
_YES_OR_NO = re.compile(
    r"^[*_\s]*(yes|no|true|false)[*_]*(?:[.!]?[*_]*$|,? (?:because|since|as)\b)"
    r"|[,:][*_\s]*(yes|no|true|false)[*_.!]*$",
    re.IGNORECASE,
)
_PLAINLY = re.compile(r"[*_\s]*(yes|no|true|false)[*_.!\s]*", re.IGNORECASE)
_CALLED = re.compile(
    r"\b(?:(?:is|are) (?:called|named|known as) (?:an? |the )?|is an? )[*_]*"
    r"([^\W\d_]+(?: [^\W\d_]+)?)[*_.!]*$",
    re.IGNORECASE,
)
_SIDES = re.compile(rf"{EQUALS.pattern}|\\equiv(?![a-z])|≡")
_EXACT = re.compile(r"√|π|\\(?:sqrt|pi|d?frac|ln|log|sin|cos|tan)(?![a-z])|\be\^")
_ARROW = re.compile(
    r"\\(?:Rightarrow|implies|Longrightarrow|therefore|longrightarrow|iff)(?![a-z])|[⇒⟹∴]"
)
_NAME = re.compile(NAME)
_NAMES = re.compile(rf"{NAME}|\([^()]*\)")


def stated(said: Sequence[str]) -> str | None:
    """What the last sentence states that isn't a remark, a question or a check."""
    if any(_UNKNOWABLE.search(sentence) for sentence in said[-3:]):
        return None
    if plainly := _PLAINLY.fullmatch(said[0]):
        return plainly[1]
    looked = 0
    for sentence in reversed(said):
        bare = sentence.strip("*_ \t")
        aside = bare.startswith("(") and bare.rstrip(".").endswith(")") and words(bare) > 1
        if _REMARK.match(sentence) or bare.endswith("?") or aside:
            continue
        if _REFUSAL.search(sentence) or (not looked and _CUT_OFF.search(sentence)):
            return None
        bare = BULLET.sub("", sentence)
        if plainly := _YES_OR_NO.search(bare):
            return plainly[1] or plainly[2]
        if found := _named(bare) or in_sentence(bare) or _in_words(bare):
            return found
        looked += 1
        if looked == _MOST_SENTENCES:
            break
    return None


def in_sentence(sentence: str, opens: bool = False) -> str | None:
    """The quantity that a sentence states, or what stands in bold in it; None where that is open.

    Args:
        opens: whether something like "the answer is" stands before it.
    """
    sentence = sentence[-_LONGEST_SENTENCE:]
    for bold in reversed(list(_BOLD.finditer(sentence))):
        said = (bold[1] or bold[2]).strip()
        if said.endswith(":") or len(bold[0]) == len(sentence):
            continue
        held = quantities(said)
        if len(held) == 1:
            return committed(held[0].text)
        if not held and 0 < words(said) < MOST_WORDS and not opens:
            return said.rstrip(".")
    found = [q for q in quantities(sentence) if not _DENIED.search(_ahead(sentence, q))]
    if not found:
        return None
    begins = 0
    for clause in _CLAUSE.finditer(sentence):
        if any(q.start >= clause.end() for q in found) and not _within(clause.start(), found):
            begins = clause.end()
    if not opens and _LEADING_CLAUSE.match(sentence, begins):
        after = [q for q in found if q.start >= begins]
        comma = re.search(r",\$?\s|,\)\s", sentence[after[0].end - 2 :])
        place = after[0].end - 2 + comma.end() if comma else len(sentence)
        if any(q.start >= place for q in found):
            begins = place
    found = [q for q in found if q.start >= begins]
    return _chosen(sentence, found, begins, opens)


def last_choice(text: str) -> str | None:
    """The letter of the last choice that a text names, such as "(B)"; None for "A or B"."""
    last = next(reversed(list(_CHOICE.finditer(text))), None)
    if last is None or _EITHER.search(text[max(0, last.start() - _AHEAD) : last.start()]):
        return None
    return last[1] or last[2]


def _named(sentence: str) -> str | None:
    """The parabola of "The graph of y = x² is a parabola": all quantities stand aside, if any."""
    called = _CALLED.search(sentence)
    aside = called and all(_ASIDE.search(_ahead(sentence, q)) for q in quantities(sentence))
    return called[1] if called and aside else None


def _in_words(sentence: str) -> str | None:
    """The one number in words of a sentence."""
    numbers = [word for word in _LETTERS.findall(sentence) if in_words(word) is not None]
    return numbers[-1] if len(numbers) == 1 and numbers[0].casefold() != "one" else None


def committed(formula: str) -> str:
    r"""What a formula says in the end: the right side of a chain, the whole of a single equation.

    ``a = b = 5`` is 5, ``2 + 3 = 5`` is 5, ``x = 5`` is 5, ``y = 2x + 1`` stays; behind an arrow
    only what it leads to counts, and of an exact value and a rounded one the exact one.
    """
    text = _ARROW.split(formula)[-1].strip(" \t\n,;*").rstrip(".,; ")
    parts = members(tidy(text))
    if len(parts) > 1:
        return text if _are_one_answer(parts) else committed(parts[-1])
    exact, *rounded = re.split(r"\\approx(?![a-z])|≈|\\doteq", text)
    if rounded and "=" not in rounded[-1] and _EXACT.search(_right_side(exact)):
        text = exact
    elif rounded:
        text = f"x = {rounded[-1].strip()}"
    return _right_side(text).strip()


def _are_one_answer(parts: list[str]) -> bool:
    """Whether the members of a list answer together, as ``x = 2`` and ``x = -3`` do.

    Values do, and equations for one name, or for several whose values are plain.
    """
    sides = [EQUALS.split(part) for part in parts]
    if any(len(side) > 2 for side in sides):
        return False
    names = [side[0].strip() for side in sides if len(side) == 2]
    if not all(_NAMES.fullmatch(name) for name in names):
        return False
    if not names:
        relations = [bool(re.search(r"[<>≤≥]|\\[lg]eq?(?![a-z])", part)) for part in parts]
        return all(relations) or not any(relations)
    if len(set(names)) == 1:
        return len(sides[0]) == 2
    return len(names) == len(parts) and all(plain(side[1].strip()) is not None for side in sides)


def _right_side(text: str) -> str:
    sides = _SIDES.split(text)
    if len(sides) == 1:
        return text.strip()
    value, name = sides[-1].strip(" \t&*"), sides[-2].strip(" \t&*\\")
    if not value:
        return text.strip()
    if len(sides) > 2 and re.fullmatch(r"[A-Za-z]", value):
        return name
    arithmetic = not re.search("[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", name))
    if len(sides) > 2 or arithmetic or (_NAME.fullmatch(name) and plain(tidy(value)) is not None):
        return value
    return text.strip()


def _chosen(sentence: str, found: list[Quantity], begins: int, opens: bool) -> str | None:
    """Which of the quantities of a clause it states, None where that is open."""
    first = found[0]
    subordinate = (m.start() for m in _SUBORDINATE.finditer(sentence, first.end))
    cut = next((place for place in subordinate if not _within(place, found)), len(sentence))
    found = [q for q in found if q.start < cut]
    opening, behind = sentence[begins : first.start], sentence[first.end :]
    subject = _OPENING_WORDS.fullmatch(opening) and _SUBJECT.match(behind)
    leads = (opens and not opening.strip(" *_$")) or (subject and "=" not in first.text)
    beside = len(found) > 1 and _BETWEEN.search(sentence[first.end : found[1].start])
    if leads and not beside:
        return committed(first.text)
    apart = [q for i, q in enumerate(found) if not _stands_aside(sentence, found, i)]
    if not apart and len(found) > 1:
        return None
    chosen = apart[-1] if apart else found[-1]
    stated = [q for q in apart if _STATED.search(_ahead(sentence, q))]
    if stated and chosen.start > stated[-1].start:
        gap = sentence[stated[-1].end : chosen.start]
        if _ASIDE.search(gap) or _PURPOSE.search(gap) or not _JOINED.search(gap):
            chosen = stated[-1]
    place = found.index(chosen)
    if place and re.search(r"\b(?:and|or)[\s*_]*$", _ahead(sentence, chosen)):
        gap = sentence[found[place - 1].end : chosen.start]
        if len(re.findall(r"[^\W\d_]+", gap)) <= 3:
            return None
    return committed(chosen.text)


def _stands_aside(sentence: str, found: list[Quantity], place: int) -> bool:
    """Whether a quantity only qualifies another: the 196 of "9 divisors of 196"."""
    before = _ahead(sentence, found[place])
    aside = _ASIDE.search(before)
    if aside is None:
        return False
    if aside[0].split()[0].casefold() != "of":
        return len(found) > 1
    if place == 0:
        return False
    gap = sentence[found[place - 1].end : found[place].start - len(before) + aside.start()]
    return _VERB.search(gap) is None and len(re.findall(r"[^\W\d_]+", gap)) <= 3


def _ahead(sentence: str, quantity: Quantity) -> str:
    return sentence[max(0, quantity.start - _AHEAD) : quantity.start]


def _within(place: int, found: list[Quantity]) -> bool:
    return any(q.start <= place < q.end for q in found)
