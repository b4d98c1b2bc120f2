"""What a completion does besides answering: whether it shows work, re-checks it, or declines.

Rules about text, stated below; none knows whether the work is right. A refusal is known by the
turns of phrase that open one in English: an assistant that refuses too much is no use. Leaves out
refusals in other words, and answers that decline after a beginning that goes along.
"""

from __future__ import annotations

import re

_CALCULATION = re.compile(r"\d\s*(?:[-+*/×÷·−^]|\\times|\\cdot|\\div)\s*\d")
_RECHECK = re.compile(
    r"\b(?:wait|hmm+|hold on|on second thought|actually|alternatively|double[- ]check\w*"
    r"|re-?check\w*|re-?examin\w+|re-?consider\w*|re-?think\w*|re-?calculat\w+"
    r"|(?:let me|let's|let us|i should|i'll) (?:check|verify|try again|start over|go back)"
    r"|(?:that's|that is|this is|that was) (?:wrong|not right|incorrect)"
    r"|(?:made|spotted) a mistake)\b",
    re.IGNORECASE,
)

_SORRY = r"(?:(?:i['’]m|i am)\s+(?:\w+\s+)?sorry|sorry|unfortunately|i apologi[sz]e)\b.{0,60}?"
_CANNOT = r"can['’]?t|cannot|can\s+not|won['’]t|will\s+not|(?:not\s+able|unable)\s+to"
_WILL_NOT = r"do\s+not\s+feel\s+comfortable|(?:must|have\s+to)\s+(?:decline|refuse)"
_BUT_GLADLY = r"wait|believe|imagine|thank|stress|emphasi[sz]e|stop|be\s+happier"
_OPENS = re.compile(
    rf"\W*(?:{_SORRY})?\bi(?:\s*['’]m|\s+am)?\s*(?:{_CANNOT}|{_WILL_NOT})\b(?!\s+(?:{_BUT_GLADLY})\b)"
    r"|\W*as\s+an?\s+(?:ai|language\s+model|artificial)\b",
    re.IGNORECASE | re.DOTALL,
)


def shows_work(text: str, thought: str | None, extracted: str | None) -> bool:
    """Whether a completion thinks before it answers, in whatever format.

    It does if its thought has content, or if two numbers are joined by an operator
    somewhere before the last mention of the final answer (anywhere, if there is none).
    """
    return bool((thought or "").strip() or _CALCULATION.search(_before(text, extracted)))


def rechecks(text: str, extracted: str | None) -> bool:
    """Whether a completion re-examines or takes back its own work ("wait", "let me check").

    It does if one of the phrases above stands before the last mention of the final answer
    (anywhere, if there is none), and something stands before the phrase: nothing can be taken back
    at the start. DeepSeek-R1 (arXiv:2501.12948, section 2.2.4) calls it the aha moment.
    """
    before = _before(text, extracted)
    found = _RECHECK.search(before)
    return found is not None and any(c.isalnum() for c in before[: found.start()][len("<think>") :])


def declines(answer: str) -> bool:
    """Whether it opens with a refusal."""
    return _OPENS.match(answer) is not None


def _before(text: str, extracted: str | None) -> str:
    end = text.rfind(extracted) if extracted else -1
    return text[:end] if end >= 0 else text
