"""FLOPs, cross-overs, and what a budget buys."""

from __future__ import annotations

import pytest

from reasonkit.comparison.costs import (
    COINS,
    Budget,
    Prices,
    cheaper_from,
    parameters_of,
    parse,
    sampled,
    trained,
)
from reasonkit.errors import RefusedError, RunError
from reasonkit.models import MODELS
from reasonkit.models.resolving import PACKAGED, ResolvedModel, resolve

PRICES = Prices(MODELS["abacus"], drawn=1e8, taught=1e8, learned=48e7, voted=1e10)


def test_training_costs_three_times_what_reading_does() -> None:
    assert (sampled(10, 3), trained(10, 3)) == (60, 180)


def test_training_pays_from_the_query_at_which_both_have_cost_the_same() -> None:
    assert cheaper_from(1000, 10, 30) == 50
    assert 1000 + 49 * 10 > 49 * 30
    assert cheaper_from(1000, 30, 30) is None
    assert cheaper_from(1000, 40, 30) is None


def test_parameters_are_read_from_the_headers_of_weights_where_no_entry_tells() -> None:
    known = resolve("abacus")
    folder = resolve(str(PACKAGED / "abacus"))
    assert parameters_of(known) == known.entry.parameters
    assert parameters_of(folder) == known.entry.parameters
    assert parameters_of(ResolvedModel(folder.entry, "nowhere")) == 0


def test_a_budget_is_flops_or_time() -> None:
    assert parse("2e12") == Budget(2e12)
    assert parse("90s") == Budget(90, timed=True)
    assert parse("1.5min") == Budget(90, timed=True)
    assert parse("1min").in_flops(rate=10) == 600
    for wrong in ("much", "-1", "nan", "5 days"):
        with pytest.raises(RefusedError, match="--budget"):
            parse(wrong)


@pytest.mark.parametrize("command", ["grpo", "distill", "vote"])
def test_what_is_bought_costs_no_more_than_the_budget(command: str) -> None:
    coin = COINS[command]
    count, price = coin.bought("part", 1e12, PRICES, {}), coin.price(PRICES, {})
    assert count * price <= 1e12
    assert (count + 1) * price > 1e12 or count == coin.most
    assert coin.bought("part", 2e12, PRICES, {}) >= count


def test_a_recipe_in_stages_is_bought_in_per_cent_of_all_its_stages() -> None:
    coin = COINS["sft-rl"]
    hundred = 100 * coin.price(PRICES, {})
    usual = ["cold-start.questions=600", "rejection.questions=1500"]
    assert set(usual) <= set(coin.bought("sft-rl", hundred * 1.001, PRICES, {}))
    assert "cold-start.questions=60" in coin.bought("sft-rl", hundred * 0.1001, PRICES, {})


def test_a_budget_that_buys_nothing_is_said_to() -> None:
    with pytest.raises(RunError, match="larger --budget"):
        COINS["grpo"].bought("grpo", 10, PRICES, {})


def test_a_step_is_priced_by_its_completions() -> None:
    price = COINS["grpo"].price(PRICES, {"group_size": 4, "prompts_per_step": 2})
    assert price == 8 * (2 * 1e6 * 50 + 6 * 1e6 * 80)
