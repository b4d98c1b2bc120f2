"""Numbers exactly, words as words, the rest by math-verify."""

from __future__ import annotations

import json
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonkit.answers import comparison, group_equal
from reasonkit.answers.comparison import answers_match, check_reference, equal
from reasonkit.answers.reading import extract_answer
from reasonkit.answers.worker import TIME_LIMIT, Checker
from reasonkit.errors import DataError, RunError

DATA = Path(__file__).parents[2].parent / "shared" / "data"

INTEGERS = st.integers(-(10**12), 10**12)
# Lone surrogates and controls too: a tokenizer may decode to anything.
TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
DECIMALS = st.decimals(
    min_value=-(10**9), max_value=10**9, places=4, allow_nan=False, allow_infinity=False
)


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        ("1,200", "1200"),
        ("$18.00", "18"),
        ("-$5", "-5"),
        ("18 dollars", "18"),
        ("5.4 \\text{ cents}", "5.4"),
        ("864 \\mbox{ inches}^2", "864"),
        ("5 km/h", "5"),
        ("90^\\circ", "90"),
        ("5 million dollars", "5,000,000"),
        ("2 dozen", "24"),
        ("6.72\\times 10^{-5}", ".0000672"),
        ("1.5e3", "1500"),
        ("3/6", "0.5"),
        ("-\\frac{35}{9}", "-35/9"),
        ("\\frac43", "4/3"),
        ("1\\frac{4}{5}", "1.8"),
        ("11,\\! 111,\\! 111,\\! 100", "11111111100"),
        ("\\$32,\\!348", "32348"),
        ("−7", "-7"),
        ("**5**.", "5"),
        ("$\\boxed{4}$", "4"),
        ("10%", "10"),
        ("10\\%", "10 percent"),
        ("east", "\\text{East}"),
        ("(c)", "\\text{(C)}"),
        ("New  York", "new york"),
        ("x=5", "5"),
        ("1+x", "x+1"),
        ("-2, 1", "1,-2"),
        ("\\sqrt{8}", "2\\sqrt2"),
        ("$28$ %", "28\\%"),
        ("28 percent", "\\boxed{28\\%}"),
        ("1 000", "1000"),
        ("14 {, }916", "14{,}916"),
        ("1,000.99€", "1000.99"),
        ("5\\text{ m}", "5"),
        ("12 m²", "12 \\text{ m}^2"),
        ("(x, y) = (3, 2)", "(3,2)"),
        ("\\{1, 2\\}", "$2$ and $1$"),
        ("\\boxed{3} \\text{ and } \\boxed{4}", "4; 3"),
        ("[0.5, 2)", "\\left[\\frac12, 2\\right)"),
        ("(A) 12 apples", "A"),
        ("2π", "2\\pi"),
        ("sqrt(2)/2", "\\frac{\\sqrt2}{2}"),
        ("10^-2 x", "10^{-2}x"),
        ("x <= 2", "$x \\le 2$"),
        ("y+2x=3", "2x + y = 3"),
        (
            "\\begin{bmatrix} 1 & 0 \\\\ 0 & 1 \\end{bmatrix}",
            "\\begin{pmatrix}1&0\\\\0&1\\end{pmatrix}",
        ),
        ("(3, \\frac{\\pi}{2})", "\\left( 3, \\frac{\\pi}{2} \\right)"),
        ("½", "1/2"),
        ("3½", "\\frac72"),
        ("x²", "x^2"),
        ("x₁", "x_1"),
        ("∛8", "2"),
        ("0.\\overline{3}", "1/3"),
        ("0.1\\overline{6}", "\\frac16"),
        ("1 000 4/9", "9004/9"),
        ("1,22", "1.22"),
        ("2,74 €", "2.74"),
        ("10^3", "1000"),
        ("3e0", "\\sqrt{9}"),
        ("USD 18", "18"),
        ("US$18", "18"),
        ("5 m/s", "5"),
        ("5\\ \\frac{\\text{m}}{\\text{s}}", "5"),
        ("98.6°F", "98.6"),
        ("5\\sqrt{2}\\text{ cm}", "5\\sqrt2"),
        ("6\\pi square units", "6\\pi"),
        ("185\\", "185"),
        ("“Evelyn”", "Evelyn"),
        ("= 5,", "5"),
        ("\\boxed 5", "5"),
        ("is $\\boxed{32,\\! 349}$", "32349"),
        ("option B", "(B)"),
        ("C: 12 apples", "C"),
        ("5-5c", "-5c+5"),
        ("7*sin(pi*x/5)+1", "7 \\sin(\\frac{\\pi}{5}x) + 1"),
        ("e^(-8*x)*cos(9*x)", "e^{-8x} \\cos(9x)"),
        ("sqrt(1+sqrt(2))", "\\sqrt{1+\\sqrt{2}}"),
        ("ln 2", "\\ln(2)"),
        ("\\sin 30^\\circ", "\\frac12"),
        ("\\cos(20^\\circ)", "\\cos 20^\\circ"),
        ("\\sqrt[3]2", "\\sqrt[3]{2}"),
        ("\\sqrt[3]{-8}", "-2"),
        ("24\\sqrt\\frac{3}{5}", "24\\sqrt{\\frac{3}{5}}"),
        ("2^{0.5}", "\\sqrt2"),
        ("10,000\\pi", "10000\\pi"),
        ("\\frac{-1\\pm\\sqrt5}{2}", "\\frac{-1+\\sqrt5}{2}, \\frac{-1-\\sqrt5}{2}"),
        ("3>x>1", "1<x<3"),
        ("0\\le x\\le 1", "[0,1]"),
        ("[0,1]", "0\\le x\\le 1"),
        ("[0,2] ∩ (1,3)", "(1,2]"),
        ("\\langle 1,2\\rangle", "(1,2)"),
        ("\\varnothing", "∅"),
        ("y = 1, x = 2", "x = 2, y = 1"),
        ("(2, 1)", "x = 2, y = 1"),
        ("AB=4, CD=5", "4, 5"),
        ("204_{5}", "204_5"),
        ("The answer is 5.", "5"),
        ("There are **5** apples.", "5"),
        ("i^2", "-1"),
        ("|3+4i|", "5"),
        ("4\\mathrm{i} + 3", "3+4i"),
        ("(1+i)^2", "2i"),
        ("1000 m", "1 km"),
        ("90 minutes", "1.5 hours"),
        ("50 cents", "$0.50"),
        ("98.6°F", "37 °C"),
        ("5 ft 6 in", "66 inches"),
        ("1 hour and 30 minutes", "90 min"),
        ("5", "5 cm"),
        ("5 apples", "5"),
        ("5 apple", "5 apples"),
        ("50", "50%"),
        ("0.5", "50%"),
        ("50%", "1/2"),
        ("1,000, 2,000 and 3,000", "1000; 2000; 3000"),
        ("3:30 p.m.", "15:30"),
        ("3:30", "3:30 PM"),
        ("noon", "12:00 PM"),
        ("5 March", "March 5"),
        ("x = 2 or x = -3", "\\{-3, 2\\}"),
        ("\\pm 3", "3 and -3"),
        ("(1,2) or (3,4)", "(1,2) \\cup (3,4)"),
        ("x < 1 or x > 5", "(-\\infty, 1) ∪ (5, \\infty)"),
        ("x > 1 and x < 3", "(1, 3)"),
        ("\\{x : x > 2\\}", "(2, \\infty)"),
        ("]2, 5[", "(2, 5)"),
        ("all real numbers", "\\mathbb{R}"),
        ("[[1, 2], [3, 4]]", "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"),
        ("[1 2; 3 4]", "\\begin{bmatrix} 1 & 2 \\\\ 3 & 4 \\end{bmatrix}"),
        ("(1, 2)", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"),
        ("3\\mathbf{i} - 2\\mathbf{j}", "\\langle 3, -2 \\rangle"),
        ("The square.", "square"),
        ("twenty-one", "21"),
        ("three quarters", "0.75"),
        ("3 : 4", "3:4"),
        ("5 to 7", "5:7"),
        ("b = a", "a = b"),
        ("x^2 + y^2 = 25", "25"),
        ("f(x) = 2x + 1", "y = 2x + 1"),
        ("3 \\pmod{7}", "3"),
        ("1011 (base 2)", "1011_2"),
        ("Therefore $x \\geq 5$ is the solution.", "x >= 5"),
    ],
)
def test_two_ways_to_write_an_answer_are_equal(candidate: str, reference: str) -> None:
    assert equal(candidate, reference) is True


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [
        ("0.333333", "1/3"),
        ("0.333333", "\\frac13"),
        ("5 million", "5"),
        ("5 and a half", "5"),
        ("2 thirds", "2"),
        ("5 pi", "5"),
        ("5 or 6", "5"),
        ("1$, $2$, $5", "5"),
        ("1, 2, 3, 4, 5", "5"),
        ("\\boxed{1} \\boxed{5}", "5"),
        ("\\text{5}6", "56"),
        ("\\frac{1}{2}3", "1/23"),
        ("1e5000", "5000e1"),
        ("1e99999999999", "2"),
        ("5/0", "5"),
        ("no", "on"),
        ("west", "\\text{east}"),
        ("(B)", "(C)"),
        ("", "5"),
        ("   ", "5"),
        ("\\frac{1}{", "1"),
        ("(2,3)", "[2,3]"),
        ("(2,3)", "(3,2)"),
        ("[0,1)", "(0,1]"),
        ("1, 2", "1, 3"),
        ("1,300", "1.300"),
        ("1,3", "13"),
        ("1,3", "3"),
        ("\\{1, 2\\}", "\\{1, 2, 3\\}"),
        ("\\frac{1}{2}x", "\\frac12"),
        ("x > 5", "x < 5"),
        ("3.14159", "\\pi"),
        ("5^2", "5"),
        ("10^3", "10"),
        ("0,111", "111"),
        ("11 6/6", "12"),
        ("5t", "5"),
        ("2+3t", "2+3"),
        ("x-3m", "x-3"),
        ("204_6", "204_5"),
        ("10,000\\pi", "10, 0"),
        ("0.0000001\\pi", "0.0000002\\pi"),
        ("y = 2, x = 1", "x = 2, y = 1"),
        ("(1, 2)", "x = 2, y = 1"),
        ("2 - 3\\mathrm{i}", "2"),
        ("There are 5 apples.", "6"),
        ("5 g", "5 kg"),
        ("2 minutes", "2 hours"),
        ("5 cents", "$5"),
        ("5 m", "5 m^2"),
        ("5 apples", "5 pears"),
        ("5000%", "50%"),
        ("0.5", "50"),
        ("3:30 AM", "3:30 PM"),
        ("4:3", "3:4"),
        ("1:3:2", "1:2:3"),
        ("25", "x^2 + y^2 = 25"),
        ("x = 4 or x = 7", "7"),
        ("x < 1 and x > 5", "(1, 5)"),
        ("[2, 5[", "(2, 5)"),
        ("3 - 4i", "3 + 4i"),
        ("2 \\pmod 7", "3 \\pmod 7"),
        ("[[1, 2], [3, 4]]", "[[1, 3], [2, 4]]"),
        ("6 March", "March 5"),
        ("5 ft 5 in", "66 inches"),
        ("9" * 5000, "9"),
        ("x+1" * 5000, "x+1"),
    ],
)
def test_different_answers_are_not_equal(candidate: str, reference: str) -> None:
    assert equal(candidate, reference) is False


