"""Programs are asked for in wordings that the corpus has, and in ones that it leaves out."""

from __future__ import annotations

import random
import re
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from reasonkit.models.abacus.corpus import documents
from reasonkit.tasks import load, tiny_code

OTHERS = [op.others for op in tiny_code.OPERATIONS if op.others != op.words]


def unread(text: str) -> bool:
    """Whether a sentence has a wording that the corpus leaves out."""
    return any(re.search(rf"\b{words.partition(' {')[0]}\b", text) for words in OTHERS)


def test_the_corpus_leaves_the_second_wordings_out() -> None:
    for part in ("textbook", "web"):
        asked = [d.prompt for d in islice(documents(3, part), 6000) if "Python" in d.prompt]
        assert len(asked) > 100
        assert not any(map(unread, asked))


def test_most_questions_have_a_second_wording_and_some_have_none() -> None:
    asked = [unread(example.question) for example in load("tiny-code", train=400).train]
    assert 0.5 < sum(asked) / len(asked) < 0.9


@given(st.integers(0, 9999))
def test_a_sentence_in_other_words_says_the_same_steps(seed: int) -> None:
    rng = random.Random(seed)
    problem = tiny_code.draw(rng)
    text = tiny_code.reworded(rng, problem)
    for operation in tiny_code.OPERATIONS:
        words, others = (w.partition("{")[0] for w in (operation.words, operation.others))
        text = text.replace(others, words)
    assert text == problem.text
