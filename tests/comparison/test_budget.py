"""What a budget buys."""

from __future__ import annotations

import pytest

from reasonkit.comparison.budget import COINS, Budget, Prices, bought, parse
from reasonkit.errors import RefusedError, RunError
from reasonkit.models import MODELS

PRICES = Prices(parameters=10**6, teacher=10**6, completion=50, prompt=30, questions=100)


def test_a_budget_is_flops_or_time() -> None:
    assert parse("2e12") == Budget(flops=2e12)
    assert parse("90s") == Budget(seconds=90)
    assert parse("1.5min") == Budget(seconds=90)
    assert parse("1min").in_flops(rate=10) == 600
    for wrong in ("much", "-1", "nan", "5 days"):
        with pytest.raises(RefusedError, match="--budget"):
            parse(wrong)


@pytest.mark.parametrize("command", ["grpo", "distill", "vote", "sft-rl"])
def test_what_is_bought_costs_no_more_than_the_budget(command: str) -> None:
    entry, coin = MODELS["abacus"], COINS[command]
    count = bought("part", coin, 1e12, PRICES, {}, entry)
    price = coin.price(PRICES, {}, entry)
    assert count * price <= 1e12
    assert (count + 1) * price > 1e12 or count == coin.most
    assert bought("part", coin, 2e12, PRICES, {}, entry) >= count


def test_a_budget_that_buys_nothing_is_said_to() -> None:
    with pytest.raises(RunError, match="larger --budget"):
        bought("grpo", COINS["grpo"], 10, PRICES, {}, MODELS["abacus"])


def test_a_step_is_priced_by_its_completions() -> None:
    price = COINS["grpo"].price(PRICES, {"group_size": 4, "prompts_per_step": 2}, MODELS["abacus"])
    assert price == 8 * (2 * 1e6 * 50 + 6 * 1e6 * 80)
