"""Sampling traces loses nothing and never changes what is sampled, wherever it is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonkit import runs
from reasonkit.generation import Sampling
from reasonkit.generation.local import LocalEngine
from reasonkit.models.loading import load_model, load_tokenizer, resolve
from reasonkit.stages import traces
from reasonkit.tasks import load, recorded


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    resolved = resolve("abacus-mini")
    return LocalEngine(load_model(resolved, "cpu", "float32"), load_tokenizer(resolved)[0])


def a_run(path: Path) -> runs.Run:
    return runs.create("distill", "abacus-mini", "arithmetic", {"seed": 0}, path, [])


def test_a_run_cut_anywhere_goes_on_to_the_same_traces(
    tmp_path: Path, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "BLOCK", 4)
    asked = load("arithmetic", validation=1, test=1).train[:10]
    sampling = Sampling(12, seed=3)
    whole = traces.sample(a_run(tmp_path / "whole"), engine, asked, 2, sampling)
    assert [group.example for group in whole.groups] == asked
    content = (tmp_path / "whole" / recorded.NAME).read_bytes()
    for cut in (0, 10, len(content) // 3, len(content) // 2, len(content) - 1):
        run = a_run(tmp_path / f"cut-{cut}")
        (run.path / recorded.NAME).write_bytes(content[:cut])
        again = traces.sample(run, engine, asked, 2, sampling)
        assert again.groups == whole.groups
        assert (run.path / recorded.NAME).read_bytes() == content


def test_what_was_sampled_can_be_read_as_traces_of_a_run(
    tmp_path: Path, engine: LocalEngine
) -> None:
    run = a_run(tmp_path / "run")
    asked = load("arithmetic", validation=1, test=1).train[:3]
    sampled = traces.sample(run, engine, asked, 2, Sampling(12))
    assert recorded.read(run.path, []) == sampled.groups
    assert sampled.tokens == sum(c.tokens for g in sampled.groups for c in g.completions) > 0
