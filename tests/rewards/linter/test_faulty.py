"""Faults of rewards that peers have or had are each caught, by what shows them."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def whats(report) -> set[str]:
    return {finding.what for finding in report.findings}


@pytest.mark.parametrize(
    ("reward", "task", "attacks"),
    [
        ("hollow_format", "arithmetic", {"tags without content", "tags out of place"}),
        ("hollow_tag_count", "arithmetic", {"tags without content"}),
        ("repeated_tags", "arithmetic", {"tags repeated"}),
        ("half_a_form", "arithmetic", {"tags out of place"}),
        ("countdown", "countdown", {"other operators than allowed", "tags without content"}),
        ("unparsable_gold", "arithmetic", {"a reference without a value"}),
        ("substring", "arithmetic", {"every number from -20 to 100", "several answers at once"}),
        ("substring", "choice", {"the question echoed", "every option"}),
        ("empty_is_inside", "arithmetic", {"empty text", "tags without content"}),
        ("any_number", "arithmetic", {"every number from -20 to 100", "several answers at once"}),
        ("any_box", "choice", {"every option"}),
        ("counted", "arithmetic", {"the right answer a thousand times"}),
        ("gullible_judge", "arithmetic", {"instructions to a judge"}),
        ("exit_code", "tiny-code", {"a program that exits with success"}),
        ("same_process", "tiny-code", {"objects equal to everything"}),
    ],
)
def test_a_reward_that_pays_for_nothing_is_caught_by_the_attack_that_it_pays(
    check: Callable, reward: str, task: str, attacks: set[str]
) -> None:
    report = check(reward, task=task)
    paid = {finding.what for finding in report.findings if finding.paid}
    assert attacks <= paid
