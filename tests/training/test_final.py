"""What is saved is what was measured, whatever it was trained in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from reasonkit.errors import RunError
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.precision import in_float32, quantized_layers
from reasonkit.models.resolving import resolve
from reasonkit.training import final

SHIPPED = resolve("abacus-mini")
TINY = 1e-5
"""Less than bfloat16 can add to most weights."""


def adapted(dtype: str) -> PeftModel:
    """A policy whose adapters have learned a little."""
    torch.manual_seed(0)
    targets = ["q_proj", "down_proj"]
    config = LoraConfig(r=2, target_modules=targets, init_lora_weights=False)
    policy = get_peft_model(load_model(SHIPPED, "cpu", dtype), config)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            parameter.data *= TINY
    return policy


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_merged_update_is_saved_whole(dtype: str, tmp_path: Path) -> None:
    policy = adapted(dtype)
    base = {n: p.detach().clone() for n, p in load_model(SHIPPED, "cpu", dtype).named_parameters()}
    layer = policy.base_model.model.model.layers[0].mlp.down_proj
    wanted = layer.get_delta_weight("default").float()
    model = final.to_measure(policy, tmp_path / "final")
    final.save(model, load_tokenizer(SHIPPED)[0], tmp_path / "final", "")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "final")
    assert saved.dtype == torch.float32
    name = "model.layers.0.mlp.down_proj.weight"
    made = saved.state_dict()[name] - base[name].float()
    assert (made - wanted).norm() < 0.01 * wanted.norm()
    for name, parameter in saved.named_parameters():
        if "q_proj" not in name and "down_proj" not in name:
            assert torch.equal(parameter, base[name].float())


def test_an_adapter_is_kept_beside_the_weights_that_it_was_merged_into(tmp_path: Path) -> None:
    model = final.to_measure(adapted("bfloat16"), tmp_path / "final", keep_adapter=True)
    final.save(model, load_tokenizer(SHIPPED)[0], tmp_path / "final", "")
    base = load_model(SHIPPED, "cpu", "float32")
    again = PeftModel.from_pretrained(base, tmp_path / "final" / "adapter").merge_and_unload()
    for name, parameter in again.named_parameters():
        torch.testing.assert_close(parameter, model.get_parameter(name))


def test_a_model_that_is_saved_as_another_one_is_not_published(tmp_path: Path) -> None:
    model = load_model(SHIPPED, "cpu", "float32")
    save = model.save_pretrained

    def rounding(folder: Path) -> None:
        load_model(SHIPPED, "cpu", "float32").apply(
            lambda module: [p.data.mul_(1.001) for p in module.parameters(recurse=False)]
        ).save_pretrained(folder)

    model.save_pretrained = rounding
    with pytest.raises(RunError, match="not what was measured"):
        final.save(model, load_tokenizer(SHIPPED)[0], tmp_path / "final", "")
    assert not (tmp_path / "final").exists()
    model.save_pretrained = save
    final.save(model, load_tokenizer(SHIPPED)[0], tmp_path / "final", "")


def test_a_model_is_measured_in_float32_and_goes_on_as_it_was() -> None:
    model = load_model(SHIPPED, "cpu", "bfloat16")
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with in_float32(model):
        assert model.dtype == torch.float32
        assert model(torch.tensor([[5, 6]])).logits.dtype == torch.float32
    assert model.dtype == torch.bfloat16
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())


def test_adapters_on_4_bits_are_merged_into_what_the_bits_stand_for(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    model = load_model(resolve("abacus"), "cpu", "nf4")
    assert len(quantized_layers(model)) == 4 * 7
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    policy = get_peft_model(model, config)
    ids = torch.arange(20)[None] + 5
    with in_float32(policy), torch.no_grad():
        expected = policy(input_ids=ids).logits
    policy(input_ids=ids, labels=ids).loss.backward()
    assert all(p.grad is not None for p in policy.parameters() if p.requires_grad)
    whole = final.to_measure(policy, tmp_path / "final")
    with torch.no_grad():
        torch.testing.assert_close(whole(input_ids=ids).logits, expected, atol=1e-3, rtol=1e-3)
    assert {p.dtype for p in whole.parameters()} == {torch.float32}
    whole.save_pretrained(tmp_path / "saved")
    assert not hasattr(
        type(whole).from_pretrained(tmp_path / "saved").config, "quantization_config"
    )
