"""A search over steps, led by scores that are made up here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, GPT2Config

from reasonkit.generation.beam import SHARPNESS, BeamEngine, Kind, shares
from reasonkit.generation.drafts import step_ends
from reasonkit.generation.engine import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.prompts import ask
from reasonkit.tasks import load
from reasonkit.types import Group

QUESTIONS = [ask(e, "step-by-step") for e in load("arithmetic", train=1, test=4).test]
SAMPLING = Sampling(100)
ENDS = ("=", "</think>")


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    resolved = resolve("abacus")
    return LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])


def short(group: Group) -> list[float | None]:
    return [-float(len(c.text)) for c in group.completions]


def unsure(group: Group) -> list[float | None]:
    return [None for _ in group.completions]


@pytest.mark.parametrize("score", [short, unsure])
@pytest.mark.parametrize(
    ("kind", "width"),
    [("beam", 1), ("beam", 2), ("beam", 4), ("dvts", 2), ("dvts", 3), ("rebase", 4)],
)
def test_every_question_gets_its_completions(
    local: LocalEngine, score, kind: Kind, width: int
) -> None:
    groups = list(BeamEngine(local, score, width, ENDS, kind).sample(QUESTIONS, 4, SAMPLING))
    assert [group.example for group in groups] == QUESTIONS
    for group in groups:
        assert len(group.completions) == 4
        assert all(c.text and c.finish_reason in ("stop", "length") for c in group.completions)
    assert any(c.finish_reason == "stop" for group in groups for c in group.completions)


def test_what_is_scored_well_is_gone_on_with(local: LocalEngine) -> None:
    def lengths(sign: float) -> float:
        def score(group: Group) -> list[float | None]:
            return [sign * len(c.text) for c in group.completions]

        groups = BeamEngine(local, score, 4, ENDS).sample(QUESTIONS, 8, SAMPLING)
        return sum(len(c.text) for group in groups for c in group.completions)

    assert lengths(1) > lengths(-1)


def test_trees_know_nothing_of_each_other(local: LocalEngine) -> None:
    """The best of one tree is kept, however much better all of another are."""

    def first_letter(group: Group) -> list[float | None]:
        return [-float(ord((c.text or "~")[0])) for c in group.completions]

    kept = {}
    for kind in ("beam", "dvts"):
        engine = BeamEngine(local, first_letter, 4, ENDS, kind)
        groups = list(engine.sample(QUESTIONS, 16, SAMPLING))
        texts = [c.text.partition("=")[0] for group in groups for c in group.completions]
        kept[kind] = len(set(texts))
    assert kept["dvts"] > kept["beam"]


@given(st.lists(st.floats(0, 1) | st.just(-np.inf), min_size=1, max_size=12), st.integers(1, 40))
def test_places_are_shared_out_by_the_softmax_of_scores(scores: list[float], places: int) -> None:
    ways = shares(np.array(scores), places)
    assert ways.sum() == places and (ways >= 0).all()
    known = np.isfinite(scores)
    weights = np.exp(np.array(scores) / SHARPNESS) if known.any() else np.ones(len(scores))
    assert np.abs(ways - places * weights / weights.sum()).max() < 1


def test_the_tokens_of_dropped_beams_are_paid_for(local: LocalEngine) -> None:
    (group,) = BeamEngine(local, short, 4, ENDS).sample(QUESTIONS[:1], 8, SAMPLING)
    kept = sum(len(c.text) for c in group.completions)
    assert sum(c.tokens for c in group.completions) > kept


def test_a_search_repeats_with_its_seed(local: LocalEngine) -> None:
    engine = BeamEngine(local, short, 2, ENDS)
    first, again = (list(engine.sample(QUESTIONS[:2], 4, SAMPLING)) for _ in range(2))
    assert first == again


def test_a_search_ends_where_the_model_can_read_no_more(local: LocalEngine) -> None:
    tokenizer = local.tokenizer
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=106, n_positions=96, n_embd=32, n_layer=1, n_head=2)
    small = LocalEngine(AutoModelForCausalLM.from_config(config), tokenizer)
    (group,) = BeamEngine(small, unsure, 2, ENDS).sample(QUESTIONS[:1], 4, SAMPLING)
    assert len(group.completions) == 4


def test_a_step_ends_with_the_token_that_completes_what_ends_it(local: LocalEngine) -> None:
    ids = local.tokenizer("2+1=3;4+1", add_special_tokens=False).input_ids
    ends = step_ends(local.tokenizer, ids, ("+1", ";"))
    assert [local.tokenizer.decode(ids[: end + 1]) for end in ends] == [
        "2+1",
        "2+1=3;",
        "2+1=3;4+1",
    ]
    assert step_ends(local.tokenizer, ids, ("",)) == list(range(len(ids)))
    assert step_ends(local.tokenizer, [], ("=",)) == []
