"""The encoding of values: there and back, and nothing else."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter, OrderedDict, defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.sandbox.inside.values import UnplainError, decode, encode, matches

hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers().map(lambda n: n << 20_000)
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.characters(categories=["Cs"])
    | st.binary(),
    lambda inner: st.lists(inner).map(tuple) | st.frozensets(inner),
    max_leaves=8,
)
plain = st.recursive(
    hashable,
    lambda inner: st.lists(inner) | st.dictionaries(hashable, inner) | st.sets(hashable),
    max_leaves=12,
)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text() | st.sampled_from(["int", "tuple", "set", "dict", "bytes", "complex"]), inner
        )
    ),
    max_leaves=12,
)


def sent(value: Any) -> Any:
    return json.loads(json.dumps(encode(value)))


def received(data: Any) -> Any:
    def other(kind: str, content: Any) -> Any:
        raise KeyError(kind)

    return decode(data, other)


@given(plain)
def test_a_plain_value_comes_back_as_it_was(value: Any) -> None:
    back = received(sent(value))
    assert back == value
    assert type(back) is type(value)


@given(plain_json)
def test_every_json_value_matches_itself(value: Any) -> None:
    assert matches(value, sent(value))


@given(plain_json, plain_json)
def test_different_json_values_do_not_match(one: Any, other: Any) -> None:
    if one != other:
        assert not matches(one, sent(other))


@given(any_json)
def test_garbage_decodes_to_a_plain_value_or_a_value_error(data: Any) -> None:
    with contextlib.suppress(ValueError):
        encode(received(data))


@given(plain_json, any_json)
def test_garbage_is_compared_without_an_error(expected: Any, data: Any) -> None:
    assert matches(expected, data) in (True, False)


@pytest.mark.parametrize(
    ("expected", "given_back", "same"),
    [
        (1, True, False),
        (True, 1, False),
        (0, False, False),
        (2, 2.0, False),
        (2.0, 2, True),
        (2.0, 2.0, True),
        (1.0, True, False),
        (float(2**70), 2**70, True),
        (2**70, 2**70, True),
        (2**70, float(2**70), False),
        ([1, 2], (1, 2), True),
        ([1, 2], [1, 2, 3], False),
        ([1, 2, 3], [1, 2], False),
        ([1], {1}, False),
        ([[1]], ((1,),), True),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, OrderedDict(a=1), True),
        ({"1": 1}, {1: 1}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"int": "0x10"}, 16, False),
        ("0x10", {"int": "0x10"}, False),
        ("1", 1, False),
        ("a", b"a", False),
        (None, False, False),
        (None, 0, False),
        ({"tuple": [1]}, (1,), False),
        ({"dict": []}, {}, False),
        (0.5, Fraction(1, 2), True),
        (2, Fraction(4, 2), True),
        (1, Fraction(1, 2), False),
        (0.5, Decimal("0.50"), True),
        (0.1, Decimal("0.1"), False),
        (2, Decimal(2), True),
        (2, Decimal("NaN"), False),
        ("2", Decimal(2), False),
        (True, Decimal(1), False),
        (True, Fraction(1), False),
    ],
)
def test_values_match_by_exact_type(expected: Any, given_back: Any, same: bool) -> None:
    assert matches(expected, sent(given_back)) is same


def test_nan_matches_nothing() -> None:
    for expected in (math.nan, 0.0, None):
        assert not matches(expected, math.nan)


@pytest.mark.parametrize("kind", [OrderedDict, Counter, lambda d: defaultdict(int, d)])
def test_dictionaries_of_collections_come_back_as_they_were(kind: Any) -> None:
    value = kind({"b": 1, "a": 2})
    back = received(sent(value))
    assert back == value
    assert type(back) is type(value)
    assert list(back) == ["b", "a"]


@pytest.mark.parametrize(
    ("base", "value"),
    [(int, 1), (str, "a"), (list, [1]), (dict, {1: 2}), (tuple, (1,)), (set, {1}), (float, 1.5)],
)
def test_an_object_of_a_subclass_is_sent_as_what_it_is_compared_as(base: type, value: Any) -> None:
    back = received(sent(type("Sub", (base,), {"__repr__": lambda _: "lie"})(value)))
    assert back == value
    assert type(back) is base
    with pytest.raises(UnplainError, match="type Sub"):
        encode(type("Sub", (base,), {"__eq__": lambda *_: True, "__hash__": None})(value))


@pytest.mark.parametrize("value", [object(), iter([1]), lambda: 1, [[object()]]])
def test_objects_equal_to_themselves_alone_have_no_encoding_of_their_own(value: Any) -> None:
    with pytest.raises(UnplainError):
        encode(value)
    assert sent_with_others(value) in ({"other": 0}, [[{"other": 0}]])


def sent_with_others(value: Any) -> Any:
    return encode(value, lambda _: {"other": 0})


def test_a_list_that_holds_itself_has_no_encoding() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(UnplainError, match="nested"):
        encode(value)
