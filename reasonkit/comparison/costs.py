"""What sampling and training cost in FLOPs, and how much of them a budget buys.

2·P a token that is sampled or scored and 6·P a token that is trained, with P the parameters (Kaplan
et al., arXiv:2001.08361, section 2.1). Attention over the context, prompts that are read and
evaluations are left out; so is what it took to make the base.

The arithmetic of a budget is stated in each entry of `COINS`. A completion is taken to be as long
as the base's are on average when it works step by step; a prompt counts its characters and a few
more, which is at least its tokens. Time counts at the rate at which the base was sampled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reasonkit.errors import RefusedError, RunError
from reasonkit.models import MODELS, Model
from reasonkit.models.resolving import ResolvedModel
from reasonkit.plan.sft_rl import SPENT, STAGES, Stage

FORWARD, TRAINED = 2, 6
"""FLOPs a parameter and token."""

TEMPLATE = 12
"""Tokens that a chat template adds to a question, about."""

FEWEST = {"steps": 1, "questions": 20}
"""What a stage of sft-rl has at least."""

MOST_SAMPLES = 64
"""No vote takes more, whatever it may spend."""

PER_CENT = 100


def sampled(parameters: int, tokens: float) -> float:
    """FLOPs of sampling or scoring."""
    return FORWARD * parameters * tokens


def trained(parameters: int, tokens: float) -> float:
    """FLOPs of training."""
    return TRAINED * parameters * tokens


def spent(record: Mapping[str, Any], parameters: int, sampler: int | None = None) -> float:
    """FLOPs of what a summary or a line of ``metrics.jsonl`` counts.

    Args:
        sampler: parameters of what is sampled from, where that isn't what is trained.
    """
    drawn = sampled(parameters if sampler is None else sampler, record["tokens_sampled"])
    return drawn + trained(parameters, record["tokens_trained"])


def cheaper_from(training: float, each: float, voting_each: float) -> int | None:
    """The number of queries from which training costs less than voting; None where it never does.

    All in FLOPs: spent once, and a query of the trained model and of the vote.
    """
    saved = voting_each - each
    return math.ceil(training / saved) if saved > 0 else None


def parameters_of(model: ResolvedModel) -> int:
    """How many it has: by its entry, or by the headers of its weights' files; 0 if unknown."""
    known = MODELS.get(model.entry.name)
    if known is not None:
        return known.parameters
    return sum(map(_in_file, Path(model.source).glob("*.safetensors"))) or model.entry.parameters


def _in_file(path: Path) -> int:
    """The elements of all tensors of a safetensors file, of which only the header is read."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if "shape" in entry)


@dataclass(frozen=True, slots=True)
class Budget:
    """What each way may spend: FLOPs, or seconds where it is ``timed``."""

    amount: float
    timed: bool = False

    def in_flops(self, rate: float) -> float:
        """As FLOPs, at so many of them a second."""
        return self.amount * rate if self.timed else self.amount


def parse(text: str) -> Budget:
    """FLOPs as in ``2e12``, or time as in ``90s``, ``5min`` or ``1h``.

    Raises:
        RefusedError: it is neither.
    """
    if timed := re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)", text.strip()):
        return Budget(float(timed[1]) * {"s": 1, "min": 60, "h": 3600}[timed[2]], timed=True)
    try:
        flops = float(text)
    except ValueError:
        flops = math.nan
    if not 0 < flops < math.inf:
        raise RefusedError(f"--budget {text}: expected FLOPs as in 2e12, or time as in 5min")
    return Budget(flops)


@dataclass(frozen=True, slots=True)
class Prices:
    """What the arithmetic goes by, in FLOPs.

    Attributes:
        entry: the registry's, of the model that the part starts from.
        drawn: of sampling a completion.
        taught: of sampling one of the teacher's.
        learned: of training on a completion and its prompt once.
        voted: of sampling, and scoring, a completion for each test question.
    """

    entry: Model
    drawn: float
    taught: float
    learned: float
    voted: float


@dataclass(frozen=True, slots=True)
class Coin:
    """How a command spends: the setting that a budget decides, and FLOPs of one unit of it.

    ``arithmetic`` says the price in words; no budget buys more than ``most`` units.
    """

    setting: str
    price: Callable[[Prices, Mapping[str, Any]], float]
    arithmetic: str
    most: float = math.inf

    def bought(
        self, name: str, flops: float, prices: Prices, settings: Mapping[str, Any]
    ) -> int | list[str]:
        """The setting that a budget buys for the part of that name.

        Raises:
            RunError: not even one unit.
        """
        price = self.price(prices, settings)
        count = int(min(flops // price, self.most))
        if count < 1:
            raise RunError(
                f"{name}: one of its {self.setting} costs {price:.2g} FLOPs and the budget is "
                f"{flops:.2g}: pass a larger --budget, or leave the part out with --only"
            )
        return _of_stages(prices.entry, count) if self.setting == "set" else count


def _of_a_step(prices: Prices, settings: Mapping[str, Any]) -> float:
    group = settings.get("group_size") or prices.entry.rl.group_size
    prompts = settings.get("prompts_per_step") or prices.entry.rl.prompts_per_step
    updates = settings.get("updates_per_rollout", 1)
    return float(prompts * group * (prices.drawn + updates * prices.learned))


def _of_a_question(prices: Prices, settings: Mapping[str, Any]) -> float:
    samples = settings.get("samples", 2)
    kept = settings.get("per_question") or samples
    epochs = settings.get("epochs") or prices.entry.sft.epochs
    return float(samples * prices.taught + kept * epochs * prices.learned)


def _of_a_per_cent(prices: Prices, settings: Mapping[str, Any]) -> float:
    own = replace(prices, taught=prices.drawn)
    each = (_usual(s, own.entry) * COINS[s.command].price(own, s.settings) for s in STAGES.values())
    return sum(each) / PER_CENT


def _usual(stage: Stage, entry: Model) -> float:
    """The steps or questions that a stage has."""
    if stage.command == "grpo":
        return SPENT[stage.name] * entry.rl.steps
    return float(stage.settings["questions"])


def _of_stages(entry: Model, per_cent: int) -> list[str]:
    found = []
    for stage in STAGES.values():
        setting = COINS[stage.command].setting
        count = max(FEWEST[setting], round(_usual(stage, entry) * (per_cent / PER_CENT)))
        found.append(f"{stage.name}.{setting}={count}")
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
    ),
    "vote": Coin(
        "n",
        lambda prices, _: prices.voted,
        "a sample is test questions × 2·P·completion, twice that where a verifier scores it",
        MOST_SAMPLES,
    ),
}
"""By command; the verifier's own training stands apart and is not counted."""