@pytest.mark.parametrize("echo", ["2+2*6", "$2+2\\cdot 6$", "x = 2+2*6", "(2+12)", "28 ÷ 2"])
def test_a_calculation_left_undone_is_paid_for_by_no_reward(echo: str) -> None:
    assert equal(echo, "14") is False
    assert equal(f"{echo} = 14", "14") is True


@pytest.mark.parametrize("done", ["28/2", "1.4e1", "1.4 \\times 10^1", "-(-14)", "\\frac{28}{2}"])
def test_a_number_in_its_own_notation_is_no_calculation(done: str) -> None:
    assert equal(done, "14") is True


def test_two_formulas_match_whether_or_not_they_are_worked_out() -> None:
    assert answers_match("14", "2+2*6") is True
    assert equal("2^{10}", "1024") is True
    assert equal("3\\cdot 2^5", "2^5\\cdot 3") is True


@given(INTEGERS | DECIMALS, INTEGERS | DECIMALS)
def test_plain_numbers_are_equal_exactly_when_their_values_are(left: object, right: object) -> None:
    assert equal(f"{left:f}", f"{right:f}") is (Fraction(left) == Fraction(right))


@given(st.integers(-99, 99), st.integers(1, 99), st.integers(-99, 99), st.integers(1, 99))
def test_fractions_are_equal_exactly_when_their_values_are(a: int, b: int, c: int, d: int) -> None:
    assert equal(f"{a}/{b}", f"\\frac{{{c}}}{{{d}}}") is (a * d == b * c)


