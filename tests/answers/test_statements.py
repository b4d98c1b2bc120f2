"""What sentences and equations come to."""

from __future__ import annotations

import pytest

from reasonkit.answers.prose import quantities, sentences
from reasonkit.answers.statements import committed, stated


@pytest.mark.parametrize(
    "quantity",
    [
        *("12 cm^2", "2x+3", "3√2", "10^5", "(2,3)", "x = 2 or x = -3", "− 3", "6.02 x 10^23"),
        *("3+4i", "[2, 5)", "\\frac{3}{4}", "x² + 1", "$1,250.50", "50%", "3:30 PM", "5 km/h"),
        *("2, 3 and 5", "3.5 × 10⁸ m/s", "√3/2", "-40", "1 1/2", "{1, 2}", "March 5", "7!"),
    ],
)
def test_a_quantity_is_taken_whole(quantity: str) -> None:
    (found,) = quantities(f"So the answer must be {quantity}")
    assert found.text == quantity


@pytest.mark.parametrize(
    ("sentence", "value"),
    [
        ("Thus there are $9$ divisors of 196.", "9"),
        ("So it leaves a remainder of $3$ when divided by 7.", "3"),
        ("It is not 12 but 15.", "15"),
        ("Since 3 + 4 = 7, she has 7 apples.", "7"),
        ("He has 15 marbles, not 12.", "15"),
        ("That makes 40 + 2 = 42 in all, because 2 were new.", "42"),
        ("There are 3 red and 5 blue balls.", None),
        ("I can't determine the 5 lengths.", None),
        ("The tank holds 5 liters, which is", None),
        ("The film ends at 9:30 p.m.", "9:30 p.m"),
        ("Three pieces of 40 cm make a rope of 120 cm.", "120 cm"),
        ("It takes 12 minutes to fill the 60 L tank.", "12 minutes"),
        ("The shape is called an octagon.", "octagon"),
        ("No, because 91 = 7 · 13.", "No"),
        ("A heptagon has seven sides.", "seven"),
        ("The total is **$44**.", "$44"),
        ("Is 5 right?", None),
    ],
)
def test_a_sentence_states_one_quantity_or_none(sentence: str, value: str | None) -> None:
    assert stated([sentence]) == value


@pytest.mark.parametrize(
    "remark",
    [
        *(
            "Note that 3 divides it.",
            "I hope this helps with your 2 questions!",
            "(That is 2 less.)",
        ),
        *("We can check: 2 + 2 = 4.", "Let me know if 5 is wrong.", "Would you like 3 more?"),
    ],
)
def test_a_remark_states_nothing(remark: str) -> None:
    assert stated(["The total is 44.", remark]) == "44"


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("2+2*6=2+12=14", "14"),
        ("x = 5", "5"),
        ("y = 2x+1", "y = 2x+1"),
        ("x^2 + y^2 = 25", "x^2 + y^2 = 25"),
        ("a = b \\Rightarrow x = 3", "3"),
        ("d = 5\\sqrt{2} \\approx 7.07", "d = 5\\sqrt{2}"),
        ("x = 10/3 \\approx 3.33", "3.33"),
        ("x = 2 or x = -3", "x = 2 or x = -3"),
        ("c = 14, and a = 14 + 2 = 16", "16"),
        ("36 - 19 = 17 = x", "17"),
    ],
)
def test_an_equation_comes_to_its_last_side(formula: str, value: str) -> None:
    assert committed(formula) == value


def test_a_sentence_ends_at_no_decimal_formula_or_abbreviation() -> None:
    text = "It is 3.5 m. See $a. b$ at 5 p.m. there. So:\n\\[x = 2.\\]\nThen"
    assert sentences(text) == [
        "It is 3.5 m.",
        "See $a. b$ at 5 p.m. there.",
        "So:\n\\[x = 2.\\]",
        "Then",
    ]
