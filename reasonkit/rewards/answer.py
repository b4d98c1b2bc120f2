"""Rewards the right final answer, whatever it is written in (`reasonkit.judging`)."""

from __future__ import annotations

from reasonkit.judging import judge_group
from reasonkit.types import Group


def score(group: Group, *, allow_weaker: bool = False) -> list[float | None]:
    """1.0 for each completion that is right, else 0.0; None where there is no verdict.

    Args:
        allow_weaker: as `reasonkit.judging.judge_group` takes it.
    """
    judged = judge_group(group, allow_weaker=allow_weaker)
    return [None if one.right is None else float(one.right) for one in judged]
