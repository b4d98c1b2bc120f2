"""Naming rewards on the command line: built in, or in a file of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonkit.errors import RefusedError
from reasonkit.rewards import REWARDS, parse
from reasonkit.traces.filters import thresholds
from reasonkit.types import Completion, Example, Group

GROUP = Group(
    Example("1", "t", ({"role": "user", "content": "2+7?"},), "9"),
    [Completion("9", (1,), "stop"), Completion("eight", (1, 2), "length")],
)

SOURCE = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Settings:
    longest: int = 3

def ours(group):
    return [1.0 if c.tokens < Settings().longest else 0.0 for c in group.completions]

def trl(completions, **kwargs):
    return [float(c[0]["content"] == a) for c, a in zip(completions, kwargs["answer"])]

def named(prompts, completions, answer):
    pairs = zip(prompts, completions)
    return [float(len(p[0]["content"]) + len(c[0]["content"])) for p, c in pairs]

def short(group):
    return [1.0] * len(group.completions)

short.needs_answer = False
short.waits = True

def counted(prompts, completions, completion_ids, tests, **kwargs):
    return [float(len(ids) + len(given)) for ids, given in zip(completion_ids, tests)]

def shaped(group):
    return [1.0] * len(group.completions)

shaped.claim = "form"

def boastful(group):
    return [1.0] * len(group.completions)

boastful.claim = "truth"

def neither(x, y):
    return [0.0]

def solution(completions, solution):
    return [0.0]

def group_by_keyword(*, group):
    return [0.0]

async def later(completions, **kwargs):
    return [0.0]

def answer(group):
    return [0.0]

constant = 4
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my=rewards.py"
    path.write_text(SOURCE)
    return path


def test_a_weight_is_one_unless_given() -> None:
    weighted = parse(["answer", "format=0.25"])
    assert [(w.reward.name, w.weight) for w in weighted] == [("answer", 1.0), ("format", 0.25)]


def test_a_weight_may_be_negative() -> None:
    assert parse(["format=-1"])[0].weight == -1.0


def test_every_entry_is_registered_under_its_own_name() -> None:
    assert all(name == reward.name for name, reward in REWARDS.items())
    oracles = {name for name, reward in REWARDS.items() if reward.needs_answer}
    assert oracles == {"answer", "code", "length"}


def test_every_entry_says_what_it_claims_and_where_it_is_from() -> None:
    for reward in REWARDS.values():
        assert reward.claim in ("correctness", "form", "shaping")
        assert reward.paper and reward.description and reward.cost
        assert reward.range[0] < reward.range[1]
        assert bool(reward.parameter) == (reward.make is not None)


def test_a_parameter_is_given_after_the_name_and_is_no_part_of_it() -> None:
    plain, short = parse(["overlong"])[0], parse(["overlong:2=0.5"])[0]
    assert (short.reward.name, short.weight) == ("overlong", 0.5)
    assert plain.reward.score(GROUP) == [0.0, -1.0]
    ended = Group(GROUP.example, [Completion("a b", (1, 2), "stop")])
    assert (plain.reward.score(ended), short.reward.score(ended)) == ([0.0], [-1.0])


def test_what_an_own_reward_claims_is_its_own_word(own: Path) -> None:
    ours, short, shaped = parse([f"{own}:{name}=1" for name in ("ours", "short", "shaped")])
    claims = [weighted.reward.claim for weighted in (ours, short, shaped)]
    assert claims == ["correctness", "shaping", "form"]


@pytest.mark.parametrize(
    ("function", "values"),
    [
        ("ours", [1.0, 1.0]),
        ("trl", [1.0, 0.0]),
        ("named", [5.0, 9.0]),
        ("counted", [1.0, 2.0]),
    ],
)
def test_both_signatures_are_called_as_they_ask(
    own: Path, function: str, values: list[float]
) -> None:
    (weighted,) = parse([f"{own}:{function}=2"])
    assert (weighted.reward.name, weighted.weight) == (function, 2.0)
    assert weighted.reward.score(GROUP) == values


def test_an_own_reward_counts_as_an_oracle_unless_it_says_otherwise(own: Path) -> None:
    ours, short = parse([f"{own}:ours=1", f"{own}:short=1"])
    assert ours.reward.needs_answer
    assert not short.reward.needs_answer
    assert short.reward.waits and not ours.reward.waits


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("fromat=1", "format"),
        ("", "FILE.py:FUNCTION"),
        ("answer=", "weight"),
        ("answer=much", "much"),
        ("answer=0", "other than zero"),
        ("answer=nan", "nan"),
        ("answer=inf", "inf"),
        ("nowhere/rewards.py:score=1", "nowhere/rewards.py"),
        ("nowhere/rewards.py=1", "FILE.py:FUNCTION"),
        ("{own}:trk=1", "trl"),
        ("{own}:constant=1", "constant"),
        ("{own}:neither=1", "signature"),
        ("{own}:solution=1", "signature"),
        ("{own}:group_by_keyword=1", "signature"),
        ("{own}:later=1", "async"),
        ("{own}:answer=1", "rename"),
        ("{own}:boastful=1", "claim"),
        ("answer:3=1", "parameter"),
        ("length:short=1", "tokens"),
        ("overlong:0=1", "tokens"),
        ("repetition:-1=1", "tokens"),
        ("code:stronger=1", "code:weaker"),
        ("language:tlh=1", "language"),
        ("preference=1", "preference:"),
        ("preference:nowhere=1", "nowhere"),
        ("helpful=1", "helpful:"),
        ("harmless:nowhere=1", "nowhere"),
        ("judge=1", "judge:"),
        ("judge:localhost#model=1", "judge:"),
        ("judge:http://localhost:1/v1=1", "judge:"),
        ("judge:nowhere.yaml=1", "nowhere.yaml"),
        ("{own}:=1", "FILE.py:FUNCTION"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(own: Path, spec: str, said: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse([spec.format(own=own)])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_same_name_twice_is_refused(own: Path) -> None:
    for specs in (["answer=1", "answer=2"], [f"{own}:ours=1", f"{own}:ours=1"]):
        with pytest.raises(RefusedError, match="twice"):
            parse(specs)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def score(:", "SyntaxError"),
        ("raise ValueError('one\\ntwo')", "ValueError: one two"),
        ("import no_such_module_at_all", "no_such_module_at_all"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_a_file_that_raises_is_refused_in_one_line(tmp_path: Path, source: str, said: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source)
    with pytest.raises(RefusedError) as refused:
        parse([f"{path}:score=1"])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_python_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rewards.txt"
    path.write_text("hello")
    with pytest.raises(RefusedError, match=r"\.py"):
        parse([f"{path}:score=1"])


@pytest.mark.parametrize("weight", ["", "=0.1"])
def test_the_path_of_an_own_reward_may_hold_an_equals_sign(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "a=b" / "r=1.py"
    path.parent.mkdir()
    path.write_text("def f(group):\n    return [1.0 for _ in group.completions]\n")
    (weighted,) = parse([f"{path}:f{weight}"])
    assert (weighted.reward.name, weighted.weight) == ("f", 0.1 if weight else 1.0)
    ((reward, least),) = thresholds([f"{path}:f=0.5"])
    assert (reward.name, least) == ("f", 0.5)


def test_confidence_is_the_mean_log_probability_where_it_is_known() -> None:
    completions = [Completion("9", (1,), "stop", -0.25), Completion("9", (1,), "stop")]
    assert REWARDS["confidence"].score(Group(Example("1", "t", (), "9"), completions)) == [
        -0.25,
        None,
    ]
