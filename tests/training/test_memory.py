"""The memory plan, against published sizes, sums done by hand, and what a model really keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from reasonkit.config import DType, EngineName, GrpoConfig, Optimizer
from reasonkit.generation.vllm import CACHE, LIBRARIES
from reasonkit.training.memory import (
    FLOAT32,
    HOLES,
    TILES,
    Load,
    parts,
    plan,
    rows_that_fit,
)
from reasonkit.training.shapes import ModelShape, lora_parameters, shape_by, shape_of

WORDS = 128_256
LLAMA_70B = ModelShape(70_553_706_496, 2 * WORDS * 8192, 80, 8192, 8192, 1024, WORDS)
LLAMA_8B = ModelShape(8_030_261_248, 2 * WORDS * 4096, 32, 4096, 4096, 1024, WORDS, kept=1000)
LOAD = Load(rows=3, columns=100, tokens=50, scored=10)
CPU = GrpoConfig(device="cpu")


def qwen3(hidden: int = 32) -> PreTrainedModel:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=300, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=3,
            num_attention_heads=4, num_key_value_heads=2, head_dim=16, tie_word_embeddings=True,
        )
    )  # fmt: skip


def test_full_training_takes_16_bytes_a_parameter_without_reference() -> None:
    made = plan(LLAMA_8B, CPU, LOAD)
    states = made.policy + made.gradients + made.optimiser + made.reference
    assert states == 16 * LLAMA_8B.parameters
    held = plan(LLAMA_8B, replace(CPU, kl_coefficient=0.1), LOAD)
    assert held.reference == 4 * LLAMA_8B.parameters


def test_the_keys_and_values_of_llama_3_take_128_kib_a_token_in_16_bits() -> None:
    config = replace(CPU, dtype=DType.bfloat16, lora=True)
    more = plan(LLAMA_8B, config, replace(LOAD, columns=101)).keys_and_values
    assert more - plan(LLAMA_8B, config, LOAD).keys_and_values == 3 * 128 * 1024


def test_an_engine_with_a_place_of_its_own_takes_weights_and_all_keys_and_values_into_it() -> None:
    made = plan(LLAMA_8B, replace(CPU, engine=EngineName.vllm), LOAD)
    assert made.keys_and_values == 0
    assert made.engine == 4 * LLAMA_8B.parameters + CACHE + LIBRARIES
    assert rows_that_fit(LLAMA_8B, replace(CPU, engine=EngineName.vllm), LOAD, 0) == LOAD.rows


def test_sampling_and_updates_take_turns_at_what_is_left_beside_the_states() -> None:
    made = plan(LLAMA_8B, CPU, LOAD, process=7)
    tile, head = 10 * 1024 * FLOAT32 * TILES, WORDS * 4096 * FLOAT32
    kept = 50 * 1000
    held = kept + 12 * LLAMA_8B.parameters
    assert made.activations == kept + int(held * HOLES) + tile + head
    assert made.total == 7 + 16 * LLAMA_8B.parameters + made.activations
    many = plan(LLAMA_8B, CPU, replace(LOAD, rows=10**6), process=7)
    assert many.total == 7 + 12 * LLAMA_8B.parameters + many.keys_and_values
    assert parts(many)["peak"] == many.total


@pytest.mark.parametrize(
    ("shape", "mlp"), [(LLAMA_70B, 28672), (LLAMA_8B, 14336)], ids=["70B", "8B"]
)
def test_lora_parameters_are_close_to_the_true_count(shape: ModelShape, mlp: int) -> None:
    sides = 4 * shape.hidden + 2 * (shape.hidden + shape.kv_width) + 3 * (shape.hidden + mlp)
    true = 16 * shape.layers * sides
    assert lora_parameters(shape, 16) == pytest.approx(true, rel=0.01)


def test_lora_keeps_no_reference_and_only_adapters_have_gradients() -> None:
    config = replace(CPU, lora=True, kl_coefficient=0.1)
    made, adapters = plan(LLAMA_8B, config, LOAD), 4 * lora_parameters(LLAMA_8B, 16)
    assert (made.reference, made.policy) == (0, 4 * LLAMA_8B.parameters)
    assert (made.adapters, made.gradients, made.optimiser) == (adapters, adapters, 2 * adapters)
    quarter = plan(LLAMA_8B, replace(config, load_in_4bit=True), LOAD)
    inside = LLAMA_8B.parameters - LLAMA_8B.embeddings
    assert quarter.policy == pytest.approx(4 * LLAMA_8B.embeddings + 0.516 * inside, rel=1e-3)


@pytest.mark.parametrize(
    ("optimizer", "each"),
    [(Optimizer.adamw_8bit, 2.03), (Optimizer.muon, 4), (Optimizer.adafactor, 0)],
)
def test_an_optimizer_takes_its_own_bytes_a_parameter(optimizer: Optimizer, each: float) -> None:
    made = plan(LLAMA_8B, replace(CPU, optimizer=optimizer), LOAD)
    of_words = 0 if optimizer == Optimizer.adafactor else 8
    inside = LLAMA_8B.parameters - LLAMA_8B.embeddings
    assert made.optimiser == pytest.approx(each * inside + of_words * LLAMA_8B.embeddings, rel=1e-3)


def test_as_many_rows_fit_as_the_plan_says() -> None:
    room = 10**11
    rows = rows_that_fit(LLAMA_8B, CPU, LOAD, room)
    config = replace(CPU, gradient_checkpointing=True)
    beside = replace(LOAD, tokens=0, scored=0)
    states = [plan(LLAMA_8B, config, replace(beside, rows=n)) for n in (rows, rows + 1)]
    fits = [s.total - s.update * (s.update > s.keys_and_values) <= room for s in states]
    held = [s.policy + s.optimiser + s.keys_and_values for s in states]
    assert fits[0] and held[0] <= room < held[1]
    assert rows_that_fit(LLAMA_8B, CPU, LOAD, 10**9) == 0


@pytest.mark.parametrize("products", [None, torch.bfloat16])
def test_what_is_kept_of_a_token_is_what_autograd_keeps(products: torch.dtype | None) -> None:
    model = qwen3()
    shape = shape_of(model, products)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert (shape.embeddings, shape.heads_width, shape.kv_width) == (300 * 32, 64, 32)
    if products is None:
        # Six of the residual stream, four of the MLP, six of all queries and two of all keys,
        # as derived by hand from Qwen3's layer; the first layer and the last norm differ a little.
        by_hand = 3 * 4 * (6 * 32 + 4 * 64 + 6 * 64 + 2 * 32)
        assert shape.kept == pytest.approx(by_hand, rel=0.06)
        assert shape.once == pytest.approx(0, abs=shape.kept)
    else:
        assert shape.once >= 2 * (shape.parameters - shape.embeddings) * 0.9
    assert not any(p.grad is not None for p in model.parameters())


def test_what_adapters_keep_of_packed_layers_is_counted() -> None:
    model = qwen3()
    whole = shape_of(model)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear) and layer is not model.lm_head:
            layer.requires_grad_(False)
            layer.quant_state = None
    assert shape_of(model).kept == whole.kept


def test_copies_of_weights_that_sampling_makes_are_counted_where_it_makes_them() -> None:
    model = qwen3()
    shape = shape_of(model)
    joined = [p for n, p in model.named_parameters() if n.endswith("_proj.weight")]
    head = model.get_output_embeddings().weight.numel()
    assert shape.copied == 4 * (sum(p.numel() for p in joined) + head)
    one, many = (plan(shape, CPU, replace(LOAD, rows=rows)).keys_and_values for rows in (1, 64))
    assert many - 64 * one == shape.copied
    assert plan(shape, replace(CPU, lora=True), replace(LOAD, rows=64)).keys_and_values == 64 * one


def test_what_is_kept_grows_with_the_model() -> None:
    small, large = shape_of(qwen3(32)), shape_of(qwen3(64))
    assert small.kept < large.kept < 2 * small.kept


@pytest.mark.parametrize("products", [None, torch.bfloat16])
def test_a_model_that_is_nowhere_has_the_shape_of_one_that_is_here(
    products: torch.dtype | None,
) -> None:
    model = qwen3()
    here, nowhere = shape_of(model, products), shape_by(model.config, products)
    assert nowhere.kept == pytest.approx(here.kept, rel=0.12)
    assert nowhere.once == pytest.approx(here.once, rel=0.05)
    assert sum(nowhere.pieces) == pytest.approx(nowhere.kept, rel=0.01)
    assert sum(here.pieces) == pytest.approx(here.kept, rel=0.01)
    alike = {"kept": here.kept, "once": here.once, "pieces": here.pieces}
    assert replace(nowhere, **alike) == here
