r"""What a completion is worth: its thought, its answer, and whether that is right, and why.

Rewards, evaluations, votes, the sieve for traces, a verifier's labels, the linter and the pages all
ask here, so that one completion has one verdict. A text is read in three steps:

1. *Its own turn*: what a model goes on with in other roles ("User: …", a chat template's tags) is
   not its answer. A line "Question: …" begins another turn only behind an answer.
2. *Its thought*, in any of the tags of `THOUGHTS`, closed before the answer. A closing tag alone
   belongs to a thought that the prompt opened. An open thought is no answer yet.
3. *Its answer*: a program where the example has tests, else what
   `reasonkit.answers.extraction` finds, compared as `reasonkit.answers.comparison` says.

What was cut off counts up to the last sentence, line, box or tag that it ended. Programs run once,
whoever asks, in the sandbox. Left out: whether the thought leads to the answer.
"""

from __future__ import annotations

import functools
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from reasonkit.answers.comparison import equal
from reasonkit.answers.extraction import between, find
from reasonkit.answers.layout import boxes, tidy
from reasonkit.answers.plain import plain
from reasonkit.types import Completion, Example, Group, Judgement

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

SHORTEST_THOUGHT = 5
"""Characters of a well-formed thought that are not white space; ``2+3=5`` has five."""

TIMEOUT = 5.0
"""Seconds that a program has for all of its tests."""

AT_ONCE = 4
"""Programs of a group that run at the same time."""

_REMEMBERED = 1 << 14
_TAG = re.compile(r"</?(?:think|answer)\b")
_SHAPE = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)
_PIECES = re.compile(r"(<think>.*?(?:</think>|\Z)|<answer>.*?(?:</answer>|\Z))", re.DOTALL)

_ROLE = r"(?:user|human|customer|student|instruction|system|you)"
_TURN = re.compile(
    rf"<\|(?:im_start|im_end|endoftext|end_of_text|eot_id|end|user|start_header_id|eom_id)\|>"
    r"|<(?:end_of_turn|start_of_turn|eos)>|</s>|\[/?INST\]|<\|start\|>(?!assistant)|<｜[^｜]*｜>"
    rf"|(?:^|\n)[ \t]*(?:#{{1,6}}[ \t]*|\*\*|\[)?(?:{_ROLE}(?:\*\*|\])?[ \t]*:|{_ROLE}[ \t]*\n"
    r"(?=[^\n])|(?:instruction|input)[ \t]*:)|(?:^|\n)[ \t]*\[(?:user|human)\]",
    re.IGNORECASE,
)
_SHOUTED = re.compile(r"#|\*|\[|:|<")
_QUESTION = re.compile(
    r"(?:^|\n)[ \t]*(?:#{1,6}[ \t]*|\*\*)?(?:(?:next |new |follow-?up |another )?"
    r"(?:question|problem|exercise|q)(?:[ \t]*#?\d+)?(?:\*\*)?[ \t]*[:.](?!\d)|问题?[:：])"
    r"|\n[ \t]*#{1,6}[ \t]*(?:question|problem|exercise|example)[ \t]*\d+[ \t]*(?=\n)"
    r"|\n[ \t]*\d+[.)][ \t][^\n]+\n\s*(?:solution|answer)[ \t]*:",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"\s*(?:#{1,6}[ \t]*|\*\*)?(?:assistant|response|ai|bot|model)(?:\*\*)?[ \t]*:\**",
    re.IGNORECASE,
)
_ENDED = re.compile(r"[.!?。](?=\s)|\n|</answer>")

