"""A generator's solutions, labelled and split: on completion tokens only, and by question."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonkit.judging import judge_group
from reasonkit.models.loading import load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.training import solutions
from reasonkit.training.solutions import (
    IGNORED,
    Collator,
    Solution,
    label,
    lay_out,
    split_by_question,
)
from reasonkit.types import Completion, Example, Group

TOKENIZER = load_tokenizer(resolve("abacus"))[0]


def group(question: str, reference: str, *texts: str) -> Group:
    example = Example(question, "t", ({"role": "user", "content": question},), reference)
    ids = [tuple(TOKENIZER(f"{text}<|end|>").input_ids) for text in texts]
    made = [Completion(text, i, "stop") for text, i in zip(texts, ids, strict=True)]
    return Group(example, made)


def test_a_solution_has_the_label_of_its_final_answer() -> None:
    made = label(
        TOKENIZER,
        [group("What is 2+3?", "5", "2+3=5", "2+3=6")],
        lambda g: [one.right for one in judge_group(g)],
    )
    assert [solution.right for solution in made] == [True, False]
    assert TOKENIZER.decode(made[0].prompt) == "<|user|>What is 2+3?<|end|><|assistant|>"
    assert TOKENIZER.decode(made[0].completion) == "2+3=5<|end|>"


def test_a_completion_without_a_verdict_is_no_solution() -> None:
    made = label(TOKENIZER, [group("?", "5", "5", "6")], lambda group: [None, False])
    assert [TOKENIZER.decode(solution.completion) for solution in made] == ["6<|end|>"]


def test_a_step_has_the_share_of_its_continuations_that_end_right() -> None:
    asked = group("What is 2+3-1?", "4", "2+3=5;5-1=4", "2+3=5;5-1=3", "2+3=6")
    begun = {
        steps.messages[-1]["content"]: steps for steps in solutions.begun(TOKENIZER, [asked], "=;")
    }
    assert list(begun) == ["2+3=", "2+3=5;", "2+3=5;5-1="]
    assert all(steps.question == asked.example.question for steps in begun.values())
    ways = {"2+3=": ("4", "4", "4", "5"), "2+3=5;": ("4", "5"), "2+3=5;5-1=": ("?", "4")}
    continued = [
        Group(begun[text], [Completion(f"<answer>{said}</answer>", (), "stop") for said in answers])
        for text, answers in ways.items()
    ]

    def right(held: Group) -> list[bool | None]:
        return [one.right for one in judge_group(held)]

    made = label(TOKENIZER, [asked], right, "=;", continued)
    chances = [0.75] * 4 + [0.5] * 2 + [0.5] * 4
    assert [one.labels for one in made] == [
        chances + [1] * 2,
        chances + [0] * 2,
        [0.75] * 4 + [0] * 2,
    ]
    assert [one.right for one in made] == [True, False, False]


def test_only_the_tokens_of_completions_are_labelled() -> None:
    whole, stepwise = (
        Solution([7, 8, 9], [10, 2], [1, 1]),
        Solution([7], [11, 12, 2], [0.5, 0.5, 0]),
    )
    batch = Collator(0)([whole, stepwise])
    assert batch["input_ids"].tolist() == [[7, 8, 9, 10, 2], [7, 11, 12, 2, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    i = IGNORED
    assert batch["labels"].tolist() == [[i, i, i, 1, 1], [i, 0.5, 0.5, 0, i]]
    assert batch["labels"].dtype == torch.float32


@given(st.lists(st.integers(0, 30), min_size=2, max_size=60), st.floats(0.01, 0.5))
def test_no_question_is_on_both_sides(numbers: list[int], share: float) -> None:
    spaced = [f"What  is {n}+1?" if i % 2 else f"what is {n}+1? " for i, n in enumerate(numbers)]
    groups = [group(question, "1") for question in spaced]
    learned, held = split_by_question(groups, share)
    assert len(learned) + len(held) == len(groups)
    sides = [{" ".join(g.example.question.lower().split()) for g in s} for s in (learned, held)]
    assert not sides[0] & sides[1]
    assert held
    assert learned or len(set(numbers)) == 1


def test_the_split_depends_on_the_questions_alone() -> None:
    groups = [group(f"What is {n}+1?", "1") for n in range(50)]
    held = {g.example.id for g in split_by_question(groups, 0.2)[1]}
    again = {g.example.id for g in split_by_question(groups[::-1], 0.2)[1]}
    assert held == again
    assert len(held) == 10


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=300),
    st.integers(1, 20),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_every_epoch_has_every_solution_and_fills_whole_batches(
    lengths: list[int], batch: int, epochs: int, seed: int
) -> None:
    order = lay_out(lengths, batch, epochs, seed)
    each = -(-len(lengths) // batch) * batch
    assert len(order) == epochs * each
    for epoch in range(epochs):
        assert set(order[epoch * each :][:each]) == set(range(len(lengths)))
    assert order == lay_out(lengths, batch, epochs, seed)


def test_solutions_of_like_length_share_a_batch() -> None:
    lengths = [10 + n * 37 % 90 for n in range(640)]
    order = lay_out(lengths, 16, 1, 0)
    batches = [[lengths[place] for place in order[i : i + 16]] for i in range(0, 640, 16)]
    padding = sum(max(batch) * 16 - sum(batch) for batch in batches)
    assert padding < 0.05 * sum(lengths)
    assert batches != sorted(batches)
