"""Rewards that read the number of tokens: cosine scaling, overlong completions, repetition.

Cosine and repetition are Yeo et al.'s (arXiv:2502.03373), overlong is DAPO's (arXiv:2503.14476).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

from reasonkit.errors import RefusedError
from reasonkit.judging import judge_group
from reasonkit.types import Completion, Group

Score = Callable[[Group], list[float | None]]

LONGEST = 1024
"""Tokens of the longest completion, unless the name says otherwise."""

SOFT_SHARE = 0.2
"""The share of the longest completion in which the overlong penalty grows (4096 of 20480)."""

NGRAM = 40
"""Tokens that have to come again to count as repeated (the paper's N)."""

RIGHT_SHORT, RIGHT_LONG, WRONG_SHORT, WRONG_LONG, CUT_OFF = 1.0, 0.5, -1.0, 0.0, -1.0
"""The paper's 2, 1, -10, 0 and -10, each side scaled to 1."""


def cosine(
    group: Group, tokens: int = LONGEST, *, allow_weaker: bool = False
) -> list[float | None]:
    r"""Cosine reward: right and short is best, wrong and short is worst.

    :math:`\eta_{min} + \frac12(\eta_{max}-\eta_{min})(1+\cos(t\pi/T))` for a completion of t tokens
    of at most T, from `RIGHT_SHORT` to `RIGHT_LONG` where the answer is right, from `WRONG_SHORT`
    to `WRONG_LONG` where it is wrong; `CUT_OFF` where it was cut off or has T tokens. None where
    the reference has no value. ``allow_weaker`` is as `reasonkit.judging.judge_group` takes it.
    """
    judged = judge_group(group, allow_weaker=allow_weaker)
    return [
        None if one.right is None else _cosine(completion, one.right, tokens)
        for completion, one in zip(group.completions, judged, strict=True)
    ]


def _cosine(completion: Completion, right: bool, longest: int) -> float:
    if completion.finish_reason == "length" or completion.tokens >= longest:
        return CUT_OFF
    short, long = (RIGHT_SHORT, RIGHT_LONG) if right else (WRONG_SHORT, WRONG_LONG)
    return long + (short - long) * (1 + math.cos(math.pi * completion.tokens / longest)) / 2


def overlong(group: Group, tokens: int = LONGEST) -> list[float | None]:
    """Soft overlong punishment (equation 13): 0, then linearly down to -1 at the longest.

    0 up to (1 - `SOFT_SHARE`) of that many tokens; -1 also where it was cut off.
    """
    start = (1 - SOFT_SHARE) * tokens
    return [
        -1.0
        if completion.finish_reason == "length"
        else max(-1.0, min(0.0, (start - completion.tokens) / (tokens - start)))
        for completion in group.completions
    ]


def repetition(group: Group, tokens: int = NGRAM) -> list[float | None]:
    """Minus the share of tokens that stand in an n-gram that was there before.

    The paper subtracts from each such token; here it is a share, from 0 to nearly -1. Words stand
    in for tokens where an engine doesn't give their ids.
    """
    return [
        0.0 - _repeated(completion.token_ids or completion.text.split(), tokens)
        for completion in group.completions
    ]


def _repeated(ids: Sequence[object], ngram: int) -> float:
    seen: set[tuple[object, ...]] = set()
    repeated = marked = 0
    for start in range(len(ids) - ngram + 1):
        gram = tuple(ids[start : start + ngram])
        if gram in seen:
            repeated += start + ngram - max(start, marked)
            marked = start + ngram
        seen.add(gram)
    return repeated / len(ids) if ids else 0.0


def with_tokens(score: Callable[..., list[float | None]], usual: int) -> Callable[..., Score]:
    """Makes a reward from the number of tokens in its name, ``NAME:TOKENS``.

    Raises:
        RefusedError: when called, for a parameter that is no number from 1 on.
    """

    def make(parameter: str) -> Score:
        if parameter and not (parameter.isascii() and parameter.isdigit() and int(parameter)):
            raise RefusedError(f"{parameter!r} is no number of tokens: write e.g. :{usual}")
        return functools.partial(score, tokens=int(parameter or usual))

    return make