_FENCED = re.compile(r"```(?:python3?|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_DEFINITION = re.compile(r"^(?:def|class|async def|import|from|@)\b", re.MULTILINE)
_LAYOUT = re.compile(r"\s|\$|\\(?:left|right|displaystyle|[,;:!])|(?<=\\)[dt](?=frac)")


@dataclass(frozen=True, slots=True)
class Reading:
    """A completion's text, taken apart.

    Attributes:
        thought: what stands in the tags of thoughts, closed or not; None where there are none.
        answer: what the completion says behind them, in its own turn; None while it still thinks.
    """

    thought: str | None
    answer: str | None


@functools.lru_cache(maxsize=1 << 12)
def read(text: str, think: tuple[str, str] = THINK) -> Reading:
    """Takes a completion's text apart.

    Args:
        think: the tags around a thought, where its model has others than those of `THOUGHTS`.
    """
    for opening, closing in (*THOUGHTS[1:], think):
        if opening in text or closing in text:
            text = text.replace(opening, THINK[0]).replace(closing, THINK[1])
    opened, closed = text.find(THINK[0]), text.find(THINK[1])
    if opened >= 0 and (closed < 0 or opened < closed):
        before = text[:opened]
        if before.strip() and (own := _own_turn(before)) != before:
            return Reading(None, own)
        if closed < 0:
            return Reading(text[opened + len(THINK[0]) :], None)
        start = opened + len(THINK[0])
    elif closed >= 0:
        start = 0
    else:
        return Reading(None, _own_turn(text))
    thought, rest = text[start:closed], _own_turn(text[closed + len(THINK[1]) :])
    if THINK[0] not in rest and THINK[1] not in rest:
        return Reading(thought, rest)
    later = read(rest)
    return Reading("\n".join(filter(None, (thought, later.thought))), later.answer)


def judge(example: Example, completion: Completion, *, allow_weaker: bool = False) -> Judgement:
    """The verdict on one completion (`judge_group`)."""
    return judge_group(Group(example, [completion]), allow_weaker=allow_weaker)[0]


def judge_group(group: Group, *, allow_weaker: bool = False) -> list[Judgement]:
    """The verdicts on the completions of an example.

    Args:
        allow_weaker: whether programs run where the machine's isolation is below the minimum.

    Raises:
        DataError: the tests are malformed.
        RefusedError: the machine's isolation is too weak.
        RunError: no sandboxed process, or none that compares formulas, can be started.
    """
    said = [extract(group.example, completion) for completion in group.completions]
    if group.example.tests:
        return _run(group.example, said, allow_weaker)
    return [_compared(group.example, one) for one in said]


def extract(example: Example, completion: Completion) -> Judgement:
    """What a completion thinks and answers, without a verdict on it."""
    text = completion.text
    if completion.finish_reason == "length":
        text = _ended_part(text)
    reading = read(text)
    if reading.answer is None:
        return Judgement(reading.thought, None, None, None, "still thinking")
    if example.tests:
        extracted, stage = program(reading.answer), "program"
    else:
        found = find(reading.answer)
        extracted, stage = (found.text, found.stage) if found else (None, "")
    why = "no answer" if extracted is None else stage
    return Judgement(reading.thought, reading.answer.strip(), extracted, None, why)


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


def program(said: str) -> str | None:
    """The program in what a completion says; None where there is none.

    Looked for in this order: the last ``<answer>`` tag, the last code fence, everything from the
    first line that defines or imports something, everything. A fence inside the tag is taken off.
    """
    tagged = between(said, *ANSWER)
    inside = said if tagged is None else tagged
    fenced = _FENCED.findall(inside)
    if fenced:
        return fenced[-1].strip() or None
    if tagged is None and (start := _DEFINITION.search(inside)):
        inside = inside[start.start() :]
    return inside.strip() or None


def is_copied(answer: str, example: Example) -> bool:
    """Whether an answer is a formula out of the question, with its value still to be found.

    A formula that the question gives to be worked out equals its own value: on 6 % of MATH-500,
    copying one from the question would be paid. It is copied if it stands in the question, layout
    aside, is no plain value such as a number or a word, and isn't what the reference answer says.
    """
    bare = _LAYOUT.sub("", answer)
    return (
        plain(tidy(answer)) is None
        and bare != _LAYOUT.sub("", example.answer)
        and bare in _LAYOUT.sub("", example.question)
    )


def _compared(example: Example, said: Judgement) -> Judgement:
    verdict = equal(said.extracted or "", example.answer)
    if verdict is None:
        return replace(said, why="the reference has no value")
    if said.extracted is None:
        return replace(said, right=False)
    if verdict and is_copied(said.extracted, example):
        return replace(said, right=False, why=f"{said.why}: copied from the question")
    told = "equals the reference" if verdict else "differs from the reference"
    return replace(said, right=verdict, why=f"{said.why}: {told}")


def _own_turn(text: str) -> str:
    """The text up to where another turn begins."""
    if speaker := _SPEAKER.match(text):
        text = text[speaker.end() :]
    for turn in _TURN.finditer(text):
        if text[: turn.start()].strip():
            text = text[: turn.start()]
            break
    for asked in _QUESTION.finditer(text):
        before = text[: asked.start()]
        if before.strip() and ("```" in before or find(before) is not None):
            return before
    return text


def _ended_part(text: str) -> str:
    """A text that was cut off, up to where it last ended something."""
    ends = [match.end() for match in _ENDED.finditer(text)] + [end + 1 for _, _, end in boxes(text)]
    for _, closing in THOUGHTS:
        ends.append(text.rfind(closing) + len(closing) if closing in text else 0)
    end = max(ends)
    # An open thought stays open.
    return text[:end] or (text if any(tag in text for tag, _ in THOUGHTS) else "")


def _run(example: Example, said: Sequence[Judgement], allow_weaker: bool) -> list[Judgement]:
    programs = list(dict.fromkeys(one.extracted for one in said if one.extracted is not None))
    task = hashlib.sha256(
        repr((example.tests, example.entry_point, example.setup)).encode()
    ).digest()

    def passed(code: str) -> bool:
        return _ONCE.get((task, code), lambda: _passes(example, code, allow_weaker))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = dict(zip(programs, pool.map(passed, programs), strict=True))
    told = {True: "program: passes the tests", False: "program: fails the tests"}
    return [
        replace(one, right=False)
        if one.extracted is None
        else replace(one, right=verdicts[one.extracted], why=told[verdicts[one.extracted]])
        for one in said
    ]


def _passes(example: Example, code: str, allow_weaker: bool) -> bool:
    from reasonkit import sandbox

    # A program that has to begin with this brings its other imports too.
    alone = not example.setup or "from __future__" in code
    return sandbox.run_tests(
        code if alone else f"{example.setup}\n{code}",
        example.tests,
        entry_point=example.entry_point,
        timeout=TIMEOUT,
        allow_weaker=allow_weaker,
    ).passed


class _Once:
    """Verdicts by key, each worked out by the first who asks; the others wait for it."""

    def __init__(self) -> None:
        self._known: OrderedDict[object, Future[bool]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object, work: Callable[[], bool]) -> bool:
        with self._lock:
            known = self._known.get(key)
            if known is None:
                mine = self._known[key] = Future()
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        if known is not None:
            return known.result()
        try:
            mine.set_result(work())
        except BaseException as error:
            with self._lock:
                self._known.pop(key, None)
            mine.set_exception(error)
            raise
        return mine.result()


_ONCE = _Once()