@given(DECIMALS, st.sampled_from(["{:,f}", "${:f}", "{:f}0", "{:f} apples", "\\boxed{{{:f}}}"]))
def test_a_number_equals_itself_however_it_is_rendered(number: object, form: str) -> None:
    assert equal(form.format(number), str(number)) is True


@given(st.integers(-(10**6), 10**6), st.integers(-12, 12))
def test_scientific_notation_has_its_value(mantissa: int, exponent: int) -> None:
    value = mantissa * Fraction(10) ** exponent
    assert equal(f"{mantissa}e{exponent}", f"{value.numerator}/{value.denominator}") is True
    assert equal(f"{mantissa}e{exponent}", f"{mantissa + 1}e{exponent}") is False


@given(st.lists(st.sampled_from(["10", "10%", "0.1", "1/10", "\\frac{1}{10}", "$10"]), min_size=3))
def test_classes_of_numbers_are_a_partition(texts: list[str]) -> None:
    a, b, c = group_equal(texts)[:3]
    assert not (a == b == c) or equal(texts[0], texts[2])


@given(st.text(alphabet="0123456789.,/$%eE+-", max_size=30))
def test_no_number_like_text_raises(text: str) -> None:
    assert equal(text, "7") in (True, False)


def test_a_tower_of_powers_is_unequal_within_the_time_limit() -> None:
    start = time.monotonic()
    assert equal("2^{2^{2^{49}}}", "5") is False
    assert time.monotonic() - start < 8
    assert equal("\\sqrt{16}", "4") is True


