"""Where a thought ends, where another turn begins, and what is said between the two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.answers.reading import THOUGHTS, answer_part, extract_answer, pieces, read


@pytest.mark.parametrize("tags", THOUGHTS)
def test_thoughts_are_read_in_the_tags_of_every_kind_of_model(tags: tuple[str, str]) -> None:
    opening, closing = tags
    assert read(f"{opening}2+3{closing}5") == read("<think>2+3</think>5")
    assert read(f"2+3{closing}5").thought == "2+3"
    assert read(f"{opening}it is 5").answer is None


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("5", None, "5"),
        ("<think>2+3</think>5", "2+3", "5"),
        ("2+3</think>5", "2+3", "5"),
        ("<think>2+3", "2+3", None),
        ("<think>a</think>b<think>c", "a\nc", None),
        ("<think>a</think><think>b</think>c", "a\nb", "c"),
        ("<think>User: hi</think>5", "User: hi", "5"),
        ("5\nUser: 1+1?\nAssistant: <think>1+1</think>2", None, "5"),
        ("<think>x</think>5\nUser: y\nAssistant: <think>z</think>2", "x", "5"),
    ],
)
def test_a_thought_and_the_answer_behind_it_are_told_apart(
    text: str, thought: str | None, answer: str | None
) -> None:
    assert (read(text).thought, read(text).answer) == (thought, answer)


@pytest.mark.parametrize(
    "turn",
    [
        *("\nUser: What is 3+3?\nAssistant: 6", "\n\nHuman: And now?\n\n6", "\n### User:\n6?\n6"),
        *(
            "<|im_end|>\n<|im_start|>user\nWhat is 3+3?",
            "<|eot_id|>6",
            "</s>6",
            " [INST] 6 [/INST]",
        ),
        *("\nuser\nWhat is 3+3?\nassistant\n6", "<end_of_turn>\n6", "<|endoftext|>6"),
        *("\n\nQuestion: What is 3+3?\nAnswer: 6", "\n\nQ: 3+3?\nA: 6", "\n**Problem 2:** 3+3\n6"),
        *(
            "\n\n## Problem 2\n3+3\n\n6",
            "\n\n2. Find 3+3.\nSolution: 6",
            "\n### Instruction:\n3+3\n6",
        ),
        *("\n[USER]\nAnd 3+3?\n[ASSISTANT]\n6", "\n**User:** 3+3?\n**Assistant:** 6"),
    ],
)
@pytest.mark.parametrize("text", ["4", "The answer is 4.", "\\boxed{4}", "So she has 4 apples."])
def test_what_another_turn_says_is_not_the_answer(text: str, turn: str) -> None:
    assert extract_answer(text + turn) == "4"


@pytest.mark.parametrize(
    "text",
    [
        *("Question: What is 2+2?\nAnswer: 4", "Assistant: 4", "Problem: 2+2.\nSolution: 2+2 = 4"),
        *("Let me restate it.\nQuestion: what is 2+2?\n4", "### Response:\n4", "User: hm\n4"),
    ],
)
def test_a_turn_label_in_front_begins_no_other_turn(text: str) -> None:
    assert extract_answer(text) == "4"


def test_working_in_numbered_steps_or_with_labels_is_one_turn() -> None:
    for text in (
        "Let's solve it.\n1. 2+3 = 5.\n2. 5*4 = 20.\nAnswer: 20",
        "1. The first part costs 6 dollars.\n2. In all 6 * 3 = 18 dollars.\n\nAnswer: \\boxed{20}",
        "Tom has 5 apples.\nProblem: how many in all?\n5+15=20\n#### 20",
        "We compute 3+4=7.\nStudent: has 7 apples each.\nThe answer is 20",
        "In all 12\nInput: 3\nThe answer is 20",
    ):
        assert extract_answer(text) == "20"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Hello, Ann!", "Hello, Ann!"),
        ("<answer>Hello, Ann!</answer>", "Hello, Ann!"),
        ("<think>2+2</think><answer> Hello,\nAnn! </answer> 4", "Hello,\nAnn!"),
        ("<think>2+2</think> Hello, Ann!\n", "Hello, Ann!"),
        ("<answer>No.</answer> or <answer>Hello, Ann!</answer>", "Hello, Ann!"),
        ("<answer>Hello, Ann!</answer><think>done</think>", ""),
        ("<answer>Hello, Ann!", "<answer>Hello, Ann!"),
        ("<think>So <answer>Hello, Ann!</answer>", None),
        ("<think>a</think>b<think>c", None),
        ("", ""),
    ],
)
def test_the_answer_part_is_what_a_completion_says_in_the_end(text: str, part: str | None) -> None:
    assert answer_part(text) == part


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_no_text_raises_and_its_pieces_are_all_of_it(text: str) -> None:
    read(text)
    assert "".join(piece for _, piece in pieces(text)) == text
