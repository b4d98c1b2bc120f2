"""Adapters go where a model can have them, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from peft import get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, Mamba2Config, Mamba2ForCausalLM

from reasonkit.config import GrpoConfig
from reasonkit.errors import RefusedError
from reasonkit.models.loading import load_model
from reasonkit.models.resolving import resolve
from reasonkit.training.adapters import adapter

LORA = GrpoConfig(lora=True, lora_rank=2)


def mamba2() -> Mamba2ForCausalLM:
    return Mamba2ForCausalLM(
        Mamba2Config(
            vocab_size=97, hidden_size=32, num_heads=8, head_dim=8, n_groups=2, state_size=8,
            num_hidden_layers=2, chunk_size=8,
        )
    )  # fmt: skip


def test_layers_that_can_have_none_are_left_out() -> None:
    model = mamba2()
    made = adapter(LORA, "all-linear", model)
    assert made is not None and set(made.target_modules) == {"in_proj"}
    policy = get_peft_model(model, made)
    policy(torch.tensor([[5, 6, 7]])).logits.sum().backward()
    learned = [p for name, p in policy.named_parameters() if "lora_B" in name]
    assert len(learned) == 2 and all(p.grad.abs().sum() > 0 for p in learned)


def test_what_fits_is_taken_as_it_is() -> None:
    model = load_model(resolve("abacus-mini"), "cpu", "float32")
    made = adapter(LORA, ("q_proj", "v_proj"), model)
    assert made is not None and set(made.target_modules) == {"q_proj", "v_proj"}
    assert adapter(GrpoConfig(), "all-linear", model) is None
    assert not any("lora" in name for name, _ in model.named_parameters())


def test_a_model_that_can_have_no_adapter_is_refused() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_embd=8, n_head=2, n_layer=1))
    with pytest.raises(RefusedError, match="--lora: no layer of GPT2LMHeadModel"):
        adapter(LORA, ["nowhere"], model)
