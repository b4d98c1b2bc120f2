"""What units measure."""

from __future__ import annotations

from fractions import Fraction

import pytest

from reasonkit.answers.units import is_known, unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("km/h", "kilometers per hour"),
        ("m/s^2", "metres per second squared"),
        ("m/s²", "m s^-2"),
        ("sq ft", "square feet"),
        ("cm³", "cubic centimetres"),
        ("mL", "cm^3"),
        ("N m", "J"),
        ("kg m/s^2", "newtons"),
        ("lbs", "pounds"),
        ("Minutes", "min"),
        ("$", "dollars"),
        ("dollars per hour", "$/h"),
        ("%", "percent"),
    ],
)
def test_a_unit_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert unit(one) == unit(other)
    assert is_known(one)


@pytest.mark.parametrize(
    ("large", "small", "times"),
    [
        ("km", "m", 1000),
        ("hours", "minutes", 60),
        ("feet", "inches", 12),
        ("dollars", "cents", 100),
        ("gallons", "cups", 16),
        ("m^2", "cm^2", 10_000),
        ("weeks", "days", 7),
        ("tons", "kg", 1000),
    ],
)
def test_scales_are_exact(large: str, small: str, times: int) -> None:
    one, other = unit(large), unit(small)
    assert one is not None and other is not None
    assert one.dimension == other.dimension
    assert one.scale / other.scale == Fraction(times)


@pytest.mark.parametrize(
    ("one", "other"), [("kg", "m"), ("m", "m^2"), ("$", "€"), ("apples", "pears"), ("C", "F")]
)
def test_what_measures_something_else_has_another_dimension(one: str, other: str) -> None:
    first, second = unit(one), unit(other)
    assert first is not None and second is not None
    assert first.dimension != second.dimension


@pytest.mark.parametrize("text", ["units", "square units", ""])
def test_a_unit_that_says_nothing_is_none(text: str) -> None:
    assert unit(text) is None


@pytest.mark.parametrize(
    ("one", "many"), [("apple", "apples"), ("cookie", "cookies"), ("person", "people")]
)
def test_an_unknown_unit_is_its_text_in_the_singular(one: str, many: str) -> None:
    assert unit(one) == unit(many)
    assert not is_known(many)
