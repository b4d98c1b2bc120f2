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

from reasonkit.answers.reading import is_well_formed
from reasonkit.errors import RefusedError, UnknownNameError
from reasonkit.rewards import (
    correctness,
    judge,
    language,
    length,
    own,
    preference,
    readability,
    tags,
)
from reasonkit.types import Claim, Completion, Group

Score = Callable[..., Sequence[float | None]]


def _untold(group: Group) -> list[float | None]:
    raise RefusedError("this reward has to be told what scores: its parameter says")


@dataclass(frozen=True, slots=True)
class Reward:
    """An entry of the registry.

    Attributes:
        name: as on the command line and in every record.
        description: one line.
        paper: where it is from; empty for a user's own.
        score: one value a completion of a group, None where there is no verdict; of one that
            needs a parameter, what ``make`` gives.
        claim: what it is held to.
        range: lowest and highest value.
        cost: what a call costs, in a word or two.
        needs_answer: whether it reads the reference answer or the tests. A selector that does is an
            oracle.
        waits: whether it waits for other processes or machines most of the time and may run in a
            thread, beside the other rewards.
        parameter: what may follow the name on the command line, in brackets where it may be left
            out; empty for nothing.
        make: the score for a parameter, "" where none is given. Raises `RefusedError`.
        on_device: whether it is a model, and ``make`` takes its device too.
    """

    name: str
    description: str
    paper: str
    score: Score = _untold
    claim: Claim = "shaping"
    range: tuple[float, float] = (0.0, 1.0)
    cost: str = "none"
    needs_answer: bool = False
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


def _each(value: Callable[[Completion], float | None]) -> Score:
    """The reward that gives each completion a value of its own."""

    def score(group: Group) -> list[float | None]:
        return [value(completion) for completion in group.completions]

    return score


