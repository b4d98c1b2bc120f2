"""Tokens follow the distribution that transformers' own processors make of the logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from reasonkit.generation.engine import Sampling, seed_of
from reasonkit.generation.local.drawing import Drawing, uniforms

DRAWS = 20_000
TRUNCATIONS = {
    "none": ({}, []),
    "temperature": ({"temperature": 0.6}, [TemperatureLogitsWarper(0.6)]),
    "top-k": ({"top_k": 5}, [TopKLogitsWarper(5)]),
    "top-p": ({"top_p": 0.7}, [TopPLogitsWarper(0.7)]),
    "min-p": ({"min_p": 0.2}, [MinPLogitsWarper(0.2)]),
    "all": (
        {"temperature": 1.4, "top_k": 12, "top_p": 0.9, "min_p": 0.05},
        [
            TemperatureLogitsWarper(1.4),
            TopKLogitsWarper(12),
            TopPLogitsWarper(0.9),
            MinPLogitsWarper(0.05),
        ],
    ),
}


@pytest.mark.parametrize("kind", TRUNCATIONS)
def test_tokens_follow_the_distribution(kind: str) -> None:
    settings, processors = TRUNCATIONS[kind]
    logits = 2 * torch.randn(1, 40, generator=torch.Generator().manual_seed(3))
    p = LogitsProcessorList(processors)(None, logits).double().softmax(-1)[0].numpy()
    u = uniforms(seed_of("chi-square"), 1, DRAWS)[0]
    drawn, logprobs, _ = Drawing(Sampling(1, **settings))(logits.expand(DRAWS, -1), u)
    counts = np.bincount(drawn.numpy(), minlength=40)
    assert not counts[p == 0].any()
    often = p * DRAWS >= 5
    observed, expected = counts[often], p[often] * DRAWS
    rare = DRAWS - expected.sum()
    if rare > 5:
        observed, expected = np.append(observed, counts[~often].sum()), np.append(expected, rare)
    expected *= observed.sum() / expected.sum()
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    plain = logits.log_softmax(-1)[0, drawn]
    torch.testing.assert_close(logprobs, plain, atol=1e-5, rtol=0)


def test_temperature_zero_takes_the_likeliest() -> None:
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(0))
    drawn, logprobs, _ = Drawing(Sampling(1, temperature=0, top_k=3))(logits, torch.zeros(50))
    assert drawn.tolist() == logits.argmax(-1).tolist()
    torch.testing.assert_close(logprobs, logits.log_softmax(-1).amax(-1))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 3000),
    u=st.floats(0, 1, width=32),
    dropped=st.floats(0, 0.95),
)
def test_a_token_that_was_dropped_is_never_drawn(
    seed: int, size: int, u: float, dropped: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(1, size, generator=generator)
    gone = torch.rand(1, size, generator=generator) < dropped
    gone[0, seed % size] = False
    logits[gone] = float("-inf")
    below_one = torch.tensor([min(u, 1 - 2**-23)])
    drawn, *_ = Drawing(Sampling(1))(logits, below_one)
    assert not gone[0, drawn.item()]


def test_random_numbers_are_below_one_and_a_smaller_group_is_the_beginning() -> None:
    drawn = uniforms(seed_of(1, "arithmetic", "a"), 16, 5000)
    assert drawn.min() >= 0 and drawn.max() <= 1 - 2**-23
    assert torch.equal(drawn[:4], uniforms(seed_of(1, "arithmetic", "a"), 4, 5000))
    assert stats.kstest(drawn.flatten().numpy(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:2].numpy())[0, 1]) < 0.06


def test_seeds_differ_with_every_part() -> None:
    seeds = {seed_of(0), seed_of(1), seed_of(0, "a"), seed_of(0, "a", "b"), seed_of(0, "ab")}
    assert len(seeds) == 5


@pytest.mark.parametrize("temperature", [0.0, 0.6])
def test_how_sure_a_model_is_doesnt_depend_on_temperature(temperature: float) -> None:
    logits = 3 * torch.randn(7, 90, generator=torch.Generator().manual_seed(1))
    sampling = Sampling(1, temperature, top_k=4)
    *_, sure = Drawing(sampling, sure=True)(logits, torch.full((7,), 0.5))
    logp = logits.double().log_softmax(-1)
    confidence = -logp.sort(-1, descending=True).values[:, :20].mean(-1)
    uniform = torch.full((7, 90), 1 / 90, dtype=torch.double)
    certainty = torch.nn.functional.kl_div(logp, uniform, reduction="none").sum(-1)
    assert sure is not None
    torch.testing.assert_close(sure.double(), torch.stack([confidence, certainty], -1))
