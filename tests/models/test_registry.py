"""What the registry says of real models agrees with their published configurations."""

from __future__ import annotations

import pytest

from reasonkit.models import MODELS

FAMILIES = {
    "qwen2.5-0.5b": ("Qwen2", 14, 4864, True),
    "qwen2.5-1.5b": ("Qwen2", 12, 8960, True),
    "qwen2.5-3b": ("Qwen2", 16, 11008, True),
    "qwen2.5-7b": ("Qwen2", 28, 18944, False),
    "qwen3-0.6b": ("Qwen3", 16, 3072, True),
    "qwen3-1.7b": ("Qwen3", 16, 6144, True),
    "qwen3-4b": ("Qwen3", 32, 9728, True),
    "qwen3-8b": ("Qwen3", 32, 12288, False),
    "smollm2": ("Llama", 9, 1536, True),
    "smollm2-135m": ("Llama", 9, 1536, True),
    "smollm2-360m": ("Llama", 15, 2560, True),
    "smollm2-1.7b": ("Llama", 32, 8192, True),
    "llama-3.2-1b": ("Llama", 32, 8192, True),
    "llama-3.2-3b": ("Llama", 24, 8192, True),
    "deepseek-r1-distill-qwen-1.5b": ("Qwen2", 12, 8960, False),
    "deepseek-r1-distill-qwen-7b": ("Qwen2", 28, 18944, False),
    "deepseek-r1-distill-llama-70b": ("Llama", 64, 28672, False),
}
"""Class, attention heads, width of the feed-forward layer and whether embeddings are tied."""


@pytest.mark.parametrize("name", FAMILIES)
def test_the_parameters_of_an_entry_follow_from_its_shape(name: str) -> None:
    import torch
    import transformers

    family, heads, mlp, tied = FAMILIES[name]
    parameters, layers, hidden, kv_heads, head_dim, vocab = MODELS[name].shape
    config = getattr(transformers, f"{family}Config")(
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=mlp,
        tie_word_embeddings=tied,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        **({} if family == "Qwen2" else {"head_dim": head_dim}),
    )
    with torch.device("meta"):
        model = getattr(transformers, f"{family}ForCausalLM")(config)
    assert sum(p.numel() for p in model.parameters()) == parameters
