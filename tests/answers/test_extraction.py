"""Finding the final answer in whatever it was written in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.answers.comparison import equal
from reasonkit.answers.layout import boxes
from reasonkit.answers.reading import extract_answer

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("9", "9"),
        ("2+7=9. The answer is 9.", "9"),
        ("The answer is: 9", "9"),
        ("**Final answer:** 9", "9"),
        ("The answer is 9, because 2+7=9.", "9"),
        ("2+7=9\n#### 9", "9"),
        ("D'abord 2+7=9, donc la reponse est 9.", "9"),
        ("so \\boxed{1} or rather \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        (r"First I thought \boxed{3}, but it is \boxed{4}.", "4"),
        (r"\boxed{3} becomes \boxed{4} after a check", "4"),
        (r"\boxed{3}，不对，\boxed{4}", "4"),
        (r"The sides are \boxed{3} cm and \boxed{4} cm", "3, 4"),
        (r"Thus $x = -2$ or $x = 5$.", "x = -2 or x = 5"),
        ("I get n = -2 or n = 5.", "n = -2 or n = 5"),
        ("2x = 8, so x = 4", "4"),
        ("<answer>\\boxed{5}</answer>", "5"),
        ("<answer>4</answer> no, <answer>5</answer>", "5"),
        ("It costs $1,250.50 in all", "$1,250.50"),
        ("about .35625", ".35625"),
        ("close to 6.02e23", "6.02e23"),
        ("Final Answer: The final answer is $28 \\%$. I hope it is correct.", "28 \\%"),
        ("Final answer: the number of points that lie in it is 19.", "19"),
        ("The answer is (B).", "(B)"),
        ("**Answer:** New York", "New York"),
        ("A: 7\nB is wrong", "7"),
        ("so $x \\geq 5$ is the solution", "x \\geq 5"),
        ("It costs $5 and then $7 more", "$7"),
        ("\\boxed{1} and \\boxed{2}", "1, 2"),
        ("\\boxed{\\{1, 2\\}} and \\boxed{3", "\\{1, 2\\}"),
        ("\\boxed 5", "5"),
        ("so $\\boxed 5$, as said", "5"),
        ("\\fbox{5} it is", "5"),
        ("\\boxed {\\frac{a}{b}}.", "\\frac{a}{b}"),
        ("\\boxed{5} oops \\boxed{}", "5"),
        ("$\\boxed{1}, \\boxed{2}$", "1, 2"),
        ("first $\\boxed{1}$, no, $\\boxed{2}$", "2"),
        ("**Final Answer**: $\\boxed{5}$. I hope it is correct.", "5"),
        ("**Final Answer**\n\n(1, 2)", "(1, 2)"),
        ("The answer is:\n\\[\n\\frac{1}{2}\n\\]", "\\frac{1}{2}"),
        ("The answer is therefore 5.", "5"),
        ("Answer: (C)", "(C)"),
        ("**Answer: C**", "C"),
        ("The correct option is (C).", "(C)"),
        ("The answer is for sure D, it can't be A or B", "D"),
        ("so I think it's B", "B"),
        ("not (A), rather (C)", "C"),
        ("答案是 42。", "42"),
        ("#### 1,000\n#### Step 4: check\nIt holds.", "1,000"),
        ("#### Final Answer\n5", "5"),
        ("\\frac{1}{2}", "\\frac{1}{2}"),
        ("first 3, then\n(1, \\infty)", "(1, \\infty)"),
        ("2+2*6=2+12=14", "14"),
        ("y = 2x+1", "y = 2x+1"),
        ("x+1", "x+1"),
        ("C", "C"),
        ("east", "east"),
        ("about 5 million people", "5 million"),
        ("so 3 1/2 cups", "3 1/2 cups"),
        ("a net change of -$40", "-$40"),
        ("Le total : 2,74 $ environ", "2,74 $"),
        ("the odds are \\frac{2}{5} then", "\\frac{2}{5}"),
        ("<answer> </answer>", None),
        ("I don't know", None),
        ("The area is 12 cm^2.", "12 cm^2"),
        ("(3)/(4)", "(3)/(4)"),
        ("2\\pi", "2\\pi"),
        (
            "\\begin{pmatrix}\n1 \\\\\n2\n\\end{pmatrix}",
            "\\begin{pmatrix}\n1 \\\\\n2\n\\end{pmatrix}",
        ),
        ("So\n\\begin{align*}\nx &= 3 + 4 \\\\\n&= 7.\n\\end{align*}", "7"),
        ("\\[a = b = 2\\sqrt{3}.\\]", "2\\sqrt{3}"),
        ("It is $5$.\n[asy]\ndraw((0,0)--(3,4));\n[/asy]", "5"),
        ("It is 5.\n```python\nprint(7)\n```", "5"),
        ("\\boxed{36} before. The final answer is 30.", "30"),
        ("The answer is 30, so \\boxed{30}. We check that our answer is correct.", "30"),
        ("it is not 12 but 15", "15"),
        ("\\boxed{\\text{The answer is 460}}", "460"),
        ("<answer>The answer is 5.</answer>", "5"),
        ('{"answer": 42}', "42"),
        ("39\n\nExplanation: each term grows by 4.", "39"),
        ("It's either A or B.", None),
        ("There are 3 red and 5 blue balls.", None),
        ("The total is", None),
        ("", None),
    ],
)
def test_the_last_answer_is_found_in_every_format(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@given(st.text(alphabet=st.sampled_from(list("<>/thinkaswer {}\\boxd#:5.,$*\n")), max_size=80))
def test_an_extracted_answer_is_never_empty(text: str) -> None:
    answer = extract_answer(text)
    assert answer is None or answer.strip()


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_no_text_raises(text: str) -> None:
    answer = extract_answer(text)
    assert answer is None or answer in text


@pytest.mark.skipif(not (DATA / "gsm8k").is_dir(), reason="GSM8K isn't here")
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_worked_gsm8k_solution_yields_its_own_answer(split: str) -> None:
    wrong = []
    for line in (DATA / "gsm8k" / f"{split}.jsonl").open():
        solution = json.loads(line)["answer"]
        reference = solution.rpartition("####")[2].strip()
        if extract_answer(solution) != reference or equal(reference, reference) is not True:
            wrong.append(reference)
    assert wrong == []


@pytest.mark.skipif(not (DATA / "math500").is_dir(), reason="MATH-500 isn't here")
def test_a_worked_math500_solution_yields_its_own_answer() -> None:
    rows = [json.loads(line) for line in (DATA / "math500" / "test.jsonl").open()]
    wrong = [
        (row["answer"], found)
        for row in rows
        if not equal(found := extract_answer(row["solution"]) or "", row["answer"])
    ]
    assert len(rows) == 500
    assert wrong == []


@pytest.mark.skipif(not (DATA / "math500").is_dir(), reason="MATH-500 isn't here")
def test_without_its_last_box_a_solution_yields_its_answer_or_mostly_none() -> None:
    right = fragments = 0
    for line in (DATA / "math500" / "test.jsonl").open():
        row = json.loads(line)
        start, inside, end = boxes(row["solution"])[-1]
        text = row["solution"][:start] + row["solution"][inside:end] + row["solution"][end + 1 :]
        found = extract_answer(text)
        verdict = found is not None and equal(found, row["answer"]) is True
        right += verdict
        fragments += found is not None and not verdict
    assert right >= 460
    assert fragments <= 25


@pytest.mark.skipif(not (DATA / "gsm8k").is_dir(), reason="GSM8K isn't here")
def test_recorded_model_solutions_are_judged_as_their_authors_judged_them() -> None:
    agreed = total = 0
    for line in (DATA / "gsm8k" / "example_model_solutions.jsonl").open():
        row = json.loads(line)
        reference = extract_answer(row["ground_truth"]) or ""
        for name in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"):
            total += 1
            verdict = equal(extract_answer(row[name]["solution"]) or "", reference)
            agreed += verdict is row[name]["is_correct"]
    assert agreed == total