def test_a_candidate_is_never_run_as_python(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for code in (
        f"__import__('os').system('touch {touched}')",
        f"open('{touched}','w')",
        f"\\text{{__import__('pathlib').Path('{touched}').touch()}}",
        f"\\operatorname{{eval}}(\"open('{touched}','w')\")",
    ):
        assert equal(code, "x+5") is False
    assert not touched.exists()


@pytest.mark.parametrize(
    "reference", ["", "  ", "$$", "\\boxed{}", "???", "\\frac{1}{", "\\text{}", "nan", "5/0", "-"]
)
def test_a_reference_without_a_value_is_refused_in_one_line(reference: str) -> None:
    with pytest.raises(DataError) as refused:
        check_reference(reference)
    assert "\n" not in str(refused.value)


@given(TEXT, TEXT | st.just("x+1"))
@settings(max_examples=60, deadline=(2 * TIME_LIMIT + 5) * 1000)
def test_no_text_raises_or_outlasts_the_limit(reference: str, answer: str) -> None:
    assert answers_match(reference, answer) in (True, False)


def test_no_hours_and_some_minutes_are_compared_too() -> None:
    assert not answers_match("30 minutes", "0 hours and 20 minutes")


@pytest.mark.parametrize("wrong", [None, 5, 0.5, b"5", ["5"], {"5"}])
def test_an_answer_of_another_type_matches_nothing(wrong: object) -> None:
    assert answers_match("5", wrong) is False  # type: ignore[arg-type]
    assert answers_match(wrong, "5") is False  # type: ignore[arg-type]


def test_without_a_process_formulas_match_as_texts_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    comparison.symbolically.cache_clear()
    monkeypatch.setattr(comparison, "_checker", Checker())
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert [answers_match("x+1", text) for text in ("1+x", "2+x", "$x+1$")] == [False, False, True]
    assert answers_match("0.5", "1/2") is True
    assert [record.message.count("didn't start") for record in caplog.records] == [1]
    with pytest.raises(RunError):
        equal("1+x", "x+1")
    comparison.symbolically.cache_clear()


@given(st.text(alphabet="x12()[]{},;+-^=/\\\\ $", max_size=24))
@settings(max_examples=60, deadline=(2 * TIME_LIMIT + 5) * 1000)
def test_no_formula_like_text_raises_or_outlasts_the_limit(text: str) -> None:
    assert answers_match("x+1", text) in (True, False)
    assert answers_match(text, "x+1") in (True, False)


@pytest.mark.parametrize(
    "unit",
    [
        "\\boxed{",
        "$",
        "**",
        "<answer>",
        "answer is ",
        "(",
        "{,}",
        "1,",
        "9",
        "x",
        "\\(",
        "\\[",
        "$$",
        "####",
        "\\frac{",
        "\\frac{1}{2}",
        "\\$",
        "A: ",
        "(A) ",
        "_",
        "^(",
        " ",
        "\n",
        "1 2/3 ",
        "-",
    ],
)
def test_a_long_repetition_takes_no_longer_than_the_limit(unit: str) -> None:
    start = time.monotonic()
    text = unit * (100_000 // len(unit))
    assert answers_match("x+1", text) is False
    assert answers_match("x+1", extract_answer(text)) is False
    assert time.monotonic() - start < 2 * TIME_LIMIT


@pytest.mark.parametrize("text", ["5/0", "???", "x+1", "\\frac{1}{", "2^{2^{2^{49}}}", "nan"])
def test_every_answer_matches_the_same_text(text: str) -> None:
    assert answers_match(text, text) is True


def test_no_answer_never_matches() -> None:
    assert answers_match("5", None) is False
    assert answers_match("", "") is False


@pytest.mark.parametrize("reference", ["", "\\frac{1}{", "5/0"])
def test_there_is_no_verdict_without_a_reference_value(reference: str) -> None:
    assert equal("\\sqrt2", reference) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets aren't here")
def test_every_reference_is_accepted_and_equals_itself() -> None:
    rows = [json.loads(line) for line in (DATA / "math500" / "test.jsonl").open()]
    wrong = []
    for row in rows:
        check_reference(row["answer"])
        if equal(f" {row['answer']}. ", f"${row['answer']}$") is not True:
            wrong.append(row["answer"])
    assert wrong == []


@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets aren't here")
def test_formulas_of_real_references_equal_themselves_rewritten() -> None:
    references = {json.loads(line)["answer"] for line in (DATA / "math500" / "test.jsonl").open()}
    # A redundant factor keeps the texts apart, so that the formulas have to be compared.
    formulas = sorted(r for r in references if "\\sqrt" in r and r[0] not in "({\\")
    assert len(formulas) >= 5
    assert [r for r in formulas if not equal(f"1 \\cdot {r}", r)] == []
