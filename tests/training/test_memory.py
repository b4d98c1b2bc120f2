"""The memory plan, against published sizes and sums done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reasonkit.training.memory import ModelShape, lora_parameters, plan

LLAMA_70B = ModelShape(70_553_706_496, 80, 8192, 8, 128, 128256)
LLAMA_8B = ModelShape(8_030_261_248, 32, 4096, 8, 128, 128256)


@pytest.mark.parametrize("dtype_bytes", [2, 4])
def test_full_training_takes_16_bytes_a_parameter_without_reference(dtype_bytes: int) -> None:
    made = plan(LLAMA_8B, rows=1, tokens=1, dtype_bytes=dtype_bytes, reference=False)
    states = made.policy + made.gradients + made.optimiser + made.reference
    assert states == 16 * LLAMA_8B.parameters


def test_the_kv_cache_of_llama_3_takes_128_kib_a_token() -> None:
    made = plan(LLAMA_8B, rows=3, tokens=100, dtype_bytes=2, reference=False)
    assert made.kv_cache == 3 * 100 * 128 * 1024


def test_the_total_is_the_sum_of_all_parts() -> None:
    made = plan(LLAMA_8B, rows=2, tokens=10, dtype_bytes=2, reference=True)
    activations, logits = 20 * 4096 * (32 + 17) * 2, 20 * 128256 * 8
    assert (made.activations, made.logits) == (activations, logits)
    assert made.total == 18 * LLAMA_8B.parameters + 20 * 128 * 1024 + activations + logits


@pytest.mark.parametrize(
    ("shape", "mlp"), [(LLAMA_70B, 28672), (LLAMA_8B, 14336)], ids=["70B", "8B"]
)
def test_lora_parameters_are_close_to_the_true_count(shape: ModelShape, mlp: int) -> None:
    kv = shape.kv_heads * shape.head_dim
    sides = 4 * shape.hidden + 2 * (shape.hidden + kv) + 3 * (shape.hidden + mlp)
    true = 16 * shape.layers * sides
    assert true <= lora_parameters(shape, 16) <= 1.06 * true


def test_lora_keeps_no_reference_and_only_adapters_have_gradients() -> None:
    full = plan(LLAMA_8B, rows=1, tokens=1, dtype_bytes=2, reference=True)
    lora = plan(LLAMA_8B, rows=1, tokens=1, dtype_bytes=2, reference=True, lora_rank=16)
    adapters = 4 * lora_parameters(LLAMA_8B, 16)
    assert lora.reference == 0
    assert lora.policy == full.policy + adapters
    assert (lora.gradients, lora.optimiser) == (adapters, 2 * adapters)
    assert lora.total < full.total / 5


def test_a_smaller_micro_batch_shrinks_the_update_but_not_the_cache() -> None:
    whole = plan(LLAMA_8B, rows=8, tokens=10, dtype_bytes=2, reference=False)
    parts = plan(LLAMA_8B, rows=8, tokens=10, dtype_bytes=2, reference=False, micro_batch=2)
    assert parts == replace(whole, logits=whole.logits // 4, activations=whole.activations // 4)
