"""Rewards a program that passes its hidden tests, run in a sandbox.

The programs of a group run at the same time, equal ones once. Left out: partial credit for some of
the tests, which would pay for guessing the easy ones.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from reasonkit.answers.extraction import after_thinking
from reasonkit.errors import DataError, RefusedError
from reasonkit.sandbox import run_tests
from reasonkit.types import Example, Group

TIMEOUT = 2.0
"""Seconds that a program has for all of its tests."""

AT_ONCE = 4
"""Programs of a group that run at the same time."""

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_FENCED = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_DEFINITION = re.compile(r"^(?:def|class|async def|import|from|@)\b", re.MULTILINE)


def make(parameter: str) -> Callable[[Group], list[float | None]]:
    """The reward, or with the parameter ``weaker`` one that runs in whatever isolation there is.

    Raises:
        RefusedError: another parameter, or the machine's isolation is below the sandbox's minimum.
        RunError: no sandboxed process can be started.
    """
    if parameter == "weaker":
        return functools.partial(score, allow_weaker=True)
    if parameter:
        raise RefusedError(f"reward 'code:{parameter}': write code or code:weaker")
    require_isolation()
    return score


def require_isolation() -> None:
    """Makes sure that this machine can close files and network to a program.

    Raises:
        RefusedError: it can't.
        RunError: no sandboxed process can be started.
    """
    try:
        run_tests("def f(x): return x", [{"input": 1, "output": 1}], entry_point="f")
    except RefusedError as error:
        raise RefusedError(f"{error}; code:weaker runs it all the same") from None


def score(group: Group, *, allow_weaker: bool = False) -> list[float | None]:
    """1.0 for each completion whose program passes all tests of the example, else 0.0.

    None, no verdict, where the example has no tests.

    Raises:
        DataError: the tests are malformed.
        RefusedError: the machine's isolation is too weak, unless ``allow_weaker``.
        RunError: no sandboxed process can be started.
    """
    example = group.example
    if not example.tests:
        return [None] * len(group.completions)
    programs = [program(completion.text) for completion in group.completions]
    distinct = list(dict.fromkeys(code for code in programs if code is not None))
    run = functools.partial(_passes, example, allow_weaker=allow_weaker)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        passed = dict(zip(distinct, pool.map(run, distinct), strict=True))
    return [float(code is not None and passed[code]) for code in programs]


def passes(example: Example, text: str, *, allow_weaker: bool = False) -> bool:
    """Whether the program in a completion passes the example's tests.

    Raises:
        DataError: the example has no tests, or malformed ones.
        RefusedError: the machine's isolation is too weak, unless ``allow_weaker``.
        RunError: no sandboxed process can be started.
    """
    if not example.tests:
        raise DataError(f"{example.task}: {example.id}: no tests to check a program with")
    code = program(text)
    return code is not None and _passes(example, code, allow_weaker=allow_weaker)


def program(text: str) -> str | None:
    """The program in a completion: None where there is none, as in an unfinished thought.

    Looked for after the thinking, in this order: the last ``<answer>`` tag, the last code fence,
    everything from the first line that defines or imports something, everything. A fence inside
    the tag is taken off.
    """
    rest = after_thinking(text)
    if rest is None:
        return None
    tagged = _TAGGED.findall(rest)
    inside = tagged[-1] if tagged else rest
    fenced = _FENCED.findall(inside)
    if fenced:
        return fenced[-1].strip() or None
    if not tagged and (start := _DEFINITION.search(inside)):
        inside = inside[start.start() :]
    return inside.strip() or None


def _passes(example: Example, code: str, *, allow_weaker: bool) -> bool:
    tests = example.tests
    return run_tests(
        code,
        tests if isinstance(tests, str) else [dict(test) for test in tests],
        entry_point=example.entry_point,
        timeout=TIMEOUT,
        allow_weaker=allow_weaker,
    ).passed
