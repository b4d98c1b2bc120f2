"""What is spent on which question, learned from pools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reasonkit.config import VoteConfig
from reasonkit.errors import DataError, UnknownNameError
from reasonkit.plan.vote import as_learned
from reasonkit.voting import routing
from reasonkit.voting.ballots import BLANK, Ballots
from reasonkit.voting.playing import play
from reasonkit.voting.strategies import Draw, Option, Policy, Rules

RULES = Rules(n=8, round_size=1)
OPTIONS = routing.votes(["majority"], ["asked", "thinking"], RULES)


def pool(classes: list[int], tokens: int) -> Ballots:
    n = len(classes)
    return Ballots(
        classes=np.array(classes),
        tokens=np.full(n, tokens),
        confidence=np.full(n, 0.5),
        scores=np.full(n, 0.5),
        steady=np.full(n, 0.5),
        certainty=np.full(n, 0.5),
        answers=tuple("01234567"),
        right=(True, *[False] * 7),
    )


def easy() -> dict:
    """Right at once, and as right after a thought that costs ten times as much."""
    return {"asked": pool([0] * 8, 10), "thinking": pool([0] * 8, 100)}


def hard() -> dict:
    """Guesses that differ; a thought is right."""
    return {"asked": pool([*range(1, 8), 1], 10), "thinking": pool([0] * 8, 100)}


def hopeless() -> dict:
    """Always the same wrong answer."""
    return {"asked": pool([1] * 8, 10), "thinking": pool([1] * 8, 100)}


def test_thoughts_are_spent_where_guesses_differ_and_nowhere_else() -> None:
    pools = [easy(), hard(), hopeless()] * 10
    chosen = routing.choose(routing.learn(pools, OPTIONS, RULES), None)
    assert chosen.accuracy == pytest.approx(2 / 3)
    assert chosen.tokens == pytest.approx((20 + 120 + 20) / 3)
    assert chosen.on.look == Draw("asked", 2)
    assert chosen.on.options[2] is None
    assert chosen.on.options[1] == Option("majority", 1, "thinking")
    played = [play(routing.begin(chosen.on, RULES), pool) for pool in (easy(), hard(), hopeless())]
    assert [(p.elected.right, p.tokens) for p in played] == [(True, 20), (True, 120), (False, 20)]


def test_what_has_no_answer_to_vote_on_is_left_at_the_first_look_unless_thoughts_pay() -> None:
    silent = {"asked": pool([BLANK] * 8, 10), "thinking": pool([0] * 8, 100)}
    rare = routing.learn([easy(), hard()] * 10 + [silent] * 2, OPTIONS, RULES)
    often = routing.learn([easy(), hard()] * 10 + [silent] * 10, OPTIONS, RULES)
    for learned, expected in ((rare, None), (often, Option("majority", 1, "thinking"))):
        policies = [spent.on for spent in learned.policies if spent.on.look == Draw("asked", 2)]
        assert policies[-1].options == (expected, Option("majority", 1, "thinking"), None)


def test_a_budget_is_kept_and_buys_the_most_of_what_it_affords() -> None:
    learned = routing.learn([easy(), hard()] * 10, OPTIONS, RULES)
    tokens = [spent.tokens for spent in learned.policies]
    accuracies = [spent.accuracy for spent in learned.policies]
    assert tokens == sorted(tokens) and accuracies == sorted(set(accuracies))
    assert routing.choose(learned, 15).accuracy == 0.5
    assert routing.choose(learned, 80).accuracy == 1
    assert routing.choose(learned, 1) == learned.policies[0]
    assert learned.fixed[-1].on == Option("majority", 1, "thinking")


def test_what_a_policy_does_is_told_of_questions_that_it_was_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    pools = [
        {way: pool(rng.integers(0, 2, 8).tolist(), 10) for way in ("asked", "thinking")}
        for _ in range(200)
    ]
    learned = routing.learn(pools, [o for o in OPTIONS if o.n == 1], RULES)
    # There is nothing to learn: half of all answers are right whatever is done.
    assert all(abs(spent.accuracy - 0.5) < 0.08 for spent in learned.policies)


def test_without_a_first_look_all_questions_are_given_the_same() -> None:
    """Guesses that agree whether they are right or not, so that a look at them tells nothing."""
    vain = {"asked": pool([1] * 8, 10), "thinking": pool([0] * 8, 100)}
    chosen = routing.choose(routing.learn([vain] * 20, OPTIONS, RULES), None)
    assert chosen.on == Policy(Draw("asked", 0), (Option("majority", 1, "thinking"),))
    assert (chosen.accuracy, chosen.tokens) == (1, 100)
    played = play(routing.begin(chosen.on, RULES), vain)
    assert (played.elected.right, played.tokens) == (True, 100)
    assert routing.in_words(chosen.on) == [("every question", "majority@1, thinking")]


def test_a_policy_is_read_as_it_was_saved(tmp_path: Path) -> None:
    words = (("at_once", "Quickly."), ("wording", "show-work"))
    policy = Policy(Draw("asked", 1), (Option("adaptive", 8, "thinking"), None), words)
    routing.save(policy, tmp_path / routing.FILE)
    assert routing.read(tmp_path) == routing.read(tmp_path / routing.FILE) == policy
    assert routing.in_words(policy) == [
        ("0 of 1 agree (asked)", "adaptive@8, thinking"),
        ("1 of 1 agree (asked)", "that is the answer"),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"look": {"way": "asked", "count": 2}, "options": [null]}',
     '{"look": {"way": "asked", "count": 0}, "options": [null]}',
     *(f'{{"look": {{"way": "asked", "count": 0}}, "options": [{option}]}}' for option in (
         '{"name": "luck", "n": 1, "way": "asked"}', '{"name": "beam", "n": 1, "way": "asked"}',
         '{"name": "majority", "n": 0, "way": "asked"}',
         '{"name": "majority", "n": 1, "way": "x"}')),
     '{"look": {"way": "x", "count": 1}, "options": [null, null]}',
     '{"look": {"way": "asked", "count": 1}, "options": [null, null], "words": "x"}'],
)  # fmt: skip
def test_what_is_no_policy_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DataError, match="is no policy"):
        routing.read(tmp_path / "p.json")
    with pytest.raises(DataError, match="no such file"):
        routing.read(tmp_path)


def test_a_policy_whose_wording_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    policy = Policy(Draw("asked", 0), (Option("majority", 1, "asked"),), (("wording", "sing"),))
    routing.save(policy, tmp_path / routing.FILE)
    with pytest.raises(UnknownNameError, match="sing"):
        as_learned(VoteConfig(strategy="auto", policy=str(tmp_path)))
