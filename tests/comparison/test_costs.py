"""FLOPs and cross-overs."""

from __future__ import annotations

from reasonkit.comparison.costs import cheaper_from, parameters_of, sampled, trained
from reasonkit.models.loading import PACKAGED, ResolvedModel, resolve


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
