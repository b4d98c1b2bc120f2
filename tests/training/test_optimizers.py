"""Muon beside AdamW: who gets which weights, and that their state is kept as one."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from reasonkit.training.optimizers import MatricesByMuon, by_muon

pytestmark = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has none")


def learning() -> tuple[torch.nn.Module, MatricesByMuon]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "vocab_size": 50}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    model = Qwen3ForCausalLM(Qwen3Config(**sizes, **heads, tie_word_embeddings=False))
    return model, by_muon(model, 1e-2)


def take(model: torch.nn.Module, optimizer: MatricesByMuon, steps: int) -> list[float]:
    ids, losses = torch.arange(20)[None], []
    for _ in range(steps):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_muon_takes_the_matrices_within_and_adamw_embeddings_head_and_norms() -> None:
    model, optimizer = learning()
    names = {id(p): name for name, p in model.named_parameters()}
    muon, adamw = ([names[id(p)] for p in g["params"]] for g in optimizer.param_groups)
    assert len(muon) == 7 and all("_proj" in name for name in muon)
    assert {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"} <= set(adamw)
    losses = take(model, optimizer, 8)
    assert losses[-1] < 0.8 * losses[0]


def test_what_muon_has_learned_goes_on_from_its_state_to_the_bit() -> None:
    model, optimizer = learning()
    take(model, optimizer, 3)
    weights, state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    expected = take(model, optimizer, 3)
    again, other = learning()
    again.load_state_dict(weights)
    other.load_state_dict(state)
    assert take(again, other, 3) == expected


def test_a_schedule_reaches_both_parts() -> None:
    model, optimizer = learning()
    before = {name: p.clone() for name, p in model.named_parameters()}
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    take(model, optimizer, 1)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
