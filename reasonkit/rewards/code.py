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
from reasonkit.errors import RefusedError
from reasonkit.types import Example, Group

TIMEOUT = 5.0
"""Seconds that a program has for all of its tests."""

AT_ONCE = 4
"""Programs of a group that run at the same time."""

_FENCED = re.compile(r"```(?:python3?|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
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
    # Importing the sandbox takes longer than listing the rewards does.
    from reasonkit import sandbox

    try:
        sandbox.require_isolation()
    except RefusedError as error:
        raise RefusedError(f"{error}; code:weaker runs it all the same") from None
    return score


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


def program(text: str) -> str | None:
    """The program in a completion: None where there is none, as in an unfinished thought.

    Looked for after the thinking, in this order: the last ``<answer>`` tag, the last code fence,
    everything from the first line that defines or imports something, everything. A fence inside
    the tag is taken off.
    """
    rest = after_thinking(text)
    if rest is None:
        return None
    opened, closed, _ = rest.rpartition("</answer>")
    tagged = closed and "<answer>" in opened
    inside = opened.rpartition("<answer>")[2] if tagged else rest
    fenced = _FENCED.findall(inside)
    if fenced:
        return fenced[-1].strip() or None
    if not tagged and (start := _DEFINITION.search(inside)):
        inside = inside[start.start() :]
    return inside.strip() or None


def _passes(example: Example, code: str, *, allow_weaker: bool) -> bool:
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
