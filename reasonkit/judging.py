"""What a completion is worth: its thought, its answer, and whether that is right, and why.

Rewards, evaluations, votes, the sieve for traces, a verifier's labels and the pages all ask here,
so that one completion has one verdict. `reasonkit.answers.reading` takes the text apart; the answer
is a program where the example has tests, else what `reasonkit.answers.extraction` finds in it,
compared as `reasonkit.answers.comparison` says.

What was cut off counts up to the last sentence, line, box or tag that it ended. Programs run once,
whoever asks, in the sandbox. Left out: whether the thought leads to the answer.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from reasonkit.answers.comparison import equal
from reasonkit.answers.extraction import between, find
from reasonkit.answers.layout import tidy, with_signs
from reasonkit.answers.plain import is_calculation, plain
from reasonkit.answers.reading import ANSWER, ended_part, read
from reasonkit.types import Completion, Example, Group, Judgement

TIMEOUT = 5.0
"""Seconds that a program has for all of its tests."""

AT_ONCE = 4
"""Programs of a group that run at the same time."""

_REMEMBERED = 1 << 14
_FENCED = re.compile(r"```(?:python3?|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_DEFINITION = re.compile(r"^(?:def|class|async def|import|from|@)\b", re.MULTILINE)
_LAYOUT = re.compile(r"\s|\$|\\(?:left|right|displaystyle|[,;:!])|(?<=\\)[dt](?=frac)")


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
        text = ended_part(text)
    reading = read(text, code=bool(example.tests))
    if reading.answer is None:
        return Judgement(reading.thought, None, None, None, "still thinking")
    if example.tests:
        extracted, stage = program(reading.answer), "program"
    else:
        found = find(reading.answer)
        extracted, stage = (found.text, found.stage) if found else (None, "")
    why = "no answer" if extracted is None else stage
    return Judgement(reading.thought, reading.answer.strip(), extracted, None, why)


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


def is_undone(answer: str, example: Example) -> bool:
    """Whether an answer equals its value and isn't it: a calculation, or `is_copied`."""
    return is_calculation(tidy(answer)) or is_copied(answer, example)


def is_copied(answer: str, example: Example) -> bool:
    """Whether an answer is a formula out of the question, with its value still to be found.

    A formula that the question gives to be worked out equals its own value: on 6 % of MATH-500,
    copying one from the question would be paid. It is copied if it stands in the question, layout
    aside, is no plain value such as a number or a word, and isn't what the reference answer says.
    """
    if plain(tidy(answer)) is not None:
        return False
    bare, wanted, question = (
        _LAYOUT.sub("", with_signs(text)) for text in (answer, example.answer, example.question)
    )
    return bare != wanted and bare in question


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


def _run(example: Example, said: Sequence[Judgement], allow_weaker: bool) -> list[Judgement]:
    programs = list(dict.fromkeys(one.extracted for one in said if one.extracted is not None))
    task = hashlib.sha256(
        repr((example.tests, example.entry_point, example.setup)).encode()
    ).digest()

    def passed(code: str) -> bool:
        return _once((task, code), lambda: _passes(example, code, allow_weaker))

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

    return sandbox.run_tests(
        with_setup(example, code),
        example.tests,
        entry_point=example.entry_point,
        timeout=TIMEOUT,
        allow_weaker=allow_weaker,
    ).passed


def with_setup(example: Example, code: str) -> str:
    """A program with what the question shows of imports and functions before it."""
    # One that has to begin with this brings its other imports too.
    alone = not example.setup or "from __future__" in code
    return code if alone else f"{example.setup}\n{code}"


_KNOWN: dict[object, Future[bool]] = {}
_LOCK = threading.Lock()


def _once(key: object, work: Callable[[], bool]) -> bool:
    """What the work comes to: done by the first who asks for the key, the others wait for it."""
    mine: Future[bool] = Future()
    with _LOCK:
        known = _KNOWN.setdefault(key, mine)
        if len(_KNOWN) > _REMEMBERED:
            del _KNOWN[next(iter(_KNOWN))]
    if known is mine:
        try:
            mine.set_result(work())
        except BaseException as error:
            with _LOCK:
                _KNOWN.pop(key, None)
            mine.set_exception(error)
    return known.result()
