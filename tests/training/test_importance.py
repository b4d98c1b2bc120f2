"""The gap between sampler and policy is measured as it is, and correcting it helps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from reasonkit.models.loading import load_model
from reasonkit.models.resolving import resolve
from reasonkit.objectives import Importance
from reasonkit.training.importance import BOUND, Mismatch

CORRECTING = [how for how in Importance if how != Importance.off]


def gradient(model: torch.nn.Module, loss: Tensor) -> Tensor:
    """Of the loss by all weights, in a row."""
    model.zero_grad()
    loss.backward(retain_graph=True)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def of_all_pairs(model: torch.nn.Module, tokens: int) -> Tensor:
    """Log-probabilities of the two tokens of each pair that may follow a prompt: (pairs, 2)."""
    ids = torch.cartesian_prod(torch.arange(tokens), torch.arange(tokens))
    rows = torch.cat([torch.tensor([[5, 6, 7]]).expand(len(ids), -1), ids], 1)
    logps = model(rows).logits.double()[:, 2:4, :tokens].log_softmax(-1)
    return logps.gather(2, ids[:, :, None])[:, :, 0]


@pytest.mark.parametrize("how", CORRECTING)
def test_a_gradient_is_nearer_to_the_true_one_where_the_sampler_is_off(how: Importance) -> None:
    """Exactly: the mean is taken over all completions of two tokens, by their probabilities."""
    tokens = 32
    shipped = resolve("abacus-mini")
    policy = load_model(shipped, "cpu", "float32").eval()
    rounded = load_model(shipped, "cpu", "float32").eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight, narrow in zip(policy.parameters(), rounded.parameters(), strict=True):
            # The shipped weights are bfloat16's own; a policy in training moves off them.
            weight.mul_(1 + 0.01 * torch.randn(weight.shape, generator=generator))
            narrow.copy_(weight.bfloat16())
        sampler = of_all_pairs(rounded, tokens)
    logps = of_all_pairs(policy, tokens)
    advantage = torch.randn(len(logps), generator=generator).double()
    advantage -= (logps.sum(1).exp() * advantage).sum().detach()
    mask = torch.ones_like(logps)
    weights = Mismatch().weigh(logps, sampler, mask, how)

    def expected(drawn: Tensor, weights: Tensor) -> Tensor:
        score = (advantage[:, None] * weights * logps).sum(1)
        return gradient(policy, (drawn.detach().sum(1).exp() * score).sum())

    true = expected(logps, mask)
    plain, corrected = (expected(sampler, w) for w in (mask, weights))
    error = float((plain - true).norm() / true.norm())
    assert error > 1e-3
    assert float((corrected - true).norm() / true.norm()) < error / FACTOR[how]


FACTOR = {
    Importance.token_truncate: 20,
    Importance.token_mask: 20,
    Importance.sequence_truncate: 1000,
    Importance.sequence_mask: 1000,
}
"""A token's own weight leaves out what came before it; a sequence's is exact below the bound."""


@pytest.mark.parametrize("how", Importance)
def test_what_is_told_of_the_gap_is_the_formula(how: Importance) -> None:
    rng = np.random.default_rng(1)
    gap = rng.normal(0, 0.8, (5, 6))
    mask = (rng.random((5, 6)) < 0.7).astype(float)
    mask[4] = 0
    mismatch = Mismatch()
    for rows in (slice(0, 2), slice(2, 5)):
        policy = torch.tensor(gap[rows]) - 1.0
        mismatch.weigh(policy, torch.full_like(policy, -1.0), torch.tensor(mask[rows]), how)
    seen = gap[mask == 1]
    w = np.exp((gap * mask).sum(1)[:4] if "sequence" in how else seen)
    assert mismatch.told() == pytest.approx(
        {
            "mismatch/mean": np.abs(seen).mean(),
            "mismatch/max": np.abs(seen).max(),
            "mismatch/effective_sample_share": w.sum() ** 2 / (len(w) * (w**2).sum()),
            "mismatch/truncated": (w > BOUND).mean(),
        }
    )


@pytest.mark.parametrize("how", CORRECTING)
def test_a_log_probability_that_is_no_number_corrects_nothing(how: Importance) -> None:
    policy = torch.tensor([[-1.0, -2.0]])
    weights = Mismatch().weigh(
        policy, policy.new_tensor([[float("nan"), -2.0]]), policy * 0 + 1, how
    )
    assert torch.equal(weights, torch.ones_like(weights))
