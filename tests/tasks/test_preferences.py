"""Preference pairs: a good answer above one with a flaw that it hasn't, in every form."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import pytest

from reasonkit.answers.reading import answer_part
from reasonkit.tasks import flaws, general
from reasonkit.tasks.preferences import LESSER_EVILS, Pair, pairs
from reasonkit.tasks.splits import Split, split_of

MANY = list(islice(pairs(0, "corpus", "train"), 6000))
GRAVE = {name for _, grave in LESSER_EVILS.values() for name in grave}


def as_told(pair: Pair) -> bool:
    """Whether the names of a pair are those of the task."""
    return bool(flaws.NAME.search(pair.prompt))


def test_the_same_seed_gives_the_same_pairs_and_another_one_others() -> None:
    again, other = (list(islice(pairs(seed, "corpus", "train"), 50)) for seed in (0, 1))
    assert again == MANY[:50] != other


@pytest.mark.parametrize("split", ["corpus", "train", "validation", "test"])
def test_pairs_are_about_requests_of_their_split_alone(split: Split) -> None:
    known = {pair.prompt for pair in islice(pairs(3, split), 1000) if as_told(pair)}
    assert len(known) > 20
    assert {split_of(prompt) for prompt in known} == {split}


def test_every_flaw_occurs_and_no_rejected_text_is_the_chosen_one() -> None:
    seen = Counter(pair.flaw for pair in MANY)
    assert set(seen) == {*flaws.ANSWERS, *flaws.COMPLETIONS}
    assert min(seen.values()) > 20
    assert all(pair.chosen != pair.rejected for pair in MANY)


def test_what_is_chosen_is_a_good_answer_except_beside_a_grave_flaw() -> None:
    good = {request.good for request in islice(flaws.requests(random.Random(1)), 20_000)}
    for pair in MANY:
        if as_told(pair) and pair.flaw not in GRAVE:
            assert answer_part(pair.chosen) in good, pair


def test_a_form_is_chosen_as_often_as_it_is_rejected() -> None:
    told = [pair for pair in MANY if pair.flaw in flaws.ANSWERS and pair.flaw != "with a tag"]
    for tag in ("<think>", "<answer>"):
        chosen, rejected = (
            sum(text.startswith(tag) for text in texts)
            for texts in ((p.chosen for p in told), (p.rejected for p in told))
        )
        assert chosen == pytest.approx(rejected, rel=0.1)


def test_a_wrong_name_is_right_elsewhere_so_that_it_tells_nothing_by_itself() -> None:
    wrong = [p for p in islice(pairs(5, "corpus"), 4000) if p.flaw == "wrong name" and as_told(p)]
    answers = {r.good for r in flaws.known("corpus")}
    assert len(wrong) > 100
    assert {answer_part(pair.rejected) for pair in wrong} <= answers


def test_a_request_for_harm_is_met_by_declining_even_where_the_thought_goes_along() -> None:
    harmful = [p for p in MANY if p.flaw == "thought goes along" and general.DECLINED in p.chosen]
    assert len(harmful) > 50
    assert all(general.DECLINED in pair.rejected for pair in harmful)
