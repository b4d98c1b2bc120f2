r"""Whether an answer equals the reference answer.

Four ways, the first that applies decides:

1. *Plain answers*, without sympy and exactly (`reasonkit.answers.plain`): numbers, quantities,
   times, words and choices, and lists, sets, tuples, intervals and matrices of them.
2. *The same text* once its layout is stripped (`reasonkit.answers.layout`).
3. *Everything else* by math-verify, in a process of its own (`reasonkit.answers.worker`).
4. *Without what stands before an equals sign*, where the reference has none, or only a name there:
   ``x = 5`` and ``f(1) + f(2) = 5`` answer 5.

What equal means: exact values are (0.333 is not 1/3), ``i`` is the imaginary unit, the order of a
set of solutions doesn't matter whether it is written with commas, "and", "or", ∪ or ±, and that of
a tuple does. The same quantity in another unit is equal (1 km, 1000 m), another quantity is not (kg
for g, $ for cents), and a unit on one side alone is ignored. A unit nobody knows is compared as
text. 50 % is met by 50, 50 % and 0.5. A time that leaves out AM or PM meets both. ``1,5`` is two
numbers, and 1.5 beside an answer that is one. Left out: whether a rounded decimal is close enough
to a fraction, and which of several notations a question asked for.
"""

from __future__ import annotations

import functools
import logging
import re
from fractions import Fraction

from reasonkit.answers.extraction import find, is_sentence
from reasonkit.answers.latex import formula
from reasonkit.answers.layout import EQUALS, LONGEST, NAME, tidy
from reasonkit.answers.lists import members, without_names
from reasonkit.answers.numbers import Quantity, with_decimal_comma
from reasonkit.answers.plain import (
    NO_VALUE,
    is_calculation,
    is_flat,
    is_number,
    is_word,
    plain,
)
from reasonkit.answers.worker import Checker
from reasonkit.errors import DataError, RunError

_NAME = re.compile(rf"\s*{NAME}\s*")

_log = logging.getLogger(__name__)
_checker = Checker()


def answers_match(reference: str, answer: str | None) -> bool:
    r"""Whether ``answer`` is the reference answer, however the two are written.

    Both may be bare, in ``$…$`` or in ``\boxed{}``; an answer with a sentence around it is read as
    `reasonkit.answers.extraction.find` reads it. An answer that can't be read, or takes
    longer to compare than `reasonkit.answers.worker.TIME_LIMIT`, doesn't match; None, no answer,
    never does. No text is evaluated as code, and nothing raises: where the process that compares
    formulas can't be started, formulas match only as texts, and a warning is logged once.
    """
    if not isinstance(reference, str) or not isinstance(answer, str):
        return False
    if answer == reference and tidy(answer):
        return True
    try:
        return _verdict(answer, reference) is True
    except RunError as error:
        _warn_once(str(error))
        return False


@functools.cache
def _warn_once(message: str) -> None:
    _log.warning("%s; until then, formulas match only where their texts are the same", message)


def equal(candidate: str, reference: str) -> bool | None:
    """`answers_match` for a reward: a wrong answer told from a reference that none can match.

    A calculation left undone is no answer where the reference is a number: the question
    ``2+2*6``, echoed, would be paid for.

    Returns:
        None, no verdict, where the reference itself has no value (`check_reference`).

    Raises:
        RunError: the process that compares formulas can't be started on this machine.
    """
    verdict = _verdict(candidate, reference)
    if verdict and is_number(plain(tidy(reference))) and is_calculation(tidy(candidate)):
        return tidy(candidate) == tidy(reference)
    return verdict


def _verdict(candidate: str, reference: str) -> bool | None:
    given, wanted = tidy(candidate), tidy(reference)
    if not wanted or plain(wanted) is NO_VALUE:
        return None
    verdict = _compare(given, wanted)
    if verdict is False and not is_number(plain(given)) and is_sentence(candidate):
        found = find(candidate)
        return _compare(tidy(found.text) if found else "", wanted)
    return verdict


def _compare(given: str, wanted: str) -> bool | None:
    verdict = _as_written(given, wanted)
    if verdict is not False or max(len(given), len(wanted)) > LONGEST:
        return verdict
    given_sides, wanted_sides = EQUALS.split(given), EQUALS.split(wanted)
    if len(given_sides) == len(wanted_sides) == 2:
        if _same(given_sides[0], wanted_sides[1]) and _same(given_sides[1], wanted_sides[0]):
            return True
        if _NAME.fullmatch(given_sides[0]) and _NAME.fullmatch(wanted_sides[0]):
            return _same(given_sides[1], wanted_sides[1])
    if len(wanted_sides) == 1 < len(given_sides) and len(members(given)) == 1:
        return _same(given_sides[-1], wanted)
    if len(given_sides) == 1 < len(wanted_sides) and _NAME.fullmatch(wanted_sides[0]):
        return _same(given, wanted_sides[-1])
    return False


def _same(given: str, wanted: str) -> bool:
    return _as_written(given.strip(), wanted.strip()) is True


def _as_written(given: str, wanted: str) -> bool | None:
    if given == wanted:
        return True
    if not given or max(len(given), len(wanted)) > LONGEST:
        return False
    given_value, wanted_value = plain(given), plain(wanted)
    if given_value is not None and wanted_value is not None and agree(given_value, wanted_value):
        return True
    for value, other in ((wanted_value, given), (given_value, wanted)):
        if isinstance(value, Fraction) and with_decimal_comma(other) == value:
            return True
    if given_value is NO_VALUE or is_word(given_value) or is_word(wanted_value):
        return False
    if is_flat(given_value) and is_flat(wanted_value):
        return False
    return symbolically(formula(given), formula(wanted))


def agree(given: object, wanted: object) -> bool:
    """Whether an answer's value is the reference's, where one of the two may say less.

    A unit, a modulus, half of a day, a year or names that stand on one side alone are left out of
    account. 50 % is met by 50 and by 0.5, and 0.5 by 50 %. It isn't transitive (5 agrees with 5 cm
    and with 5 kg), and so no way to count votes.
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


def check_reference(reference: str) -> None:
    """Makes sure that answers can be compared with ``reference``.

    Raises:
        DataError: it is empty or has no value.
        RunError: the process that compares formulas can't be started on this machine.
    """
    text = tidy(reference)
    if not text or text.lower() in ("nan", "null"):
        raise DataError(f"the reference answer is empty: {reference!r}")
    value = plain(text)
    readable = value is not NO_VALUE and (
        value is not None or (len(text) <= LONGEST and _checker.readable(formula(text)))
    )
    if not readable:
        shown = reference if len(reference) <= 80 else reference[:77] + "..."
        raise DataError(f"the reference answer can't be read: {shown!r}")


@functools.lru_cache(maxsize=1 << 16)
def symbolically(candidate: str, reference: str) -> bool | None:
    """What math-verify says of two formulas; None where the reference can't be read."""
    if candidate == reference:
        return True
    # A box left inside would make several answers of one, of which math-verify takes any.
    if "\\boxed" in candidate or "\\boxed" in reference:
        return False
    return _checker.equal(candidate, reference)
