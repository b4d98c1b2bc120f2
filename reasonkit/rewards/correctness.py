"""Rewards what is right: a final answer, or a program that passes its hidden tests in a sandbox.

What is right is told by `reasonkit.judging`. Left out: partial credit for some of the tests, which
would pay for guessing the easy ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from reasonkit.errors import RefusedError
from reasonkit.judging import judge_group
from reasonkit.types import Group


def answer(group: Group, *, allow_weaker: bool = False) -> list[float | None]:
    """1.0 for each completion that is right, else 0.0; None where there is no verdict.

    Takes and raises what `reasonkit.judging.judge_group` does.
    """
    judged = judge_group(group, allow_weaker=allow_weaker)
    return [None if one.right is None else float(one.right) for one in judged]


def code(group: Group, *, allow_weaker: bool = False) -> list[float | None]:
    """The same; None, no verdict, where the example has no tests."""
    if not group.example.tests:
        return [None] * len(group.completions)
    return answer(group, allow_weaker=allow_weaker)


weaker = functools.partial(code, allow_weaker=True)


def make_code(parameter: str) -> Callable[[Group], list[float | None]]:
    """`code`, or with the parameter ``weaker`` what runs in whatever isolation there is.

    Raises:
        RefusedError: another parameter, or the machine's isolation is below the sandbox's minimum.
        RunError: no sandboxed process can be started.
    """
    if parameter == "weaker":
        return weaker
    if parameter:
        raise RefusedError(f"reward 'code:{parameter}': write code or code:weaker")
    # Importing the sandbox takes longer than listing the rewards does.
    from reasonkit import sandbox

    try:
        sandbox.require_isolation()
    except RefusedError as error:
        raise RefusedError(f"{error}; code:weaker runs it all the same") from None
    return code
