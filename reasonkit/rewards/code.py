"""Rewards a program that passes its hidden tests, run in a sandbox.

Left out: partial credit for some of the tests, which would pay for guessing the easy ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from reasonkit.errors import RefusedError
from reasonkit.rewards import answer
from reasonkit.types import Group


def make(parameter: str) -> Callable[[Group], list[float | None]]:
    """The reward, or with the parameter ``weaker`` one that runs in whatever isolation there is.

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
    return score


def score(group: Group, *, allow_weaker: bool = False) -> list[float | None]:
    """1.0 for each completion whose program passes all tests of the example, else 0.0.

    None, no verdict, where the example has no tests.

    Raises:
        DataError: the tests are malformed.
        RefusedError: the machine's isolation is too weak, unless ``allow_weaker``.
        RunError: no sandboxed process can be started.
    """
    if not group.example.tests:
        return [None] * len(group.completions)
    return answer.score(group, allow_weaker=allow_weaker)


weaker = functools.partial(score, allow_weaker=True)
