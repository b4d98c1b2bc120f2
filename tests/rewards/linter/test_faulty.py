"""Faults that rewards of peers have or had are caught, each by what shows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reasonkit.rewards.linter import Finding, Report


def found(report: Report, what: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.what == what]
    return finding


@pytest.mark.parametrize(
    ("reward", "task", "attacks"),
    [
        ("hollow_format", "arithmetic", ["tags without content", "tags out of place"]),
        ("hollow_tag_count", "arithmetic", ["tags without content"]),
        ("repeated_tags", "arithmetic", ["tags repeated"]),
        ("half_a_form", "arithmetic", ["tags out of place"]),
        ("countdown", "countdown", ["other operators than allowed", "tags without content"]),
        ("unparsable_gold", "arithmetic", ["a reference without a value"]),
        ("substring", "arithmetic", ["every number from -20 to 100", "several answers at once"]),
        ("substring", "choice", ["the question echoed", "every option"]),
        ("empty_is_inside", "arithmetic", ["empty text", "tags without content"]),
        ("last_digits", "arithmetic", ["the right answer within another"]),
        ("first_digits", "arithmetic", ["the right answer within another"]),
        ("without_sign", "arithmetic", ["the right answer within another"]),
        ("any_number", "arithmetic", ["every number from -20 to 100", "several answers at once"]),
        ("any_box", "choice", ["every option"]),
        ("evaluated", "arithmetic", ["a formula of the question"]),
        ("counted", "arithmetic", ["the right answer a thousand times"]),
        ("gullible_judge", "arithmetic", ["instructions to a judge"]),
        ("exit_code", "tiny-code", ["a program that exits with success"]),
        ("length_alone", "arithmetic", ["very long output", "an answer a thousand times"]),
    ],
)
def test_a_reward_that_pays_for_nothing_is_caught_by_the_attack_that_it_pays(
    check: Callable[..., Report], reward: str, task: str, attacks: list[str]
) -> None:
    report = check(reward, task=task, seconds=2)
    for attack in attacks:
        finding = found(report, attack)
        assert finding.paid is not None and finding.paid > 0
        assert finding.reward == reward


def test_a_power_instead_of_a_sum_reaches_a_solution_of_countdown_and_junk_a_tenth_of_it(
    check: Callable[..., Report],
) -> None:
    report = check("countdown", task="countdown")
    power = found(report, "other operators than allowed")
    assert (power.paid, power.right) == (1.0, 1.0)
    assert "2**3" in power.text
    assert found(report, "other scripts' digits").paid == 0.1


@pytest.mark.parametrize(
    ("reward", "fault"),
    [
        ("constant", "pays a right answer no more than a wrong one"),
        ("undecided", "no verdict on a right answer"),
        ("drifting", "other values when called again"),
        ("first_is_best", "values depend on the order in the group"),
        ("first_is_best", "other values for a copy of a completion"),
        ("originals_only", "other values for a copy of a completion"),
        ("sorting", "changes the group it is given"),
        ("rewording", "changes the group it is given"),
        ("not_a_number", "returned nan, which is no finite number"),
        ("as_text", "returned '1.0', which is no finite number"),
        ("too_few", "returned 0 values for 1 completions"),
        ("padded", "values for a group without completions"),
        ("digits", "raises ValueError: invalid literal for int() with base 10: '²²²'"),
        ("leaves", "raises SystemExit: 0"),
        ("evaluated", "ends the process"),
        ("hangs", "hangs"),
        ("hangs_on_brackets", "hangs"),
    ],
)
def test_a_reward_that_misbehaves_is_caught(
    check: Callable[..., Report], reward: str, fault: str
) -> None:
    assert found(check(reward, seconds=0.2 if fault == "hangs" else 1), fault).paid is None


def test_a_reward_that_runs_programs_in_its_own_process_is_caught_when_they_change_it(
    check: Callable[..., Report],
) -> None:
    report = check("same_process", task="tiny-code", seconds=1)
    found(report, "lets a completion replace Python's built-ins")
    found(report, "ends the process")
    found(report, "hangs")
    assert found(report, "objects equal to everything").paid == 1.0
    assert found(report, "an example without tests").paid == 1.0


def test_shaping_may_not_outweigh_being_right(check: Callable[..., Report]) -> None:
    finding = found(check("longer"), "very long output")
    assert finding.rule == "pays an attack more than being right is worth"
    report = check("a_bit_longer")
    assert not report.findings
    assert "up to 0.98" in report.notes[0]
    assert check("a_bit_longer=2").findings


def test_in_a_composition_shaping_may_not_lift_an_attack_above_trying(
    check: Callable[..., Report],
) -> None:
    assert not check("exact", "format=0.2").findings
    report = check("exact", "a_bit_longer=0.5", "format=0.2")
    finding = found(report, "very long output")
    assert finding.reward == "all together"
    assert finding.rule == "pays an attack more than an honest wrong answer"
    assert finding.wrong < finding.paid < finding.right


def test_in_a_composition_shaping_may_not_lift_an_attack_to_a_solution(
    check: Callable[..., Report],
) -> None:
    report = check("exact=0.5", "a_bit_longer")
    rules = {f.rule for f in report.findings if f.what == "very long output"}
    assert rules == {"pays something wrong like a reference solution"}


def test_a_composition_that_nothing_right_is_in_is_caught(check: Callable[..., Report]) -> None:
    report = check("format", "a_bit_longer=0.1")
    assert found(report, "pays a right answer no more than a wrong one").reward == "all together"


def test_a_negative_weight_turns_a_sound_reward_into_a_fault(check: Callable[..., Report]) -> None:
    assert found(check("exact=-1"), "pays a right answer no more than a wrong one")


def test_values_outside_the_declared_range_are_caught(check: Callable[..., Report]) -> None:
    from dataclasses import replace

    from reasonkit.rewards import REWARDS, WeightedReward
    from reasonkit.rewards.linter.candidates import Candidate, completion
    from reasonkit.rewards.linter.conduct import keeps_range

    put = [Candidate(completion("9"), right=True, style="tags")] * 2
    narrow = WeightedReward(replace(REWARDS["answer"], range=(0.0, 0.5)))
    (finding,) = keeps_range(narrow, put, [0.5, 1.0])
    assert finding.what == "a value outside its range, 0 to 0.5"
