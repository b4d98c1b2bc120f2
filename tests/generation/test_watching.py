"""Completions that lose confidence are stopped there, and are the beginnings of what they were."""

from __future__ import annotations

import threading
from statistics import fmean

import pytest

from reasonkit.generation.engine import Floor, Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.generation.together import Shared, Worker
from reasonkit.generation.watching import WatchingEngine, group_confidences
from reasonkit.models.chat import encode_prompts
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import resolve
from reasonkit.tasks import load

WINDOW = 6
SAMPLING = Sampling(60, seed=3)
EXAMPLES = load("arithmetic", validation=1, test=3).test


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    shipped = resolve("abacus-mini")
    model = load_model(shipped, "cpu", "float32").eval()
    return LocalEngine(model, load_tokenizer(shipped)[0], sure=True)


def test_a_completion_ends_at_the_first_window_below_its_prompts_floor(engine: LocalEngine) -> None:
    prompts = encode_prompts(engine.tokenizer, EXAMPLES)[0]
    how = prompts, 8, SAMPLING, range(3)
    whole = dict(engine.sample_ids(*how))
    lows = [min(group_confidences(c.confidences, WINDOW)) for c in whole[1]]
    floors = [-1.0, sorted(lows)[4], 1e9]
    watched = [Floor(least, WINDOW) for least in floors]
    worker, stopped = Worker(engine, 200, 60, 10), 0
    shared = Shared(worker, threading.Event())
    together = dict(shared.sample_ids(*how, [*watched[:2], None]))
    worker.close()
    made = dict(engine.sample_ids(*how, watched))
    for i, expected in {**made, 2: whole[2]}.items():
        assert [c.token_ids for c in together[i]] == [c.token_ids for c in expected]
    for i, completions in made.items():
        for completion, full in zip(completions, whole[i], strict=True):
            assert completion.token_ids == full.token_ids[: completion.tokens]
            known = full.confidences
            below = [
                end
                for end in range(WINDOW, full.tokens)
                if fmean(known[end - WINDOW : end]) < floors[i] - 1e-3
            ]
            assert completion.tokens == (below[0] if below else full.tokens)
            stopped += bool(below)
    assert 8 < stopped < 24


def test_the_first_set_the_floor_and_what_is_below_it_has_no_vote(engine: LocalEngine) -> None:
    watching = WatchingEngine(engine, engine, WINDOW, SAMPLING)
    first = {g.example.id: g.completions for g in engine.sample(EXAMPLES, 8, SAMPLING)}
    cut = 0
    for group in watching.sample(EXAMPLES, 32, SAMPLING):
        made = group.completions
        assert [c.token_ids for c in made[:8]] == [c.token_ids for c in first[group.example.id]]
        lows = [min(group_confidences(c.confidences, WINDOW)) for c in made]
        floor = max(low for c, low in zip(made, lows, strict=True) if not c.text)
        assert all(low > floor for c, low in zip(made, lows, strict=True) if c.text)
        assert any(made[place].text for place in range(8))
        cut += sum(c.finish_reason == "length" for c in made[8:])
    assert cut > 3
