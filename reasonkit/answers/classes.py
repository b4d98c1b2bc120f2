"""Sorts answers into classes of equal ones, so that votes for one answer are counted together.

Comparing in pairs is not enough: math-verify compares decimals rounded, so that two decimals can
both equal a root and not each other. Here one member stands for each class, and the others are
compared with it alone. The classes are a partition whatever the verdicts are, and the order of the
answers doesn't change it. A number without a unit joins the one quantity that is written with that
number; where there are several, it stands alone.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from fractions import Fraction

from reasonkit.answers.comparison import symbolically
from reasonkit.answers.latex import formula
from reasonkit.answers.layout import LONGEST, tidy
from reasonkit.answers.lists import Plain
from reasonkit.answers.numbers import Quantity
from reasonkit.answers.plain import NO_VALUE, is_word, plain
from reasonkit.answers.worker import TIME_LIMIT


def group_equal(answers: Sequence[str]) -> list[int]:
    """The class of each answer, numbered in the order of first appearance.

    An answer that can't be read is equal only to the same text, and one that takes longer than
    `reasonkit.answers.worker.TIME_LIMIT` to compare only to what it was found equal to by then.

    Raises:
        RunError: the process that compares formulas can't be started on this machine.
    """
    tidied = [tidy(answer) or answer for answer in answers]
    texts = sorted(set(tidied), key=lambda text: (len(text), text))
    values = {text: plain(text) for text in texts}
    standing: dict[Hashable, str] = {}
    class_of: dict[str, Hashable] = {}
    for text in texts:
        value = values[text]
        if value is not None and value is not NO_VALUE:
            standing.setdefault(value, text)
            class_of[text] = value
    for text in texts:
        if text not in class_of:
            algebra = values[text] is None and len(text) <= LONGEST
            found = _equal_class(text, standing) if algebra else None
            class_of[text] = ("text", text) if found is None else found
            if algebra:
                standing.setdefault(class_of[text], text)
    class_of |= _with_the_unit(values)
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(class_of[text], len(numbers)) for text in tidied]


def _with_the_unit(values: dict[str, Plain | None]) -> dict[str, Hashable]:
    """The class of each bare number that one quantity, and only one, is written with."""
    shown: dict[Quantity, set[Fraction]] = {}
    for value in values.values():
        if isinstance(value, Quantity):
            shown.setdefault(value, set()).add(value.shown)
    of: dict[Fraction, list[Quantity]] = {}
    for quantity, numbers in shown.items():
        if len(numbers) == 1:
            of.setdefault(next(iter(numbers)), []).append(quantity)
    return {
        text: of[value][0]
        for text, value in values.items()
        if isinstance(value, Fraction) and len(of.get(value, ())) == 1
    }


def _equal_class(text: str, standing: dict[Hashable, str]) -> Hashable | None:
    started = time.monotonic()
    for key, other in standing.items():
        if time.monotonic() - started > TIME_LIMIT:
            return None
        if not is_word(key) and symbolically(formula(text), formula(other)):
            return key
    return None
