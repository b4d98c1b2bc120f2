"""Whether two values are the same answer although one of them says less.

It isn't transitive (5 agrees with 5 cm and with 5 kg), and so no way to count votes.
"""

from __future__ import annotations

from fractions import Fraction

from reasonkit.answers.lists import without_names
from reasonkit.answers.numbers import Quantity


def agree(given: object, wanted: object) -> bool:
    """Whether an answer's value is the reference's, where one of the two says less.

    A unit, a modulus, half of a day or a year that stands on one side alone is left out of
    account. 50 % is met by 50 and by 0.5, and 0.5 by 50 %. Names are left out where they stand on
    one side alone.
    """
    if given == wanted:
        return True
    if isinstance(given, frozenset) and isinstance(wanted, frozenset):
        given_values, wanted_values = without_names(given), without_names(wanted)
        if bool(given_values) is bool(wanted_values):
            return _agree_as_sets(given, wanted)
        bare = [v for v in given_values or wanted_values if isinstance(v, frozenset)]
        return any(_agree_as_sets(v, wanted if given_values else given) for v in bare)
    for one, other in ((given, wanted), (wanted, given)):
        if isinstance(one, Quantity) and isinstance(other, Fraction):
            return other == one.shown or (one.is_share and other == one.shown / 100)
        if isinstance(other, tuple) and (names := without_names(one)):
            return any(agree(bare, other) for bare in names)
        if not isinstance(one, tuple) or not one:
            continue
        if one[0] in ("mod", "ratio") and isinstance(other, Fraction):
            return bool(one[1] == other)
        if one[0] == "vector" and isinstance(other, tuple) and other[:1] in (("(",), ("[",)):
            closing = {"(": ")", "[": "]"}[other[0]]
            return other[-1] == closing and _agree_in_order(one[1:], other[1:-1])
    if isinstance(given, tuple) and isinstance(wanted, tuple):
        if given[:1] == wanted[:1] == ("clock",):
            open_half = len(given) != len(wanted)
            return open_half and (int(str(given[1])) - int(str(wanted[1]))) % 720 == 0
        if given[:1] == wanted[:1] == ("date",):
            return given[1:3] == wanted[1:3] and None in (given[3], wanted[3])
        return _agree_in_order(given, wanted)
    return False


def _agree_in_order(given: tuple[object, ...], wanted: tuple[object, ...]) -> bool:
    return len(given) == len(wanted) and all(map(agree, given, wanted))


def _agree_as_sets(given: frozenset[object], wanted: frozenset[object]) -> bool:
    return (
        len(given) == len(wanted)
        and all(any(agree(one, other) for other in wanted) for one in given)
        and all(any(agree(one, other) for one in given) for other in wanted)
    )
