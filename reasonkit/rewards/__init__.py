"""The rewards, and how they are named on the command line.

A reward is a function ``score(group) -> list[float | None]``: one value a completion, None where it
has no verdict. The same function filters traces, trains, and ranks candidates. Left out: two
rewards of one name with different parameters in one composition.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.rewards import (
    answer,
    code,
    confidence,
    format,
    judge,
    language,
    length,
    own,
    preference,
    readability,
    tags,
)
from reasonkit.types import Claim

Score = Callable[..., Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Reward:
    """An entry of the registry.

    Attributes:
        name: as on the command line and in every record.
        description: one line.
        range: lowest and highest value.
        needs_answer: whether it reads the reference answer or the tests. A selector that does is an
            oracle.
        cost: what a call costs, in a word or two.
        claim: what it is held to.
        paper: where it is from; empty for a user's own.
        score: one value a completion of a group, None where there is no verdict.
        judges: whether it asks for the verdict, for which programs may run.
        waits: whether it waits for other processes or machines most of the time and may run in a
            thread, beside the other rewards.
        parameter: what may follow the name on the command line, in brackets where it may be left
            out; empty for nothing.
        make: the score for a parameter, "" where none is given. Raises `RefusedError`.
        on_device: whether it is a model, and ``make`` takes its device too.
    """

    name: str
    description: str
    range: tuple[float, float]
    needs_answer: bool
    cost: str
    claim: Claim
    paper: str
    score: Score
    judges: bool = False
    waits: bool = False
    parameter: str = ""
    make: Callable[..., Score] | None = None
    on_device: bool = False


@dataclass(frozen=True, slots=True)
class WeightedReward:
    """A reward and its share in the total.

    Attributes:
        reward: what scores.
        weight: what its value is multiplied by.
        task: whose examples it scores, those of others have no verdict; None for every task.
    """

    reward: Reward
    weight: float = 1.0
    task: str | None = None


REWARDS: dict[str, Reward] = {
    reward.name: reward
    for reward in (
        Reward(
            name="answer",
            description="1 if the final answer equals the reference, in whatever format",
            range=(0.0, 1.0),
            needs_answer=True,
            cost="low",
            claim="correctness",
            paper="DeepSeek-AI, arXiv:2501.12948, section 2.2.2",
            score=answer.score,
            judges=True,
        ),
        Reward(
            name="code",
            description="1 if the program passes all hidden tests, run in a sandbox",
            range=(0.0, 1.0),
            needs_answer=True,
            cost="processes",
            claim="correctness",
            paper="Chen et al., arXiv:2107.03374, section 2.1",
            score=code.score,
            waits=True,
            parameter="[:weaker]",
            make=code.make,
        ),
        Reward(
            name="format",
            description="1 for <think>some work</think><answer>…</answer> and nothing else",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="none",
            claim="form",
            paper="DeepSeek-AI, arXiv:2501.12948, section 2.2.2",
            score=format.score,
        ),
        Reward(
            name="tags",
            description="a quarter for each of the four tags that is there once, around something",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="none",
            claim="form",
            paper="open-r1's tag_count_reward, without its pay for empty tags",
            score=tags.score,
        ),
        Reward(
            name="length",
            description="cosine: right and short pays most, wrong and short costs most",
            range=(-1.0, 1.0),
            needs_answer=True,
            cost="low",
            claim="correctness",
            paper="Yeo et al., arXiv:2502.03373",
            score=length.cosine,
            judges=True,
            parameter="[:TOKENS]",
            make=length.with_tokens(length.cosine, length.LONGEST),
        ),
        Reward(
            name="overlong",
            description="a penalty that grows over the last fifth of the longest completion",
            range=(-1.0, 0.0),
            needs_answer=False,
            cost="none",
            claim="shaping",
            paper="Yu et al. (DAPO), arXiv:2503.14476, equation 13",
            score=length.overlong,
            parameter="[:TOKENS]",
            make=length.with_tokens(length.overlong, length.LONGEST),
        ),
        Reward(
            name="repetition",
            description="a penalty for tokens in an n-gram that was there before",
            range=(-1.0, 0.0),
            needs_answer=False,
            cost="none",
            claim="shaping",
            paper="Yeo et al., arXiv:2502.03373",
            score=length.repetition,
            parameter="[:TOKENS]",
            make=length.with_tokens(length.repetition, length.NGRAM),
        ),
        Reward(
            name="language",
            description="the share of the language's words in the thinking",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="none",
            claim="shaping",
            paper="DeepSeek-AI, arXiv:2501.12948, section 2.3.2",
            score=language.score,
            parameter="[:LANGUAGE]",
            make=language.make,
        ),
        Reward(
            name="readability",
            description="the share of the thinking's steps that are written out, not shorthand",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="none",
            claim="shaping",
            paper="DeepSeek-AI, arXiv:2501.12948, section 2.3.1",
            score=readability.score,
        ),
        Reward(
            name="confidence",
            description="the mean log-probability of the completion's tokens",
            range=(-math.inf, 0.0),
            needs_answer=False,
            cost="none",
            claim="shaping",
            paper="Li et al., arXiv:2506.06395",
            score=confidence.score,
        ),
        Reward(
            name="preference",
            description="what a trained preference model gives",
            range=(-math.inf, math.inf),
            needs_answer=False,
            cost="a model",
            claim="shaping",
            paper="Ouyang et al., arXiv:2203.02155, section 3.5",
            score=preference.score,
            parameter=":MODEL",
            make=preference.make,
            on_device=True,
        ),
        Reward(
            name="helpful",
            description="how likely a preference model is to like the answer, without the thought",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="a model",
            claim="shaping",
            paper="DeepSeek-AI, arXiv:2501.12948, section 2.3.4",
            score=preference.score,
            parameter=":MODEL",
            make=preference.make_helpful,
            on_device=True,
        ),
        Reward(
            name="harmless",
            description="how likely a preference model is to like the completion, thought and all",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="a model",
            claim="shaping",
            paper="DeepSeek-AI, arXiv:2501.12948, section 2.3.4",
            score=preference.score,
            parameter=":MODEL",
            make=preference.make_harmless,
            on_device=True,
        ),
        Reward(
            name="judge",
            description="the mark of a language model that is asked by a rubric",
            range=(0.0, 1.0),
            needs_answer=False,
            cost="requests",
            claim="correctness",
            paper="Zheng et al., arXiv:2306.05685, section 3.1",
            score=judge.score,
            waits=True,
            parameter=":ENDPOINT",
            make=judge.make,
        ),
    )
}


def parse(specs: Sequence[str], device: str = "auto") -> list[WeightedReward]:
    """The rewards that ``NAME``, ``NAME:PARAMETER`` or ``FILE.py:FUNCTION`` stand for.

    Each may be followed by ``=WEIGHT`` (`split`). A user's own function is named by its function
    name; see `reasonkit.rewards.own`.

    Args:
        device: where those that are models are loaded.

    Raises:
        UnknownNameError: no such reward, or no such function in the file.
        RefusedError: a weight that is no finite number other than zero, a name given twice, a
            parameter or a file that can't be used.
        RunError: the sandbox of ``code`` can't be started.
    """
    weighted: list[WeightedReward] = []
    for spec in specs:
        name, weight = split(spec)
        reward = _resolve(name.strip(), device)
        if any(reward.name == other.reward.name for other in weighted):
            raise RefusedError(f"reward {reward.name!r} is given twice: give it once, or rename it")
        weighted.append(WeightedReward(reward, _weight(spec, "1" if weight is None else weight)))
    return _in_one_isolation(weighted)


def allow_weaker(rewards: Sequence[WeightedReward]) -> bool:
    """Whether programs may run in whatever isolation there is: with ``code:weaker``."""
    return any(weighted.reward.score is code.weaker for weighted in rewards)


def _in_one_isolation(rewards: list[WeightedReward]) -> list[WeightedReward]:
    """The rewards, each that runs programs in the isolation that ``code`` was given."""
    if not allow_weaker(rewards):
        return rewards
    return [
        dataclasses.replace(
            w,
            reward=dataclasses.replace(
                w.reward, score=functools.partial(w.reward.score, allow_weaker=True)
            ),
        )
        if w.reward.judges
        else w
        for w in rewards
    ]


def split(spec: str) -> tuple[str, str | None]:
    """``NAME=NUMBER`` as its two halves, the second None where there is none.

    An equals sign that a path or an address follows is a part of it. One that ends in ``=NUMBER``
    itself needs a number of ours behind it.
    """
    name, equals, number = spec.rpartition("=")
    return (name, number) if equals and not {":", "/"} & set(number) else (spec, None)


def _resolve(name: str, device: str) -> Reward:
    base, _, parameter = name.partition(":")
    if base in REWARDS:
        return _with_parameter(REWARDS[base], parameter, device)
    path, colon, function = name.rpartition(":")
    if not colon and not name.endswith(".py"):
        raise UnknownNameError("reward", name, REWARDS, hint="or your own as FILE.py:FUNCTION")
    if not path or not function:
        raise RefusedError(f"reward {name!r} names no function: write FILE.py:FUNCTION")
    loaded = own.load(path, function)
    if function in REWARDS:
        raise RefusedError(f"reward {name!r} has the name of a built-in reward: rename {function}")
    return Reward(
        name=function,
        description=f"your own, from {path}",
        range=(-math.inf, math.inf),
        needs_answer=loaded.needs_answer,
        cost="unknown",
        claim=loaded.claim,
        paper="",
        score=loaded.score,
        waits=loaded.waits,
    )


def _with_parameter(reward: Reward, parameter: str, device: str) -> Reward:
    if reward.make is not None:
        where = (device,) if reward.on_device else ()
        return dataclasses.replace(reward, score=reward.make(parameter, *where))
    if parameter:
        raise RefusedError(f"reward {reward.name!r} takes no parameter: leave out :{parameter}")
    return reward


def _weight(spec: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if weight == 0 or not math.isfinite(weight):
        raise RefusedError(
            f"reward {spec!r}: the weight {text!r} must be a number other than zero, as in answer=1"
        )
    return weight
