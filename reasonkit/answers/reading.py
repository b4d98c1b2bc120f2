r"""Takes a completion's text apart: its own turn, its thought, and what it says behind that.

1. *Its own turn*: what a model goes on with in other roles ("User: …", a chat template's tags) is
   not its answer. A line such as "Question: …" begins another turn only behind an answer.
2. *Its thought*, in any of the tags of `THOUGHTS`, closed before the answer. A closing tag alone
   belongs to a thought that the prompt opened. An open thought is no answer yet.

Nothing else splits a thought from an answer. Left out: several thoughts, which count as one.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from reasonkit.answers.extraction import between, find
from reasonkit.answers.layout import boxes

THINK, ANSWER = ("<think>", "</think>"), ("<answer>", "</answer>")
TAGS = (*THINK, *ANSWER)

THOUGHTS = (
    THINK,
    ("[THINK]", "[/THINK]"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""How models write thoughts; the first is how it is written here."""

FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Where chats keep a thought that stands apart."""

SHORTEST_THOUGHT = 5
"""Characters of a well-formed thought that are not white space; ``2+3=5`` has five."""

_TAG = re.compile(r"</?(?:think|answer)\b")
_SHAPE = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)
_PIECES = re.compile(r"(<think>.*?(?:</think>|\Z)|<answer>.*?(?:</answer>|\Z))", re.DOTALL)

_TOKEN = (
    r"<\|(?:im_start|im_end|endoftext|end_of_text|eot_id|end|user|start_header_id|eom_id)\|>"
    r"|<(?:end_of_turn|start_of_turn|eos)>|</s>|\[/?INST\]|<\|start\|>(?!assistant)|<｜[^｜]*｜>"
)
_HEAD = r"(?:^|\n)[ \t]*(?:#{1,6}[ \t]*|\*\*|\[)?"
_ENDED_TOKEN = re.compile(rf"(?:{_TOKEN})(?=\s|\Z)")
_TURN = re.compile(
    rf"{_TOKEN}|{_HEAD}(?:user|human)(?:(?:\*\*|\])?[ \t]*:|\]|[ \t]*\n(?=[^\n]))"
    rf"|{_HEAD}instruction[ \t]*:",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    rf"{_HEAD}(?:(?:next |new |follow-?up |another )?"
    r"(?:question|problem|exercise|q|input|customer|student)(?:[ \t]*#?\d+)?(?:\*\*)?[ \t]*"
    r"[:.](?!\d)"
    r"|问题?[:：])"
    r"|\n[ \t]*#{1,6}[ \t]*(?:question|problem|exercise|example)[ \t]*\d+[ \t]*(?=\n)"
    r"|\n\n[ \t]*\d+[.)][ \t](?=[^\n]+\n\s*solution[ \t]*:)",
    re.IGNORECASE,
)
_TURN_WORDS = ("user", "human", "instruction", "<", "[")
_ASKING = (
    *("question", "problem", "exercise", "example", "input", "customer", "student", "solution"),
    *("q:", "q.", "q1", "q2", "q ", "q*", "q#", "问"),
)
_FENCE = re.compile(r"```.*?```", re.DOTALL)
_SPEAKER = re.compile(
    r"\A\s*(?:#{1,6}[ \t]*|\*\*)?(?:assistant|response|ai|bot|model)(?:\*\*)?[ \t]*:\**",
    re.IGNORECASE,
)
_ENDED = re.compile(r"[.!?。](?=\s)|\n|</answer>")


class Reading(NamedTuple):
    """A completion's text, taken apart.

    Attributes:
        thought: what stands in the tags of thoughts, closed or not; None where there are none.
        answer: what the completion says behind them, in its own turn; None while it still thinks.
    """

    thought: str | None
    answer: str | None


@functools.lru_cache(maxsize=1 << 12)
def read(text: str, code: bool = False) -> Reading:
    """Takes a completion's text apart.

    Args:
        code: whether a program is asked for, in which a line that looks like another turn is one
            only where it stands outside of a code fence.
    """
    for opening, closing in THOUGHTS[1:]:
        if opening in text or closing in text:
            text = text.replace(opening, THINK[0]).replace(closing, THINK[1])
    thoughts: list[str] = []
    while True:
        opened, closed = text.find(THINK[0]), text.find(THINK[1])
        if opened >= 0 and (closed < 0 or opened < closed):
            before = text[:opened]
            if before.strip() and (own := _own_turn(before)) != before:
                answer: str | None = own
                break
            thoughts.append(text[opened + len(THINK[0]) : closed if closed >= 0 else None])
            if closed < 0:
                answer = None
                break
        elif closed >= 0:
            thoughts.append(text[:closed])
        else:
            turns = not code or "```" in text or _ENDED_TOKEN.search(text)
            answer = _own_turn(text) if turns else text
            break
        text = text[closed + len(THINK[1]) :]
    return Reading("\n".join(thoughts) if thoughts else None, answer)


def opened(text: str) -> str:
    """A text whose thought is only closed, as where a template opened it, with both of its tags."""
    before, closed, _ = text.partition(THINK[1])
    return THINK[0] + text if closed and THINK[0] not in before else text


def with_thought(thought: str, said: str) -> str:
    """A completion whose thought was kept apart, whole; one that says nothing still thinks."""
    return f"{THINK[0]}{thought}{THINK[1]}{said}" if said else THINK[0] + thought


def extract_answer(text: str) -> str | None:
    """The final answer in what a completion says behind its thought, or None."""
    said = read(text).answer
    found = find(said) if said is not None else None
    return found.text if found else None


def answer_part(text: str) -> str | None:
    """What a completion says in the end, of whatever kind it is; None while it is still thinking.

    That is what stands in the last ``<answer>…</answer>`` after the thinking; without one, all that
    follows the thought; without a thought, all of it.
    """
    said = read(text).answer
    if said is None:
        return None
    tagged = between(said, *ANSWER)
    return (said if tagged is None else tagged).strip()


def thought_of(text: str) -> str:
    """What stands inside the thinking tags, closed or not; the whole text where there are none."""
    thought = read(text).thought
    return text if thought is None else thought


def is_well_formed(text: str) -> bool:
    """Whether a completion is one thought with work in it and then one answer.

    The rule: the text is ``<think>…</think><answer>…</answer>`` with nothing but white space around
    and between; neither part holds a tag of either kind; the answer has a letter or a digit, and so
    has the thought; the thought has at least `SHORTEST_THOUGHT` characters that aren't white space,
    and they are more than the answer, once or repeated.
    """
    match = _SHAPE.fullmatch(text)
    if match is None or len(_TAG.findall(text)) != 4:
        return False
    thought, answer = ("".join(part.split()) for part in match.groups())
    return (
        any(map(str.isalnum, answer))
        and any(map(str.isalnum, thought))
        and len(thought) >= SHORTEST_THOUGHT
        and thought.replace(answer, "") != ""
    )


def pieces(text: str) -> list[tuple[str, str]]:
    """A completion cut at its tags, each piece after its kind: think, answer or plain."""
    kinds = {THINK[0]: "think", ANSWER[0]: "answer"}
    return [
        (kinds.get(piece[: piece.find(">") + 1], "plain"), piece)
        for piece in _PIECES.split(text)
        if piece
    ]


def _own_turn(text: str) -> str:
    """The text up to where another turn begins. What stands in a code fence begins none."""
    text = _SPEAKER.sub("", text, count=1)
    # Most texts hold none of these words, and are told so sooner than a pattern does.
    low = text.lower()
    masked = _FENCE.sub(lambda fence: "`" * len(fence[0]), text) if "```" in text else text
    for turn in _TURN.finditer(masked) if any(word in low for word in _TURN_WORDS) else ():
        if text[: turn.start()].strip():
            text, masked = text[: turn.start()], masked[: turn.start()]
            break
    for asked in _QUESTION.finditer(masked) if any(word in low for word in _ASKING) else ():
        before = text[: asked.start()]
        if not before.strip():
            continue
        # Working goes on in sentences: one alone answers only where what follows is set off.
        apart = "\n\n" in text[max(0, asked.start() - 1) : asked.end()]
        apart = apart or any(map(str.isdigit, asked[0]))
        found = find(before)
        if "```" in before or (found and (apart or found.stage != "sentence")):
            return before
    return text


def ended_part(text: str) -> str:
    """A text that was cut off, up to where it last ended something."""
    ends = [match.end() for match in _ENDED.finditer(text)] + [end + 1 for _, _, end in boxes(text)]
    for _, closing in THOUGHTS:
        ends.append(text.rfind(closing) + len(closing) if closing in text else 0)
    end = max(ends)
    # An open thought stays open.
    return text[:end] or (text if any(tag in text for tag, _ in THOUGHTS) else "")
