"""What each way may spend, and what that buys in its own coin: steps, questions or samples.

The arithmetic is stated in each entry of `COINS`. A completion is taken to be as long as the base's
are on average when it works step by step; a prompt counts its characters and a few more, which is
at least its tokens. Time counts at the rate at which the base was sampled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reasonkit.comparison.costs import sampled, trained
from reasonkit.errors import RefusedError, RunError
from reasonkit.models import Model
from reasonkit.plan.sft_rl import SPENT, STAGES

_TIME = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}
TEMPLATE = 12
"""Tokens that a chat template adds to a question, about."""

FEWEST = 20
"""Questions that a stage with traces has at least."""

MOST_SAMPLES = 64
"""No vote takes more, whatever it may spend."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What each way may spend: one of the two is given."""

    flops: float | None = None
    seconds: float | None = None

    def in_flops(self, rate: float) -> float:
        """As FLOPs.

        Args:
            rate: FLOPs a second.
        """
        return self.flops if self.flops is not None else (self.seconds or 0.0) * rate


@dataclass(frozen=True, slots=True)
class Prices:
    """What the arithmetic goes by.

    Attributes:
        parameters: of the model that the part starts from.
        teacher: parameters of the teacher; 0 where there is none.
        completion: tokens of a worked completion.
        prompt: tokens of a prompt, at most.
        questions: in the test split.
        scored: whether a verifier of the model's size scores each sample.
    """

    parameters: int
    teacher: int
    completion: float
    prompt: float
    questions: int
    scored: bool = False


@dataclass(frozen=True, slots=True)
class Coin:
    """How a command spends.

    Attributes:
        setting: what the budget decides.
        price: FLOPs of one unit of it.
        arithmetic: of ``price``, in words.
        most: units, whatever the budget.
        value: the setting with so many units.
    """

    setting: str
    price: Callable[[Prices, Mapping[str, Any], Model], float]
    arithmetic: str
    most: float = math.inf
    value: Callable[[int, Model], Any] = lambda count, entry: count


def _of_a_step(prices: Prices, settings: Mapping[str, Any], entry: Model) -> float:
    group = settings.get("group_size") or entry.rl.group_size
    prompts = settings.get("prompts_per_step") or entry.rl.prompts_per_step
    passes = settings.get("updates_per_rollout", 1)
    learned = trained(prices.parameters, prices.completion + prices.prompt)
    return float(
        prompts * group * (sampled(prices.parameters, prices.completion) + passes * learned)
    )


def _of_a_question(prices: Prices, settings: Mapping[str, Any], entry: Model) -> float:
    samples = settings.get("samples", 2)
    epochs = settings.get("epochs") or entry.sft.epochs
    learned = trained(prices.parameters, prices.completion + prices.prompt)
    return float(samples * (sampled(prices.teacher, prices.completion) + epochs * learned))


def _of_a_sample(prices: Prices, settings: Mapping[str, Any], entry: Model) -> float:
    reads = 2 if prices.scored else 1
    return prices.questions * reads * sampled(prices.parameters, prices.completion)


PER_CENT = 100


def _of_a_per_cent(prices: Prices, settings: Mapping[str, Any], entry: Model) -> float:
    learned = trained(prices.parameters, prices.completion + prices.prompt)
    total = 0.0
    for stage in STAGES.values():
        if stage.command == "grpo":
            steps = SPENT[stage.name] * entry.rl.steps
            total += steps * _of_a_step(prices, {}, entry)
        else:
            usual = stage.settings
            drawn = usual["samples"] * sampled(prices.parameters, prices.completion)
            kept = usual["per_question"] * usual["epochs"] * learned
            total += usual["questions"] * (drawn + kept)
    return total / PER_CENT


def _so_many_per_cent(count: int, entry: Model) -> list[str]:
    share, found = count / PER_CENT, []
    for stage in STAGES.values():
        if stage.command == "grpo":
            steps = max(1, round(SPENT[stage.name] * entry.rl.steps * share))
            found.append(f"{stage.name}.steps={steps}")
        else:
            questions = max(FEWEST, round(stage.settings["questions"] * share))
            found.append(f"{stage.name}.questions={questions}")
    return found


COINS = {
    "grpo": Coin(
        "steps",
        _of_a_step,
        "a step is prompts × group × (2·P·completion + updates × 6·P·(prompt + completion))",
    ),
    "distill": Coin(
        "questions",
        _of_a_question,
        "a question is samples × (2·P of the teacher·completion + epochs × 6·P·(prompt + "
        "completion))",
    ),
    "sft-rl": Coin(
        "set",
        _of_a_per_cent,
        "a per cent is a hundredth of its usual steps, as of grpo, and of its usual questions × "
        "(samples × 2·P·completion + epochs × 6·P·(prompt + completion))",
        value=_so_many_per_cent,
    ),
    "vote": Coin(
        "n",
        _of_a_sample,
        "a sample is test questions × 2·P·completion, twice that where a verifier scores it",
        MOST_SAMPLES,
    ),
}
"""By command; the verifier's own training stands apart and is not counted."""


def parse(text: str) -> Budget:
    """FLOPs as in ``2e12``, or time as in ``90s``, ``5min`` or ``1h``.

    Raises:
        RefusedError: it is neither.
    """
    if timed := _TIME.fullmatch(text.strip()):
        return Budget(seconds=float(timed[1]) * _SECONDS[timed[2]])
    try:
        flops = float(text)
    except ValueError:
        flops = math.nan
    if not (math.isfinite(flops) and flops > 0):
        raise RefusedError(f"--budget {text}: expected FLOPs as in 2e12, or time as in 5min")
    return Budget(flops=flops)


def bought(
    name: str, coin: Coin, flops: float, prices: Prices, settings: Mapping[str, Any], entry: Model
) -> int:
    """How many of a coin's units a budget buys.

    Raises:
        RunError: not even one.
    """
    price = coin.price(prices, settings, entry)
    count = int(min(flops // price, coin.most))
    if count < 1:
        raise RunError(
            f"{name}: one of its {coin.setting} costs {price:.2g} FLOPs and the budget is "
            f"{flops:.2g}: pass a larger --budget, or leave the part out with --only"
        )
    return count