REWARDS: dict[str, Reward] = {
    reward.name: reward
    for reward in (
        Reward(
            "answer",
            "1 if the final answer equals the reference, in whatever format",
            "DeepSeek-AI, arXiv:2501.12948, section 2.2.2",
            correctness.answer,
            claim="correctness",
            cost="low",
            needs_answer=True,
        ),
        Reward(
            "code",
            "1 if the program passes all hidden tests, run in a sandbox",
            "Chen et al., arXiv:2107.03374, section 2.1",
            correctness.code,
            claim="correctness",
            cost="processes",
            needs_answer=True,
            waits=True,
            parameter="[:weaker]",
            make=correctness.make_code,
        ),
        Reward(
            "format",
            "1 for <think>some work</think><answer>…</answer> and nothing else",
            "DeepSeek-AI, arXiv:2501.12948, section 2.2.2",
            _each(lambda completion: float(is_well_formed(completion.text))),
            claim="form",
        ),
        Reward(
            "tags",
            "a quarter for each of the four tags that is there once, around something",
            "open-r1's tag_count_reward, without its pay for empty tags",
            _each(lambda completion: tags.credit(completion.text)),
            claim="form",
        ),
        Reward(
            "length",
            "cosine: right and short pays most, wrong and short costs most",
            "Yeo et al., arXiv:2502.03373",
            length.cosine,
            claim="correctness",
            range=(-1.0, 1.0),
            cost="low",
            needs_answer=True,
            parameter="[:TOKENS]",
            make=length.with_tokens(length.cosine, length.LONGEST),
        ),
        Reward(
            "overlong",
            "a penalty that grows over the last fifth of the longest completion",
            "Yu et al. (DAPO), arXiv:2503.14476, equation 13",
            length.overlong,
            range=(-1.0, 0.0),
            parameter="[:TOKENS]",
            make=length.with_tokens(length.overlong, length.LONGEST),
        ),
        Reward(
            "repetition",
            "a penalty for tokens in an n-gram that was there before",
            "Yeo et al., arXiv:2502.03373",
            length.repetition,
            range=(-1.0, 0.0),
            parameter="[:TOKENS]",
            make=length.with_tokens(length.repetition, length.NGRAM),
        ),
        Reward(
            "language",
            "the share of the language's words in the thinking",
            "DeepSeek-AI, arXiv:2501.12948, section 2.3.2",
            language.score,
            parameter="[:LANGUAGE]",
            make=language.make,
        ),
        Reward(
            "readability",
            "the share of the thinking's steps that are written out, not shorthand",
            "DeepSeek-AI, arXiv:2501.12948, section 2.3.1",
            _each(lambda completion: readability.share(completion.text)),
        ),
        Reward(
            "confidence",
            "the mean log-probability of the completion's tokens",
            "Li et al., arXiv:2506.06395",
            # It sharpens what a model prefers, right or wrong: beside a correctness reward only.
            _each(lambda completion: completion.mean_logprob),
            range=(-math.inf, 0.0),
        ),
        Reward(
            "preference",
            "what a trained preference model gives",
            "Ouyang et al., arXiv:2203.02155, section 3.5",
            range=(-math.inf, math.inf),
            cost="a model",
            parameter=":MODEL",
            make=preference.make,
            on_device=True,
        ),
        Reward(
            "helpful",
            "how likely a preference model is to like the answer, without the thought",
            "DeepSeek-AI, arXiv:2501.12948, section 2.3.4",
            cost="a model",
            parameter=":MODEL",
            make=preference.make_helpful,
            on_device=True,
        ),
        Reward(
            "harmless",
            "how likely a preference model is to like the completion, thought and all",
            "DeepSeek-AI, arXiv:2501.12948, section 2.3.4",
            cost="a model",
            parameter=":MODEL",
            make=preference.make_harmless,
            on_device=True,
        ),
        Reward(
            "judge",
            "the mark of a language model that is asked by a rubric",
            "Zheng et al., arXiv:2306.05685, section 3.1",
            claim="correctness",
            cost="requests",
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
    return any(weighted.reward.score is correctness.weaker for weighted in rewards)


def _in_one_isolation(rewards: list[WeightedReward]) -> list[WeightedReward]:
    """The rewards, each that runs programs in the isolation that ``code`` was given."""
    if not allow_weaker(rewards):
        return rewards
    judging = {name for name, reward in REWARDS.items() if reward.needs_answer} - {"code"}
    weaker = [
        dataclasses.replace(w.reward, score=functools.partial(w.reward.score, allow_weaker=True))
        if w.reward.name in judging
        else w.reward
        for w in rewards
    ]
    return [dataclasses.replace(w, reward=r) for w, r in zip(rewards, weaker, strict=True)]


def split(spec: str) -> tuple[str, str | None]:
    """``NAME=NUMBER`` as its two halves, the second None where there is none.

    An equals sign that a path or an address follows is a part of it. One that ends in ``=NUMBER``
    itself needs a number of ours behind it.
    """
    name, equals, number = spec.rpartition("=")
    return (name, number) if equals and not {":", "/"} & set(number) else (spec, None)


def _resolve(name: str, device: str) -> Reward:
    base, _, parameter = name.partition(":")
    if reward := REWARDS.get(base):
        if reward.make is not None:
            where = (device,) if reward.on_device else ()
            return dataclasses.replace(reward, score=reward.make(parameter, *where))
        if parameter:
            raise RefusedError(f"reward {base!r} takes no parameter: leave out :{parameter}")
        return reward
    path, colon, function = name.rpartition(":")
    if not colon and not name.endswith(".py"):
        raise UnknownNameError("reward", name, REWARDS, hint="or your own as FILE.py:FUNCTION")
    if not path or not function:
        raise RefusedError(f"reward {name!r} names no function: write FILE.py:FUNCTION")
    loaded = own.load(path, function)
    if function in REWARDS:
        raise RefusedError(f"reward {name!r} has the name of a built-in reward: rename {function}")
    described = f"your own, from {path}"
    anything = (-math.inf, math.inf)
    return Reward(function, described, "", range=anything, cost="unknown", **loaded)


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
